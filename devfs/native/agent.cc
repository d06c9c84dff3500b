// The client agent: what FUSE cannot do for a caller is done by ptrace on the calling thread, while it leaves the
// system call that the daemon answers. The typed contract is in devfs/native.ts.
//
// Limits. x86-64 clients only: a 32-bit one gets EOPNOTSUPP instead of a descriptor. The injected openat is subject to
// the client's own seccomp filter. A daemon killed during it leaves the client with the outcome of the openat in
// place of that of its own call. Serving the path that is opened must not need an agent job of its own: the number
// of agents is bounded.
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <semaphore.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "addon.h"
#include "agent_pool.h"
#include "agent_tracee.h"

namespace {

constexpr uint64_t kUserCs64 = 0x33;

struct Job {
  Job() = default;
  Job(const Job&) = delete;
  ~Job() { close(fuse_fd); }

  pid_t tid;
  int fuse_fd = -1;  // our own, as the session can end before the job
  int timeout_ms;
  std::string reply;
};

struct PatchStatJob : Job {
  uint32_t mode;
  uint32_t rdev_major;
  uint32_t rdev_minor;
};

struct InstallDescriptorJob : Job {
  struct Store {
    uint64_t address;
    size_t width;
  };
  std::vector<std::string> paths;
  int open_flags;
  std::vector<Store> writes;
};

struct Result {
  int error = 0;
  const char* step = "";
  bool replied = false;
  int descriptor = -1;
};

// Notes the failure, if it is one; whether it is.
bool Failed(Result* result, int error, const char* step) {
  if (error == 0) return false;
  result->error = error;
  result->step = error == -ESRCH && result->replied ? "client gone" : step;
  return true;
}

// Seizes the caller, then sends the reply: in this order the thread cannot get past its way out of the kernel.
bool Begin(const Job& job, Tracee* tracee, Result* result) {
  if (Failed(result, tracee->Seize(job.tid, job.timeout_ms), "seize")) return false;
  ssize_t sent;
  do {
    sent = write(job.fuse_fd, job.reply.data(), job.reply.size());
  } while (sent < 0 && errno == EINTR);
  // ENOENT: the request is gone (its caller was killed, or the file system unmounted), and nobody waits for a reply.
  result->replied = sent >= 0 || errno == ENOENT;
  if (Failed(result, sent >= 0 ? 0 : -errno, "reply")) return false;
  return !Failed(result, tracee->AwaitStop(), "stop");
}

bool IsOpen(uint64_t number) {
  return number == SYS_open || number == SYS_openat || number == SYS_openat2 || number == SYS_creat;
}

bool IsWriteOrIoctl(uint64_t number) {
  return number == SYS_write || number == SYS_writev || number == SYS_pwrite64 || number == SYS_pwritev ||
         number == SYS_pwritev2 || number == SYS_ioctl;
}

// Whether the system call about to begin asks for the status of `fd`; if so, the address of its answer.
bool IsStatOf(const Tracee& tracee, const __ptrace_syscall_info& info, int fd, uint64_t* buffer) {
  if (info.op != PTRACE_SYSCALL_INFO_ENTRY || info.arch != AUDIT_ARCH_X86_64) return false;
  if (static_cast<int>(info.entry.args[0]) != fd) return false;
  if (info.entry.nr == SYS_fstat) {
    *buffer = info.entry.args[1];
    return true;
  }
  bool extended = info.entry.nr == SYS_statx;
  if (!extended && info.entry.nr != SYS_newfstatat) return false;
  if (!(info.entry.args[extended ? 2 : 3] & AT_EMPTY_PATH)) return false;
  char first = 0;
  uint64_t path = info.entry.args[1];  // NULL is as good as "" since Linux 6.11
  if (path != 0 && (tracee.Read(path, &first, 1) != 0 || first != '\0')) return false;
  *buffer = info.entry.args[extended ? 4 : 2];
  return true;
}

void PatchStat(const PatchStatJob& job, Tracee* tracee, Result* result) {
  if (!Begin(job, tracee, result)) return;
  const user_regs_struct& registers = tracee->registers();
  if (Failed(result, registers.cs == kUserCs64 ? 0 : -EPERM, "32-bit client")) return;
  if (Failed(result, IsOpen(registers.orig_rax) ? 0 : -EPERM, "unexpected system call")) return;
  int64_t fd = static_cast<int64_t>(registers.rax);
  if (fd < 0) return;  // the open failed, after the daemon's part in it
  // A signal handler would make system calls of its own before the client's fstat.
  if (Failed(result, tracee->HoldSignals(), "signal mask")) return;
  __ptrace_syscall_info info = {};
  if (Failed(result, tracee->RunToSyscall(&info), "next system call")) return;
  uint64_t buffer = 0;
  if (!IsStatOf(*tracee, info, static_cast<int>(fd), &buffer)) return;
  bool extended = info.entry.nr == SYS_statx;
  if (Failed(result, tracee->RunToSyscall(&info), "stat in the client")) return;
  if (info.exit.is_error) return;
  int error;
  if (extended) {
    auto mode = static_cast<uint16_t>(job.mode);
    uint32_t rdev[2] = {job.rdev_major, job.rdev_minor};
    static_assert(offsetof(struct statx, stx_rdev_minor) == offsetof(struct statx, stx_rdev_major) + 4, "");
    error = tracee->Write(buffer + offsetof(struct statx, stx_mode), &mode, sizeof mode);
    if (error == 0) error = tracee->Write(buffer + offsetof(struct statx, stx_rdev_major), rdev, sizeof rdev);
  } else {
    uint32_t mode = job.mode;
    uint64_t rdev = makedev(job.rdev_major, job.rdev_minor);
    error = tracee->Write(buffer + offsetof(struct stat, st_mode), &mode, sizeof mode);
    if (error == 0) error = tracee->Write(buffer + offsetof(struct stat, st_rdev), &rdev, sizeof rdev);
  }
  Failed(result, error, "patch");
}

// Fails in the client too: it sees `errno` as the outcome of its system call.
bool FailedForClient(Tracee* tracee, Result* result, int error, const char* step, int seen) {
  if (!Failed(result, error, step)) return false;
  tracee->SetResult(seen);
  return true;
}

void InstallDescriptor(const InstallDescriptorJob& job, Tracee* tracee, Result* result) {
  if (!Begin(job, tracee, result)) return;
  const user_regs_struct& registers = tracee->registers();
  if (FailedForClient(tracee, result, registers.cs == kUserCs64 ? 0 : -EPERM, "32-bit client", -EOPNOTSUPP)) return;
  if (Failed(result, IsWriteOrIoctl(registers.orig_rax) ? 0 : -EPERM, "unexpected system call")) return;
  int64_t outcome = static_cast<int64_t>(registers.rax);
  if (Failed(result, outcome < 0 ? static_cast<int>(outcome) : 0, "answered system call")) return;
  int error = tracee->HoldSignals();
  if (FailedForClient(tracee, result, error, "signal mask", error)) return;

  int64_t fd = -ENOENT;
  for (size_t i = 0; i < job.paths.size() && fd == -ENOENT; i++) {
    uint64_t path = 0;
    error = tracee->PlaceOnStack(std::string(job.paths[i].c_str(), job.paths[i].size() + 1), &path);
    if (FailedForClient(tracee, result, error, "client stack", error)) return;
    auto flags = static_cast<uint64_t>(job.open_flags | O_CLOEXEC);
    error = tracee->Inject(SYS_openat, static_cast<uint64_t>(AT_FDCWD), path, flags, 0, &fd);
    if (error == -ENOEXEC) {  // int 0x80, or a page that cannot be read
      FailedForClient(tracee, result, -EPERM, "no syscall instruction", -EOPNOTSUPP);
      return;
    }
    if (FailedForClient(tracee, result, error, "openat in the client", error)) return;
  }
  if (FailedForClient(tracee, result, fd < 0 ? static_cast<int>(fd) : 0, "openat in the client", fd)) return;

  auto number = static_cast<uint64_t>(fd);
  for (const auto& store : job.writes) {
    error = tracee->Write(store.address, &number, store.width);
    if (error == 0) continue;
    int64_t closed;
    tracee->Inject(SYS_close, number, 0, 0, 0, &closed);
    FailedForClient(tracee, result, error, "response in the client", -EFAULT);
    return;
  }
  result->descriptor = static_cast<int>(fd);
}

// Runs on an agent thread. `done` holds the event loop alive until it has been called. A client with a new descriptor
// goes on when `done` has returned, as it may use it in its next system call, and the daemon must know it by then.
template <typename JobType, void (*Run)(const JobType&, Tracee*, Result*)>
bool RunJob(const JobType& job, Napi::ThreadSafeFunction done) {
  struct Report {
    Result result;
    sem_t heard;
  } report;
  sem_init(&report.heard, 0, 0);
  Tracee tracee;
  Run(job, &tracee, &report.result);
  if (std::is_same<JobType, PatchStatJob>::value) tracee.Detach();
  auto tell = [](Napi::Env env, Napi::Function callback, Report* told) {
    if (env != nullptr) {
      Napi::Object object = Napi::Object::New(env);
      object.Set("error", told->result.error);
      object.Set("step", told->result.step);
      object.Set("replied", told->result.replied);
      object.Set("descriptor", told->result.descriptor);
      callback.Call({object});
    }
    sem_post(&told->heard);
  };
  if (done.BlockingCall(&report, tell) == napi_ok) {  // else the environment is being torn down
    while (sem_wait(&report.heard) != 0) continue;    // the tick of the tracee's timer
  }
  done.Release();
  return tracee.Detach();
}

int IntOf(Napi::Object object, const char* name) { return object.Get(name).ToNumber().Int32Value(); }

void ReadJob(Napi::Object from, Job* job) {
  job->tid = IntOf(from, "tid");
  job->fuse_fd = fcntl(IntOf(from, "fuseFd"), F_DUPFD_CLOEXEC, 3);
  job->timeout_ms = IntOf(from, "timeoutMs");
  auto reply = from.Get("reply").As<Napi::Uint8Array>();
  job->reply.assign(reinterpret_cast<const char*>(reply.Data()), reply.ByteLength());
}

void ReadJob(Napi::Object from, PatchStatJob* job) {
  ReadJob(from, static_cast<Job*>(job));
  job->mode = from.Get("mode").ToNumber().Uint32Value();
  job->rdev_major = from.Get("rdevMajor").ToNumber().Uint32Value();
  job->rdev_minor = from.Get("rdevMinor").ToNumber().Uint32Value();
}

void ReadJob(Napi::Object from, InstallDescriptorJob* job) {
  ReadJob(from, static_cast<Job*>(job));
  job->open_flags = IntOf(from, "openFlags");
  auto paths = from.Get("paths").As<Napi::Array>();
  for (uint32_t i = 0; i < paths.Length(); i++) job->paths.push_back(paths.Get(i).ToString().Utf8Value());
  auto writes = from.Get("writes").As<Napi::Array>();
  for (uint32_t i = 0; i < writes.Length(); i++) {
    auto store = writes.Get(i).As<Napi::Object>();
    bool lossless;
    uint64_t address = store.Get("address").As<Napi::BigInt>().Uint64Value(&lossless);
    job->writes.push_back({address, IntOf(store, "width") == 8 ? size_t{8} : size_t{4}});
  }
}

template <typename JobType, void (*Run)(const JobType&, Tracee*, Result*)>
Napi::Value Submit(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (info.Length() != 2 || !info[0].IsObject() || !info[1].IsFunction()) {
    Napi::TypeError::New(env, "a job and a callback are needed").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  auto job = std::make_shared<JobType>();
  ReadJob(info[0].As<Napi::Object>(), job.get());
  if (env.IsExceptionPending()) return env.Undefined();
  auto done = Napi::ThreadSafeFunction::New(env, info[1].As<Napi::Function>(), "devfs agent", 0, 1);
  int error = SubmitAgentJob([job, done] { return RunJob<JobType, Run>(*job, done); });
  if (error != 0) {
    done.Release();
    Napi::Error::New(env, "cannot start the agent thread").ThrowAsJavaScriptException();
  }
  return env.Undefined();
}

}  // namespace

void InitAgent(Napi::Env env, Napi::Object exports) {
  exports.Set("agentPatchStat", Napi::Function::New(env, Submit<PatchStatJob, PatchStat>, "agentPatchStat"));
  exports.Set("agentInstallDescriptor",
              Napi::Function::New(env, Submit<InstallDescriptorJob, InstallDescriptor>, "agentInstallDescriptor"));
}
