// Shared pages (memfd) and the memory of other processes.
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "addon.h"
#include "copy_watch.h"

namespace {

Napi::Value Memfd(const Napi::CallbackInfo& info) {
  std::string name = info[0].As<Napi::String>();
  int fd = memfd_create(name.c_str(), MFD_CLOEXEC);
  if (fd < 0) return Napi::Number::New(info.Env(), -errno);
  if (ftruncate(fd, info[1].As<Napi::Number>().Int64Value()) != 0) {
    int error = errno;
    close(fd);
    return Napi::Number::New(info.Env(), -error);
  }
  return Napi::Number::New(info.Env(), fd);
}

Napi::Value MapShared(const Napi::CallbackInfo& info) {
  size_t bytes = static_cast<size_t>(info[1].As<Napi::Number>().Int64Value());
  void* address =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, info[0].As<Napi::Number>(), 0);
  if (address == MAP_FAILED) {
    Napi::Error::New(info.Env(), "mmap of shared pages failed: errno " + std::to_string(errno))
        .ThrowAsJavaScriptException();
    return info.Env().Undefined();
  }
  return Napi::ArrayBuffer::New(info.Env(), address, bytes,
                                [bytes](Napi::Env, void* data) { munmap(data, bytes); });
}

typedef ssize_t (*Transfer)(pid_t, const iovec*, unsigned long, const iovec*, unsigned long,
                            unsigned long);

// Bytes, or -errno.
Napi::Value Copy(Napi::Env env, Transfer transfer, pid_t tid, const iovec& local, const iovec* remote,
                 size_t count) {
  BeginCopy(tid, remote, count);
  const ssize_t n = transfer(tid, &local, 1, remote, count, 0);
  const int error = errno;
  EndCopy();
  return Napi::Number::New(env, static_cast<double>(n < 0 ? -error : n));
}

// Arguments: tid, address, bytes, offset, length. One call for both directions: only the system call differs.
template <Transfer transfer>
Napi::Value Move(const Napi::CallbackInfo& info) {
  bool lossless = false;
  uint64_t address = info[1].As<Napi::BigInt>().Uint64Value(&lossless);
  Napi::Uint8Array bytes = info[2].As<Napi::Uint8Array>();
  size_t offset = info[3].As<Napi::Number>().Uint32Value();
  size_t length = info[4].As<Napi::Number>().Uint32Value();
  if (!lossless || offset > bytes.ByteLength() || length > bytes.ByteLength() - offset)
    return Napi::Number::New(info.Env(), -EINVAL);
  iovec local = {bytes.Data() + offset, length};
  iovec remote = {reinterpret_cast<void*>(address), length};
  return Copy(info.Env(), transfer, info[0].As<Napi::Number>().Int32Value(), local, &remote, 1);
}

// As many as process_vm_writev takes (UIO_MAXIOV).
const size_t kMaxVectors = 1024;

// The arrays of one vectorWriter, which are found once instead of at each call.
struct VectorWriter {
  Napi::ObjectReference bytesReference, vectorsReference;
  uint8_t* bytes;
  size_t bytesLength;
  const iovec* vectors;
  size_t maxVectors;

  // Arguments: tid, count.
  Napi::Value Write(const Napi::CallbackInfo& info) {
    size_t count = info[1].As<Napi::Number>().Uint32Value();
    if (count > maxVectors) return Napi::Number::New(info.Env(), -EINVAL);
    iovec local = {bytes, 0};
    for (size_t i = 0; i < count; i++) {
      if (vectors[i].iov_len > bytesLength - local.iov_len) return Napi::Number::New(info.Env(), -EINVAL);
      local.iov_len += vectors[i].iov_len;
    }
    return Copy(info.Env(), process_vm_writev, info[0].As<Napi::Number>().Int32Value(), local, vectors, count);
  }
};

// Arguments: bytes, vectors. JavaScript fills the vectors as an array of struct iovec.
Napi::Value NewVectorWriter(const Napi::CallbackInfo& info) {
  static_assert(sizeof(iovec) == 2 * sizeof(uint64_t), "a vector is an address and a length");
  Napi::Uint8Array bytes = info[0].As<Napi::Uint8Array>();
  Napi::BigUint64Array vectors = info[1].As<Napi::BigUint64Array>();
  VectorWriter* writer = new VectorWriter{
      Napi::Persistent(bytes.As<Napi::Object>()), Napi::Persistent(vectors.As<Napi::Object>()),
      bytes.Data(), bytes.ByteLength(),
      reinterpret_cast<const iovec*>(vectors.Data()), std::min(kMaxVectors, vectors.ByteLength() / sizeof(iovec))};
  // The function is kept for as long as the process lives, and so is its writer.
  writer->bytesReference.SuppressDestruct();
  writer->vectorsReference.SuppressDestruct();
  return Napi::Function::New(info.Env(),
                             [writer](const Napi::CallbackInfo& call) { return writer->Write(call); });
}

Napi::Value TakeAbortedFileSystem(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), TakeAborted());
}

}  // namespace

void InitMemory(Napi::Env env, Napi::Object exports) {
  exports["memfd"] = Napi::Function::New(env, Memfd);
  exports["mapShared"] = Napi::Function::New(env, MapShared);
  exports["readMemory"] = Napi::Function::New(env, Move<process_vm_readv>);
  exports["writeMemory"] = Napi::Function::New(env, Move<process_vm_writev>);
  exports["takeAbortedFileSystem"] = Napi::Function::New(env, TakeAbortedFileSystem);
  exports["vectorWriter"] = Napi::Function::New(env, NewVectorWriter);
}
