// Processes as the daemon sees them: identity that survives the reuse of ids (pidfd), exit, and the daemon's
// own file limit and lock file.
#include "addon.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <linux/capability.h>
#include <memory>
#include <poll.h>
#include <string>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <uv.h>

// Present since Linux 5.1 and 5.3; older C libraries' headers lack the names.
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

namespace {

int Result(long returned) { return returned < 0 ? -errno : static_cast<int>(returned); }

int IntArgument(const Napi::CallbackInfo& info, size_t index) {
  return info[index].ToNumber().Int32Value();
}

Napi::Value PidfdOpen(const Napi::CallbackInfo& info) {
  // The kernel sets close-on-exec on every pidfd by itself.
  return Napi::Number::New(info.Env(), Result(syscall(SYS_pidfd_open, IntArgument(info, 0), 0)));
}

Napi::Value PidfdAlive(const Napi::CallbackInfo& info) {
  const long sent = syscall(SYS_pidfd_send_signal, IntArgument(info, 0), 0, nullptr, 0);
  // EPERM tells of a process that exists and is not ours to signal.
  return Napi::Boolean::New(info.Env(), sent == 0 || errno == EPERM);
}

// One process being watched. The poll handle works on a duplicate of the caller's pidfd: closing a descriptor
// that libuv still polls would leave the loop with a stale entry for a number that is soon used again.
class ExitWatch {
 public:
  ~ExitWatch() { close(fd_); }

  // The watch that `start` hands out owns itself until the handle is closed.
  static ExitWatch* Start(Napi::Env env, int pidfd, Napi::Function callback, int* error) {
    uv_loop_t* loop = nullptr;
    if (napi_get_uv_event_loop(env, &loop) != napi_ok) {
      *error = -EINVAL;
      return nullptr;
    }
    const int fd = fcntl(pidfd, F_DUPFD_CLOEXEC, 3);
    if (fd < 0) {
      *error = -errno;
      return nullptr;
    }
    auto watch = std::unique_ptr<ExitWatch>(new ExitWatch(env, fd, callback));
    *error = uv_poll_init(loop, &watch->poll_, fd);
    if (*error != 0) return nullptr;
    ExitWatch* started = watch.release();  // From here on only OnClosed may delete it.
    started->poll_.data = started;
    napi_add_async_cleanup_hook(env, OnEnvironmentEnd, started, &started->cleanup_);
    *error = uv_poll_start(&started->poll_, UV_READABLE, OnReadable);
    if (*error != 0) {
      started->Close();
      return nullptr;
    }
    uv_unref(reinterpret_cast<uv_handle_t*>(&started->poll_));
    return started;
  }

  // The function that stops the watch: idempotent, and without effect once the process has exited.
  Napi::Function Stopper(Napi::Env env) {
    auto link = std::make_shared<ExitWatch*>(this);
    link_ = link;
    return Napi::Function::New(env, [link](const Napi::CallbackInfo&) {
      if (*link != nullptr) (*link)->Close();
    });
  }

 private:
  ExitWatch(Napi::Env env, int fd, Napi::Function callback)
      : env_(env), fd_(fd), callback_(Napi::Persistent(callback)), context_(env, "devfs:processExit") {}

  void Close() {
    if (closing_) return;
    closing_ = true;
    if (link_) *link_ = nullptr;
    uv_close(reinterpret_cast<uv_handle_t*>(&poll_), OnClosed);
  }

  static void OnReadable(uv_poll_t* poll, int, int) {
    auto* watch = static_cast<ExitWatch*>(poll->data);
    Napi::HandleScope scope(watch->env_);
    Napi::Function callback = watch->callback_.Value();
    watch->Close();  // First, so that the callback comes once whatever it does.
    callback.MakeCallback(watch->env_.Global(), {}, watch->context_);
    if (watch->env_.IsExceptionPending()) {
      napi_fatal_exception(watch->env_, watch->env_.GetAndClearPendingException().Value());
    }
  }

  static void OnClosed(uv_handle_t* handle) {
    auto* watch = static_cast<ExitWatch*>(handle->data);
    if (watch->cleanup_ != nullptr) napi_remove_async_cleanup_hook(watch->cleanup_);
    // References to JavaScript values can only be dropped inside a scope.
    Napi::HandleScope scope(watch->env_);
    delete watch;
  }

  static void OnEnvironmentEnd(napi_async_cleanup_hook_handle, void* data) {
    static_cast<ExitWatch*>(data)->Close();
  }

