// One thread of a client under ptrace: the mechanism of the client agent, no policy.
#pragma once

#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/user.h>
#include <time.h>

#include <cstdint>
#include <string>

// To be called on every thread that uses a Tracee, in a process where all signals are blocked: unblocks the one that
// ends waits when time is up.
void PrepareTracerThread();

// Whatever is changed in the client (registers, signal mask, stack) is remembered here and put back by Detach, so
// that every path out of a job restores it. All calls must come from the OS thread that seized the client.
// Functions return 0 or a negative errno: -ESRCH when the client is gone, -ETIMEDOUT when time is up.
class Tracee {
 public:
  Tracee() = default;
  Tracee(const Tracee&) = delete;
  Tracee& operator=(const Tracee&) = delete;
  ~Tracee();

  // Attaches and asks for a stop. The thread does not stop before it leaves the system call it is blocked in.
  int Seize(pid_t tid, int timeout_ms);
  // Waits for that stop. From here on registers() are those with which the thread leaves the system call.
  int AwaitStop();
  // Blocks the thread's signals until Detach, except those raised by its own instructions.
  int HoldSignals();
  // Lets the thread run to its next system-call stop (entry or exit) and describes it.
  int RunToSyscall(__ptrace_syscall_info* info);
  // Makes the thread execute a system call in place of the `syscall` instruction it has just left.
  int Inject(long number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, int64_t* result);
  // Puts bytes on the thread's stack, until the next PlaceOnStack or Detach.
  int PlaceOnStack(const std::string& bytes, uint64_t* address);
  // What the thread will see as the result of the system call it was in.
  void SetResult(int64_t value);

  int Read(uint64_t address, void* to, size_t length) const;
  int Write(uint64_t address, const void* from, size_t length) const;
  const user_regs_struct& registers() const { return registers_; }

  // Restores and lets go. False if the thread is attached but not stopped, where ptrace cannot detach: then the
  // calling OS thread must end, upon which the kernel detaches.
  bool Detach();

 private:
  enum class State { kNone, kRunning, kStopped };

  void ArmTimer(int ms);
  int Wait();
  int Resume(int request, int signal);
  int SetRegisters(const user_regs_struct& registers);
  void RestoreStack();
  bool TimeIsUp() const;

  pid_t tid_ = 0;
  State state_ = State::kNone;
  int status_ = 0;             // of the last stop
  bool stopped_once_ = false;
  bool interrupted_ = false;   // time is up and the thread was asked to stop
  bool injecting_ = false;
  timer_t timer_ = nullptr;
  bool has_timer_ = false;
  timespec deadline_ = {};

  user_regs_struct registers_ = {};
  bool registers_changed_ = false;
  uint64_t signal_mask_ = 0;
  bool signals_held_ = false;
  uint64_t stack_address_ = 0;
  std::string stack_bytes_;
};
