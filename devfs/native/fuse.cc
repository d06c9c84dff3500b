// /dev/fuse: mounting, the read loop on libuv's poll, replies, and backing files for passthrough.
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "addon.h"
#include "copy_watch.h"

// From include/uapi/linux/fuse.h of 6.9 and later; the headers of older distributions lack them.
struct FuseBackingMap {
  int32_t fd;
  uint32_t flags;
  uint64_t padding;
};
#define BACKING_OPEN_IOCTL _IOW(229, 1, FuseBackingMap)
#define BACKING_CLOSE_IOCTL _IOW(229, 2, uint32_t)

// Messages handled in one turn of the event loop before timers and sockets get theirs.
static const int kMaxBatch = 256;

namespace {

uint64_t Now() {
  timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return static_cast<uint64_t>(ts.tv_sec) * 1000000000u + static_cast<uint64_t>(ts.tv_nsec);
}

// fuse_in_header: u32 len, u32 opcode, u64 unique; fuse_read_in behind its 40 bytes: u32 read_flags at 20.
const size_t kOpcodeAt = 4;
const size_t kUniqueAt = 8;
const size_t kReadFlagsAt = 40 + 20;
const uint32_t kOpcodeRead = 15;
const uint32_t kReadLockOwner = 2;

template <typename T>
T At(const std::vector<uint8_t>& message, size_t offset) {
  T value{};
  if (offset + sizeof value <= message.size()) memcpy(&value, message.data() + offset, sizeof value);
  return value;
}

// Whether the kernel wants a page of a file that somebody has mapped; read(2) tells who asks.
bool IsPageRead(const std::vector<uint8_t>& message) {
  return At<uint32_t>(message, kOpcodeAt) == kOpcodeRead && (At<uint32_t>(message, kReadFlagsAt) & kReadLockOwner) == 0;
}

class Session final : public OwnConnection {
 public:
  Session(Napi::Env env, int fd, Napi::Uint8Array buffer, double spin, Napi::Function onRequest,
          Napi::Function onClose)
      : env_(env),
        context_(env, "devfs:session"),
        fd_(fd),
        data_(buffer.Data()),
        length_(buffer.ByteLength()),
        spin_(static_cast<uint64_t>(spin * 1000)),
        buffer_(Napi::Persistent(buffer.As<Napi::Object>())),
        onRequest_(Napi::Persistent(onRequest)),
        onClose_(Napi::Persistent(onClose)) {
    uv_loop_t* loop = nullptr;
    napi_get_uv_event_loop(env, &loop);
    uv_poll_init(loop, &poll_, fd);
    poll_.data = this;
    uv_poll_start(&poll_, UV_READABLE, [](uv_poll_t* handle, int, int) {
      static_cast<Session*>(handle->data)->Drain();
    });
    uv_async_init(loop, &wake_, [](uv_async_t* handle) { static_cast<Session*>(handle->data)->Drain(); });
    wake_.data = this;
    Register();
  }

  // The memory goes when libuv has let the handle go; the session is unusable at once.
  void Stop() {
    if (stopped_) return;
    stopped_ = true;
    Unregister();
    uv_poll_stop(&poll_);
    uv_close(reinterpret_cast<uv_handle_t*>(&poll_), [](uv_handle_t* handle) {
      Session* self = static_cast<Session*>(handle->data);
      close(self->fd_);
      uv_close(reinterpret_cast<uv_handle_t*>(&self->wake_),
               [](uv_handle_t* wake) { delete static_cast<Session*>(wake->data); });
    });
  }

  // Refuses pages, and keeps for the session's own thread, which cannot read now, what else is there.
  void Rescue() override {
    const std::lock_guard<std::mutex> lock(receiveMutex_);
    std::vector<uint8_t> message(length_);
    for (ssize_t n; (n = read(fd_, message.data(), length_)) >= 0;) {
      message.resize(static_cast<size_t>(n));
      if (IsPageRead(message)) {
        RefusePage(At<uint64_t>(message, kUniqueAt));
      } else {
        kept_.push_back(message);
        uv_async_send(&wake_);
      }
      message.resize(length_);
    }
  }

 private:
  void RefusePage(uint64_t unique) {
    struct {
      uint32_t length;
      int32_t error;
      uint64_t unique;
    } const header = {sizeof header, -EIO, unique};
    // Only fails if nobody waits any more.
    static_cast<void>(!write(fd_, &header, sizeof header));
  }

  // The next message, or what read(2) says.
  ssize_t Receive() {
    const std::lock_guard<std::mutex> lock(receiveMutex_);
    if (kept_.empty()) return read(fd_, data_, length_);
    const size_t length = kept_.front().size();
    memcpy(data_, kept_.front().data(), length);
    kept_.pop_front();
    return static_cast<ssize_t>(length);
  }

  // Reads until the queue is empty, and for a moment longer: the answer just sent usually makes the
  // client's next request arrive within microseconds, sooner than epoll would wake this thread again.
  // Yielding meanwhile lets a client on the same CPU prepare that request.
  void Drain() {
    uint64_t idleSince = 0;
    for (int handled = 0; handled < kMaxBatch && !stopped_;) {
      ssize_t n = Receive();
      if (n >= 0) {
        handled++;
        idleSince = 0;
        Call(onRequest_, static_cast<double>(n));
      } else if (errno == EAGAIN) {
        if (handled == 0 || spin_ == 0) return;
        uint64_t now = Now();
        if (idleSince == 0) idleSince = now;
        if (now - idleSince > spin_) return;
        sched_yield();
      } else if (errno != EINTR && errno != ENOENT) {
        // ENODEV: the file system was unmounted; anything else means that the connection is of no use.
        int error = errno == ENODEV ? 0 : errno;
        uv_poll_stop(&poll_);
        Call(onClose_, error);
        return;
      }
    }
  }