  Napi::Env env_;
  int fd_;
  Napi::FunctionReference callback_;
  Napi::AsyncContext context_;
  std::shared_ptr<ExitWatch*> link_;
  uv_poll_t poll_{};
  napi_async_cleanup_hook_handle cleanup_ = nullptr;
  bool closing_ = false;
};

Napi::Value OnProcessExit(const Napi::CallbackInfo& info) {
  int error = 0;
  ExitWatch* watch = ExitWatch::Start(info.Env(), IntArgument(info, 0), info[1].As<Napi::Function>(), &error);
  if (watch == nullptr) return Napi::Number::New(info.Env(), error);
  return watch->Stopper(info.Env());
}

Napi::Value IsThreadOf(const Napi::CallbackInfo& info) {
  const long sent = syscall(SYS_tgkill, IntArgument(info, 0), IntArgument(info, 1), 0);
  return Napi::Boolean::New(info.Env(), sent == 0 || errno == EPERM);
}

Napi::Value LockFile(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), Result(flock(IntArgument(info, 0), LOCK_EX | LOCK_NB)));
}

// The most descriptors the kernel lets any process have; 0 if it does not say.
rlim_t LargestFileLimit() {
  FILE* file = fopen("/proc/sys/fs/nr_open", "re");
  if (file == nullptr) return 0;
  unsigned long long largest = 0;
  const int found = fscanf(file, "%llu", &largest);
  fclose(file);
  return found == 1 ? static_cast<rlim_t>(largest) : 0;
}

Napi::Value RaiseFileLimit(const Napi::CallbackInfo& info) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return Napi::Number::New(info.Env(), -errno);
  const rlim_t largest = LargestFileLimit();
  if (largest > limit.rlim_max) {
    const rlimit raised{largest, largest};
    // EPERM without CAP_SYS_RESOURCE: the hard limit stays, and is what we go up to.
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  }
  if (limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) return Napi::Number::New(info.Env(), -errno);
  }
  return Napi::Number::New(info.Env(), static_cast<double>(limit.rlim_cur));
}

// capget instead of /proc: every registration of memory asks.
Napi::Value HasCapability(const Napi::CallbackInfo& info) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, IntArgument(info, 0)};
  __user_cap_data_struct data[2]{};
  const int bit = IntArgument(info, 1);
  const bool known = syscall(SYS_capget, &header, data) == 0;
  return Napi::Boolean::New(info.Env(),
                            known && (data[bit / 32].effective & (1u << (bit % 32))) != 0);
}

// struct procmap_query of include/uapi/linux/fs.h since 6.11; the headers of older distributions lack it.
struct ProcmapQuery {
  uint64_t size, flags, address;
  uint64_t start, end, vmaFlags, pageSize, offset, inode;
  uint32_t deviceMajor, deviceMinor;
  uint32_t nameSize, buildIdSize;
  uint64_t nameAddress, buildIdAddress;
};
#define QUERY_IOCTL _IOWR('f', 17, ProcmapQuery)

Napi::Value NextMapping(const Napi::CallbackInfo& info) {
  Napi::BigUint64Array out = info[2].As<Napi::BigUint64Array>();
  bool lossless = false;
  ProcmapQuery query{};
  query.size = sizeof query;
  query.flags = 0x10;  // the mapping at the address, or the next one
  query.address = info[1].As<Napi::BigInt>().Uint64Value(&lossless);
  const std::string path = "/proc/" + std::to_string(IntArgument(info, 0)) + "/maps";
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Napi::Number::New(info.Env(), -errno);
  const int result = ioctl(fd, QUERY_IOCTL, &query) < 0 ? -errno : 0;
  close(fd);
  if (result == 0) {
    out[0] = query.start;
    out[1] = query.end;
    out[2] = query.vmaFlags;
    out[3] = query.inode;
    out[4] = query.deviceMajor;
    out[5] = query.deviceMinor;
  }
  return Napi::Number::New(info.Env(), result);
}

Napi::Value CloseFd(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), Result(close(IntArgument(info, 0))));
}

}  // namespace

void InitProcess(Napi::Env env, Napi::Object exports) {
  exports.Set("pidfdOpen", Napi::Function::New(env, PidfdOpen, "pidfdOpen"));
  exports.Set("pidfdAlive", Napi::Function::New(env, PidfdAlive, "pidfdAlive"));
  exports.Set("onProcessExit", Napi::Function::New(env, OnProcessExit, "onProcessExit"));
  exports.Set("isThreadOf", Napi::Function::New(env, IsThreadOf, "isThreadOf"));
  exports.Set("lockFile", Napi::Function::New(env, LockFile, "lockFile"));
  exports.Set("raiseFileLimit", Napi::Function::New(env, RaiseFileLimit, "raiseFileLimit"));
  exports.Set("hasCapability", Napi::Function::New(env, HasCapability, "hasCapability"));
  exports.Set("nextMapping", Napi::Function::New(env, NextMapping, "nextMapping"));
  exports.Set("closeFd", Napi::Function::New(env, CloseFd, "closeFd"));
}
