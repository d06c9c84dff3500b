#include "agent_tracee.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

constexpr uint64_t kRedZone = 128;
constexpr int kSeizeMs = 250;
constexpr int kSyscallStop = SIGTRAP | 0x80;  // PTRACE_O_TRACESYSGOOD
constexpr int kEventStop = 128;               // PTRACE_EVENT_STOP; glibc has it only as an enumerator of late

constexpr uint64_t Bit(int signal) { return uint64_t{1} << (signal - 1); }
// A blocked signal of these kinds, when an instruction raises it, kills the process past its handler.
constexpr uint64_t kSynchronous =
    Bit(SIGSEGV) | Bit(SIGBUS) | Bit(SIGILL) | Bit(SIGFPE) | Bit(SIGTRAP) | Bit(SIGSYS);

bool IsRestart(int64_t result) { return result == -EINTR || (result <= -512 && result >= -516); }

int TickSignal() { return SIGRTMIN + 7; }

// Where a tick leads while PTRACE_SEIZE is under way on this thread.
thread_local sigjmp_buf* seize_timeout = nullptr;

void Tick(int) {
  if (seize_timeout != nullptr) siglongjmp(*seize_timeout, 1);
}

void* Word(uint64_t value) { return reinterpret_cast<void*>(value); }

}  // namespace

void PrepareTracerThread() {
  struct sigaction action = {};
  action.sa_handler = Tick;  // no SA_RESTART: it is there to interrupt
  sigaction(TickSignal(), &action, nullptr);
  sigset_t tick;
  sigemptyset(&tick);
  sigaddset(&tick, TickSignal());
  pthread_sigmask(SIG_UNBLOCK, &tick, nullptr);
}

Tracee::~Tracee() {
  Detach();
  if (has_timer_) timer_delete(timer_);
}

int Tracee::Seize(pid_t tid, int timeout_ms) {
  if (tid <= 0) return -ESRCH;  // a caller in another pid namespace; and 0 and -1 mean something else to waitpid

  sigevent event = {};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = TickSignal();
  event._sigev_un._tid = static_cast<pid_t>(syscall(SYS_gettid));
  if (timer_create(CLOCK_MONOTONIC, &event, &timer_) != 0) return -errno;
  has_timer_ = true;

  // While another thread of the client is in execve, seizing waits for it, and execve waits for the death of this
  // thread, which waits for the reply. The kernel restarts an interrupted PTRACE_SEIZE, so only a jump leads out.
  sigjmp_buf timeout;
  if (sigsetjmp(timeout, 1) != 0) {
    seize_timeout = nullptr;
    state_ = State::kRunning;  // perhaps
    return -ETIMEDOUT;
  }
  ArmTimer(timeout_ms < kSeizeMs ? timeout_ms : kSeizeMs);
  seize_timeout = &timeout;
  long seized = ptrace(PTRACE_SEIZE, tid, nullptr, Word(PTRACE_O_TRACESYSGOOD));
  int error = errno;
  seize_timeout = nullptr;
  if (seized != 0) return -error;
  tid_ = tid;
  state_ = State::kRunning;
  ArmTimer(timeout_ms);
  return ptrace(PTRACE_INTERRUPT, tid, nullptr, nullptr) == 0 ? 0 : -errno;
}

void Tracee::ArmTimer(int ms) {
  clock_gettime(CLOCK_MONOTONIC, &deadline_);
  deadline_.tv_sec += ms / 1000;
  deadline_.tv_nsec += ms % 1000 * 1000000L;
  if (deadline_.tv_nsec >= 1000000000L) deadline_.tv_sec++, deadline_.tv_nsec -= 1000000000L;
  // It repeats, because the first tick can fall just before the wait that it shall end.
  itimerspec when = {{0, 20 * 1000000L}, deadline_};
  timer_settime(timer_, TIMER_ABSTIME, &when, nullptr);
}

bool Tracee::TimeIsUp() const {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec > deadline_.tv_sec || (now.tv_sec == deadline_.tv_sec && now.tv_nsec >= deadline_.tv_nsec);
}

int Tracee::Wait() {
  for (;;) {
    if (waitpid(tid_, &status_, __WALL | __WNOTHREAD) < 0) {
      if (errno != EINTR) {  // ECHILD: another thread of the client called exec, and this one is gone
        state_ = State::kNone;
        return -ESRCH;
      }
      if (!TimeIsUp()) continue;
      // Before the first stop nothing of the client has been changed, and it can be left as it is. Later it has to
      // be stopped once more. It does as soon as it is out of the kernel, so waiting on is right.
      if (!stopped_once_) return -ETIMEDOUT;
      if (!interrupted_) ptrace(PTRACE_INTERRUPT, tid_, nullptr, nullptr);
      interrupted_ = true;
      continue;
    }
    if (WIFSTOPPED(status_)) {
      state_ = State::kStopped;
      stopped_once_ = true;
      return 0;
    }
    state_ = State::kNone;  // exited, and by this call reaped
    return -ESRCH;
  }
}

// ESRCH of any request to a stopped thread means that SIGKILL has ended the stop. The thread may take its time to
// die, as it first closes its files; so it is left in state kRunning, for Detach to report.
int Tracee::Resume(int request, int signal) {
  state_ = State::kRunning;
  if (ptrace(static_cast<__ptrace_request>(request), tid_, nullptr, Word(signal)) == 0) return Wait();
  if (errno == ESRCH) return -ESRCH;
  state_ = State::kStopped;
  return -errno;
}