  void Call(const Napi::FunctionReference& function, double argument) {
    Napi::HandleScope scope(env_);
    function.MakeCallback(env_.Global(), {Napi::Number::New(env_, argument)}, context_);
  }

  Napi::Env env_;
  Napi::AsyncContext context_;
  int fd_;
  uint8_t* data_;
  size_t length_;
  uint64_t spin_;
  Napi::ObjectReference buffer_;
  Napi::FunctionReference onRequest_;
  Napi::FunctionReference onClose_;
  uv_poll_t poll_{};
  uv_async_t wake_{};
  std::mutex receiveMutex_;
  std::deque<std::vector<uint8_t>> kept_;
  bool stopped_ = false;
};

Napi::Value MountFuse(const Napi::CallbackInfo& info) {
  std::string mountpoint = info[0].As<Napi::String>();
  std::string fsname = info[1].As<Napi::String>();
  std::string options = info[2].As<Napi::String>();
  int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return Napi::Number::New(info.Env(), -errno);
  std::string data = "fd=" + std::to_string(fd) + "," + options;
  if (mount(fsname.c_str(), mountpoint.c_str(), ("fuse." + fsname).c_str(), MS_NOSUID | MS_NODEV,
            data.c_str()) != 0) {
    int error = errno;
    close(fd);
    return Napi::Number::New(info.Env(), -error);
  }
  SpareFromAbort(mountpoint.c_str());
  return Napi::Number::New(info.Env(), fd);
}

Napi::Value StartSession(const Napi::CallbackInfo& info) {
  Session* session =
      new Session(info.Env(), info[0].As<Napi::Number>(), info[1].As<Napi::Uint8Array>(),
                  info[2].As<Napi::Number>().DoubleValue(), info[3].As<Napi::Function>(),
                  info[4].As<Napi::Function>());
  // A box that outlives the session makes a second stop harmless.
  Session** box = new Session*(session);
  return Napi::External<Session*>::New(info.Env(), box, [](Napi::Env, Session** b) { delete b; });
}

Napi::Value StopSession(const Napi::CallbackInfo& info) {
  Session** box = info[0].As<Napi::External<Session*>>().Data();
  if (*box != nullptr) (*box)->Stop();
  *box = nullptr;
  return info.Env().Undefined();
}

Napi::Value FuseReply(const Napi::CallbackInfo& info) {
  Napi::Uint8Array buffer = info[1].As<Napi::Uint8Array>();
  size_t length = info[2].As<Napi::Number>().Uint32Value();
  if (length > buffer.ByteLength()) return Napi::Number::New(info.Env(), -EINVAL);
  ssize_t n = write(info[0].As<Napi::Number>().Int32Value(), buffer.Data(), length);
  return Napi::Number::New(info.Env(), n < 0 ? -errno : 0);
}

// Sends notifications in a thread of their own, because the kernel takes locks for them that a lookup may hold
// while it waits for an answer; all of a batch in one go, because each return to the event loop costs a turn of it.
class Notifier : public Napi::AsyncWorker {
 public:
  Notifier(Napi::Function done, int fd, Napi::Array messages) : AsyncWorker(done), fd_(fd) {
    for (uint32_t i = 0; i < messages.Length(); i++) {
      Napi::Uint8Array bytes = messages.Get(i).As<Napi::Uint8Array>();
      messages_.emplace_back(bytes.Data(), bytes.Data() + bytes.ByteLength());
    }
  }

  // Errors mean that there is nothing to forget: the kernel never knew the entry, or has dropped it.
  void Execute() override {
    for (const std::vector<uint8_t>& message : messages_)
      if (write(fd_, message.data(), message.size()) < 0 && errno == ENODEV) return;
  }

 private:
  int fd_;
  std::vector<std::vector<uint8_t>> messages_;
};

Napi::Value FuseNotify(const Napi::CallbackInfo& info) {
  (new Notifier(info[2].As<Napi::Function>(), info[0].As<Napi::Number>(), info[1].As<Napi::Array>()))
      ->Queue();
  return info.Env().Undefined();
}

Napi::Value BackingOpen(const Napi::CallbackInfo& info) {
  FuseBackingMap map = {info[1].As<Napi::Number>().Int32Value(), 0, 0};
  int id = ioctl(info[0].As<Napi::Number>().Int32Value(), BACKING_OPEN_IOCTL, &map);
  return Napi::Number::New(info.Env(), id < 0 ? -errno : id);
}

Napi::Value BackingClose(const Napi::CallbackInfo& info) {
  uint32_t id = info[1].As<Napi::Number>().Uint32Value();
  int rc = ioctl(info[0].As<Napi::Number>().Int32Value(), BACKING_CLOSE_IOCTL, &id);
  return Napi::Number::New(info.Env(), rc < 0 ? -errno : 0);
}

}  // namespace

void InitFuse(Napi::Env env, Napi::Object exports) {
  exports["mountFuse"] = Napi::Function::New(env, MountFuse);
  exports["startSession"] = Napi::Function::New(env, StartSession);
  exports["stopSession"] = Napi::Function::New(env, StopSession);
  exports["fuseReply"] = Napi::Function::New(env, FuseReply);
  exports["fuseNotify"] = Napi::Function::New(env, FuseNotify);
  exports["backingOpen"] = Napi::Function::New(env, BackingOpen);
  exports["backingClose"] = Napi::Function::New(env, BackingClose);
}
