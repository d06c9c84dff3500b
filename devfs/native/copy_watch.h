// Ends copies from and to the memory of clients that do not end by themselves.
#pragma once

#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

// Around each copy, by one thread. `remote` stays as it is until the end.
void BeginCopy(pid_t tid, const iovec* remote, size_t count);
void EndCopy();

// A mount of our own: its connection is never aborted.
void SpareFromAbort(const char* mountpoint);

// A FUSE connection of our own, whose thread cannot answer while it copies.
class OwnConnection {
 public:
  // Called by another thread while a copy waits for a page of one of our files. Must not wait.
  virtual void Rescue() = 0;

 protected:
  void Register();
  // Afterwards `Rescue` does not run any more.
  void Unregister();
  ~OwnConnection() = default;
};

// Minor device number of the file system that was cut off last, once; 0 if none was.
unsigned TakeAborted();
