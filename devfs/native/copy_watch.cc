// A copy waits for whatever backs the client's page. If that is a file system of some user (FUSE), that user decides
// how long, and every other client of the daemon waits, too. So a thread watches over the copies and aborts the
// connection of a file system that keeps one waiting; the copy then fails with EFAULT. If the file is one of our own, the
// thread refuses the page. It sleeps while there are no copies.
#include "copy_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/mount.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace {

const timespec kTick = {0, 250 * 1000 * 1000};
const int kPatienceTicks = 12;
const timespec kRescueTick = {0, 1000 * 1000};
const int kRescues = 100;

// Odd while a copy is under way.
std::atomic<uint32_t> sequence{0};
// 1 while the thread looks at the sequence, 0 while it sleeps until a copy begins.
std::atomic<uint32_t> awake{0};
std::atomic<unsigned> aborted{0};
std::atomic<pid_t> copyTid;
std::atomic<const iovec*> copyRemote;
std::atomic<size_t> copyCount;
// Never destroyed: the thread outlives the end of main.
std::mutex& sparedMutex = *new std::mutex;
std::set<std::string>& spared = *new std::set<std::string>;
std::mutex& ownMutex = *new std::mutex;
std::set<OwnConnection*>& own = *new std::set<OwnConnection*>;

void Futex(int operation, uint32_t value) {
  syscall(SYS_futex, &awake, operation | FUTEX_PRIVATE_FLAG, value, nullptr, nullptr, 0);
}

std::vector<std::string> LinesOf(const std::string& path) {
  std::vector<std::string> lines;
  std::unique_ptr<FILE, int (*)(FILE*)> file(fopen(path.c_str(), "re"), fclose);
  char* line = nullptr;
  size_t room = 0;
  while (file && getline(&line, &room, file.get()) >= 0) lines.emplace_back(line);
  free(line);
  return lines;
}

bool Touches(uint64_t start, uint64_t end, const std::vector<iovec>& ranges) {
  return std::any_of(ranges.begin(), ranges.end(), [start, end](const iovec& range) {
    const uint64_t base = reinterpret_cast<uint64_t>(range.iov_base);
    return base < end && start < base + range.iov_len;
  });
}

// Minor numbers of the file systems without a disk (major 0) that back some of the memory.
std::set<unsigned> FileSystemsBehind(pid_t tid, const std::vector<iovec>& ranges) {
  std::set<unsigned> minors;
  for (const std::string& line : LinesOf("/proc/" + std::to_string(tid) + "/maps")) {
    unsigned long start, end;
    unsigned major, minor;
    if (sscanf(line.c_str(), "%lx-%lx %*s %*s %x:%x", &start, &end, &major, &minor) != 4) continue;
    if (major == 0 && minor != 0 && Touches(start, end, ranges)) minors.insert(minor);
  }
  return minors;
}

bool IsSpared(unsigned minor) {
  const std::lock_guard<std::mutex> lock(sparedMutex);
  for (const std::string& line : LinesOf("/proc/self/mountinfo")) {
    unsigned major, itsMinor;
    char mountpoint[4097];
    if (sscanf(line.c_str(), "%*d %*d %u:%u %*s %4096s", &major, &itsMinor, mountpoint) != 3) continue;
    if (major == 0 && itsMinor == minor && spared.count(mountpoint) > 0) return true;
  }
  return false;
}

// A file of the fusectl file system, which need not be mounted anywhere.
int OpenAbortFile(unsigned minor) {
  const std::string name = std::to_string(minor) + "/abort";
  const int context = syscall(SYS_fsopen, "fusectl", FSOPEN_CLOEXEC);
  if (context < 0) return -1;
  syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0);
  const int root = syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0);
  close(context);
  if (root < 0) return -1;
  const int file = openat(root, name.c_str(), O_WRONLY | O_CLOEXEC);
  close(root);
  return file;
}

// What is no FUSE file system has no such file, and is left alone.
void Abort(unsigned minor) {
  const int file = OpenAbortFile(minor);
  if (file < 0) return;
  // Before the write: the copy may end, and be explained, before it returns.
  aborted = minor;
  if (write(file, "1", 1) != 1) aborted = 0;
  close(file);
}

void RescueOwn(uint32_t stalled) {
  for (int i = 0; i < kRescues && sequence == stalled; i++) {
    {
      const std::lock_guard<std::mutex> lock(ownMutex);
      for (OwnConnection* connection : own) connection->Rescue();
    }
    nanosleep(&kRescueTick, nullptr);
  }
}

void EndStalledCopy(uint32_t stalled, bool patient) {
  const pid_t tid = copyTid;
  const iovec* remote = copyRemote;
  const std::vector<iovec> ranges(remote, remote + copyCount);
  if (sequence != stalled) return;
  for (unsigned minor : FileSystemsBehind(tid, ranges)) {
    if (sequence != stalled) return;
    if (IsSpared(minor))
      RescueOwn(stalled);
    else if (!patient)
      Abort(minor);
  }
}

void Watch() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, nullptr);
  pthread_setname_np(pthread_self(), "devfs-copies");
  for (;;) {
    while (awake == 0) Futex(FUTEX_WAIT, 0);
    uint32_t seen = sequence;
    for (int ticks = 0; awake == 1;) {
      nanosleep(&kTick, nullptr);
      const uint32_t now = sequence;
      const bool copying = now % 2 == 1;
      if (now != seen) {
        seen = now;
        ticks = 0;
      } else if (copying) {
        EndStalledCopy(now, ++ticks % kPatienceTicks != 0);
      } else {
        awake = 0;
        // A copy that began before it could see this.
        if (sequence != seen) awake = 1;
      }
    }
  }
}

}  // namespace

void BeginCopy(pid_t tid, const iovec* remote, size_t count) {
  static const bool started = [] {
    std::thread(Watch).detach();
    return true;
  }();
  static_cast<void>(started);
  copyTid.store(tid, std::memory_order_relaxed);
  copyRemote.store(remote, std::memory_order_relaxed);
  copyCount.store(count, std::memory_order_relaxed);
  sequence.store(sequence.load(std::memory_order_relaxed) + 1);
  if (awake == 1) return;
  awake = 1;
  Futex(FUTEX_WAKE, 1);
}

void EndCopy() { sequence.store(sequence.load(std::memory_order_relaxed) + 1, std::memory_order_release); }

void SpareFromAbort(const char* mountpoint) {
  const std::lock_guard<std::mutex> lock(sparedMutex);
  spared.insert(mountpoint);
}

void OwnConnection::Register() {
  const std::lock_guard<std::mutex> lock(ownMutex);
  own.insert(this);
}

void OwnConnection::Unregister() {
  const std::lock_guard<std::mutex> lock(ownMutex);
  own.erase(this);
}

unsigned TakeAborted() { return aborted.exchange(0); }
