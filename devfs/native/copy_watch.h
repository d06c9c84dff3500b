// Ends copies from and to the memory of clients that do not end by themselves.
#pragma once

#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

// Around each copy, by one thread. `remote` stays as it is until the end.
void BeginCopy(pid_t tid, const iovec* remote, size_t count);
void EndCopy();

// A file system of our own: its connection is never aborted.
void SpareFromAbort(const char* mountpoint);

// Minor device number of the file system that was cut off last, once; 0 if none was.
unsigned TakeAborted();
