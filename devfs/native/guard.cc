// The guard of a mount: a process that does nothing but outlive the daemon by a moment. A daemon that is killed
// while one of its threads waits in the kernel for a lock of its own file system cannot die: clients hold that lock
// until their requests are answered, and the connection is only aborted when the daemon is gone. So the guard aborts
// it, by unmounting by force, as soon as the daemon's main thread has ended.
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "addon.h"

namespace {

const size_t kStack = 16384;
// A real-time signal that nobody else sends; a service manager's SIGTERM is for the daemon alone.
const int kParentDied = 44;

struct Guard {
  pid_t daemon;
  std::string mountpoint;
  uint64_t signals = ~0ull;
  alignas(16) char stack[kStack];
};

// The guard shares the daemon's memory, which costs nothing, and its thread-local storage, which it must not touch:
// so it makes system calls only by itself.
long Call(long number, long a = 0, long b = 0, long c = 0, long d = 0) {
  long result;
  register long fourth asm("r10") = d;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth)
               : "rcx", "r11", "memory");
  return result;
}

int Watch(void* argument) {
  Guard* guard = static_cast<Guard*>(argument);
  const long signals = reinterpret_cast<long>(&guard->signals);
  Call(SYS_rt_sigprocmask, SIG_SETMASK, signals, 0, sizeof guard->signals);
  Call(SYS_prctl, PR_SET_PDEATHSIG, kParentDied);
  Call(SYS_prctl, PR_SET_NAME, reinterpret_cast<long>("devfs-guard"));
  Call(SYS_setsid);
  // Above all /dev/fuse, whose last descriptor keeps the connection alive.
  Call(SYS_close_range, 0, ~0u, 0);
  // The parent's id says nothing of its death while one of its threads cannot die.
  while (Call(SYS_getppid) == guard->daemon &&
         Call(SYS_rt_sigtimedwait, signals, 0, 0, sizeof guard->signals) != kParentDied) {
  }
  Call(SYS_umount2, reinterpret_cast<long>(guard->mountpoint.c_str()), MNT_FORCE | MNT_DETACH);
  Call(SYS_exit, 0);
  return 0;
}

Napi::Value StartGuard(const Napi::CallbackInfo& info) {
  Guard* guard = new Guard{getpid(), info[0].As<Napi::String>(), ~0ull, {}};
  // No exit signal: libuv shall not take it for a child of its own.
  const pid_t pid = clone(Watch, guard->stack + kStack, CLONE_VM, guard);
  const int error = errno;
  if (pid < 0) delete guard;  // else it is the guard's until both are gone
  return Napi::Number::New(info.Env(), pid < 0 ? -error : pid);
}

Napi::Value StopGuard(const Napi::CallbackInfo& info) {
  const pid_t pid = info[0].As<Napi::Number>().Int32Value();
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, __WALL);
  return info.Env().Undefined();
}

}  // namespace

void InitGuard(Napi::Env env, Napi::Object exports) {
  exports["startGuard"] = Napi::Function::New(env, StartGuard);
  exports["stopGuard"] = Napi::Function::New(env, StopGuard);
}