int Tracee::AwaitStop() {
  int error = Wait();
  if (error != 0) return error;
  if (ptrace(PTRACE_GETREGS, tid_, nullptr, &registers_) == 0) return 0;
  state_ = State::kRunning;
  return -ESRCH;
}

int Tracee::HoldSignals() {
  uint64_t held = ~kSynchronous;
  if (ptrace(PTRACE_GETSIGMASK, tid_, Word(sizeof held), &signal_mask_) != 0) return -errno;
  held |= signal_mask_;
  if (ptrace(PTRACE_SETSIGMASK, tid_, Word(sizeof held), &held) != 0) return -errno;
  signals_held_ = true;
  return 0;
}

int Tracee::RunToSyscall(__ptrace_syscall_info* info) {
  int request = PTRACE_SYSCALL;
  int signal = 0;
  for (;;) {
    int error = Resume(request, signal);
    if (error != 0) return error;
    request = PTRACE_SYSCALL;
    signal = 0;
    int stop = WSTOPSIG(status_);
    if (stop == kSyscallStop) {
      if (ptrace(PTRACE_GET_SYSCALL_INFO, tid_, Word(sizeof *info), info) > 0) return 0;
      return -errno;
    }
    if (status_ >> 16 == kEventStop) {
      if (interrupted_) return -ETIMEDOUT;
      // A group-stop (job control). A client in its own code stays stopped as it should, until SIGCONT. In an
      // injected call it runs on: that is soon over, and Detach makes the kernel stop it then.
      if (stop != SIGTRAP && !injecting_) request = PTRACE_LISTEN;
    } else if (status_ >> 16 == 0) {
      signal = stop;  // about to be delivered: let it
    }
  }
}

int Tracee::SetRegisters(const user_regs_struct& registers) {
  return ptrace(PTRACE_SETREGS, tid_, nullptr, &registers) == 0 ? 0 : -errno;
}

int Tracee::Inject(long number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, int64_t* result) {
  user_regs_struct call = registers_;
  call.rip -= 2;
  uint8_t instruction[2];
  if (Read(call.rip, instruction, 2) != 0 || instruction[0] != 0x0f || instruction[1] != 0x05) return -ENOEXEC;
  call.rax = static_cast<uint64_t>(number);
  call.orig_rax = ~uint64_t{0};  // not in a system call: nothing for the kernel to restart
  call.rdi = a, call.rsi = b, call.rdx = c, call.r10 = d;
  injecting_ = true;
  for (;;) {
    registers_changed_ = true;
    int error = SetRegisters(call);
    __ptrace_syscall_info info = {};
    if (error == 0) error = RunToSyscall(&info);
    if (error == 0 && (info.op != PTRACE_SYSCALL_INFO_ENTRY || info.entry.nr != static_cast<uint64_t>(number))) {
      error = -EIO;
    }
    if (error == 0) error = RunToSyscall(&info);
    if (error != 0) return error;
    *result = info.exit.rval;
    if (!IsRestart(*result)) return 0;
    if (interrupted_ || TimeIsUp()) return -ETIMEDOUT;  // else SIGSTOP or the freezer came in between: again
  }
}

int Tracee::PlaceOnStack(const std::string& bytes, uint64_t* address) {
  RestoreStack();
  uint64_t below = (registers_.rsp - kRedZone - bytes.size()) & ~uint64_t{15};
  // What is below the red zone belongs to nobody on an ordinary stack, but the stacks of coroutines can be short:
  // so the bytes are saved in both places.
  for (uint64_t at : {below, static_cast<uint64_t>(registers_.rsp)}) {
    std::string saved(bytes.size(), '\0');
    if (Read(at, saved.data(), saved.size()) != 0) continue;
    stack_address_ = at;
    stack_bytes_ = saved;
    if (Write(at, bytes.data(), bytes.size()) == 0) {
      *address = at;
      return 0;
    }
    RestoreStack();
  }
  return -EFAULT;
}

void Tracee::RestoreStack() {
  if (!stack_bytes_.empty()) Write(stack_address_, stack_bytes_.data(), stack_bytes_.size());
  stack_bytes_.clear();
}

void Tracee::SetResult(int64_t value) {
  registers_.rax = static_cast<uint64_t>(value);
  registers_changed_ = true;
}

int Tracee::Read(uint64_t address, void* to, size_t length) const {
  iovec local = {to, length}, remote = {Word(address), length};
  ssize_t done = process_vm_readv(tid_, &local, 1, &remote, 1, 0);
  return done == static_cast<ssize_t>(length) ? 0 : done < 0 ? -errno : -EFAULT;
}

int Tracee::Write(uint64_t address, const void* from, size_t length) const {
  iovec local = {const_cast<void*>(from), length}, remote = {Word(address), length};
  ssize_t done = process_vm_writev(tid_, &local, 1, &remote, 1, 0);
  return done == static_cast<ssize_t>(length) ? 0 : done < 0 ? -errno : -EFAULT;
}

bool Tracee::Detach() {
  if (state_ == State::kStopped) {
    RestoreStack();
    if (registers_changed_) SetRegisters(registers_);
    if (signals_held_) ptrace(PTRACE_SETSIGMASK, tid_, Word(sizeof signal_mask_), &signal_mask_);
    // In a signal-delivery-stop the signal is gone unless it is handed back here.
    int stop = WSTOPSIG(status_);
    int signal = stop == kSyscallStop || status_ >> 16 != 0 ? 0 : stop;
    state_ = ptrace(PTRACE_DETACH, tid_, nullptr, Word(signal)) == 0 ? State::kNone : State::kRunning;
  }
  return state_ == State::kNone;
}
