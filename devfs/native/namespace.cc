// What a command is started in: a private mount namespace, a seccomp filter, and exec itself.
#include "addon.h"

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <string>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

namespace {

int Result(long returned) { return returned < 0 ? -errno : 0; }

std::string StringArgument(const Napi::CallbackInfo& info, size_t index) {
  return info[index].ToString().Utf8Value();
}

Napi::Value UnshareMounts(const Napi::CallbackInfo& info) {
  int error = Result(unshare(CLONE_NEWNS));
  // Slave rather than private: what the host mounts or unmounts later still shows, and nothing goes back.
  if (error == 0) error = Result(mount("none", "/", nullptr, MS_REC | MS_SLAVE, nullptr));
  return Napi::Number::New(info.Env(), error);
}

Napi::Value Mount(const Napi::CallbackInfo& info) {
  const std::string source = StringArgument(info, 0);
  const std::string target = StringArgument(info, 1);
  const std::string type = StringArgument(info, 2);
  const auto flags = static_cast<unsigned long>(info[3].ToNumber().Int64Value());
  const std::string data = StringArgument(info, 4);
  const int error = Result(mount(source.c_str(), target.c_str(), type.empty() ? nullptr : type.c_str(), flags,
                                 data.empty() ? nullptr : data.c_str()));
  return Napi::Number::New(info.Env(), error);
}

Napi::Value Umount(const Napi::CallbackInfo& info) {
  const std::string target = StringArgument(info, 0);
  return Napi::Number::New(info.Env(), Result(umount2(target.c_str(), info[1].ToNumber().Int32Value())));
}

// The kernel takes both arguments as int, so the low half of each 64-bit register is what counts.
constexpr unsigned LowHalfOf(unsigned argument) {
  return offsetof(seccomp_data, args) + argument * sizeof(__u64);
}

long InstallFilter(const sock_fprog& program) {
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}

Napi::Value DenyNetlinkRdma(const Napi::CallbackInfo& info) {
  // Every comparison that fails goes to the ALLOW at the end. Other architectures (a 32-bit program) number
  // their system calls differently and pass; so does x32, whose numbers have bit 30 set.
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 7),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 5),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, LowHalfOf(0)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, LowHalfOf(2)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NETLINK_RDMA, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPROTONOSUPPORT),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{sizeof(filter) / sizeof(filter[0]), filter};
  long returned = InstallFilter(program);
  if (returned < 0 && errno == EACCES) {
    // Without CAP_SYS_ADMIN only a process that gives up set-user-ID programs may have a filter. With it,
    // the flag stays clear so that sudo, ping and their like go on working under the command.
    returned = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (returned == 0) returned = InstallFilter(program);
  }
  return Napi::Number::New(info.Env(), Result(returned));
}

std::vector<std::string> Strings(const Napi::Array& array) {
  std::vector<std::string> strings;
  strings.reserve(array.Length());
  for (uint32_t index = 0; index < array.Length(); index++) {
    strings.push_back(array.Get(index).ToString().Utf8Value());
  }
  return strings;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (std::string& string : strings) pointers.push_back(string.data());
  pointers.push_back(nullptr);
  return pointers;
}

// Signal dispositions and mask, so that they can be put back when exec fails and Node goes on.
class SignalState {
 public:
  SignalState() {
    sigprocmask(SIG_SETMASK, nullptr, &mask_);
    for (int number = 1; number < kSignals; number++) {
      known_[number] = sigaction(number, nullptr, &actions_[number]) == 0;
    }
  }

  // Handlers become the default by themselves at exec; what is ignored (Node ignores SIGPIPE) does not.
  void SetDefaults() const {
    struct sigaction action {};
    action.sa_handler = SIG_DFL;
    for (int number = 1; number < kSignals; number++) {
      // The kernel refuses SIGKILL and SIGSTOP, the C library its own two; none of them can be ignored.
      if (known_[number]) sigaction(number, &action, nullptr);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
  }

  void Restore() const {
    for (int number = 1; number < kSignals; number++) {
      if (known_[number]) sigaction(number, &actions_[number], nullptr);
    }
    sigprocmask(SIG_SETMASK, &mask_, nullptr);
  }

 private:
  static constexpr int kSignals = _NSIG;
  sigset_t mask_{};
  struct sigaction actions_[kSignals]{};
  bool known_[kSignals]{};
};

// Node sets close-on-exec on everything it inherits, standard streams included.
void KeepStandardStreams() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
    const int flags = fcntl(fd, F_GETFD);
    if (flags >= 0) fcntl(fd, F_SETFD, flags & ~FD_CLOEXEC);
  }
}

Napi::Value Exec(const Napi::CallbackInfo& info) {
  const std::string file = StringArgument(info, 0);
  std::vector<std::string> arguments = Strings(info[1].As<Napi::Array>());
  std::vector<std::string> environment = Strings(info[2].As<Napi::Array>());
  std::vector<char*> argv = Pointers(arguments);
  std::vector<char*> envp = Pointers(environment);

  const SignalState signals;
  signals.SetDefaults();
  KeepStandardStreams();
  execvpe(file.c_str(), argv.data(), envp.data());
  const int error = -errno;
  signals.Restore();
  return Napi::Number::New(info.Env(), error);
}

}  // namespace

void InitNamespace(Napi::Env env, Napi::Object exports) {
  exports.Set("unshareMounts", Napi::Function::New(env, UnshareMounts, "unshareMounts"));
  exports.Set("mount", Napi::Function::New(env, Mount, "mount"));
  exports.Set("umount", Napi::Function::New(env, Umount, "umount"));
  exports.Set("denyNetlinkRdma", Napi::Function::New(env, DenyNetlinkRdma, "denyNetlinkRdma"));
  exports.Set("exec", Napi::Function::New(env, Exec, "exec"));

  const struct {
    const char* name;
    unsigned long value;
  } constants[] = {
      {"MS_BIND", MS_BIND},     {"MS_REC", MS_REC},       {"MS_RDONLY", MS_RDONLY},
      {"MS_NOSUID", MS_NOSUID}, {"MS_NODEV", MS_NODEV},   {"MS_NOEXEC", MS_NOEXEC},
      {"MS_SLAVE", MS_SLAVE},   {"MNT_FORCE", MNT_FORCE}, {"MNT_DETACH", MNT_DETACH},
  };
  for (const auto& constant : constants) {
    exports.Set(constant.name, Napi::Number::New(env, static_cast<double>(constant.value)));
  }
}
