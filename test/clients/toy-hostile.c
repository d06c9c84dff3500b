/*
 * toy-hostile: every system call that a device file or attribute is not for.
 *
 *   cc -O2 -Wall -Wextra -o toy-hostile toy-hostile.c
 *   toy-hostile PATH DIRECTORY
 *
 * PATH is a file of the mount, DIRECTORY a directory in it. Prints "CALL RESULT" per call, RESULT being an errno's name
 * or the number that came back. A call that takes longer than 5 s ends the program by SIGALRM.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/stat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static char inside[4096];
static char outside[] = "/tmp/toy-hostile-XXXXXX";

static const char *in_directory(const char *directory, const char *name) {
  snprintf(inside, sizeof inside, "%s/%s", directory, name);
  return inside;
}

#define TRY(name, call)                                                                                              \
  do {                                                                                                               \
    alarm(60);                                                                                                       \
    errno = 0;                                                                                                       \
    long result = (long)(call);                                                                                      \
    if (result == -1)                                                                                                \
      printf("%s %s\n", name, strerrorname_np(errno));                                                               \
    else                                                                                                             \
      printf("%s %ld\n", name, result);                                                                              \
    fflush(stdout);                                                                                                  \
  } while (0)

/* Whether an open works; closes it again. */
static int try_open(const char *path, int flags) {
  int fd = open(path, flags | O_CLOEXEC, 0666);
  return fd < 0 ? -1 : close(fd);
}

static int bind_in(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (snprintf(address.sun_path, sizeof address.sun_path, "%s", path) >= (int)sizeof address.sun_path)
    exit(1);
  int result = bind(fd, (struct sockaddr *)&address, sizeof address);
  int error = errno;
  close(fd);
  errno = error;
  return result;
}

int main(int argc, char **argv) {
  static char buffer[65536];
  struct statvfs vfs;
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  int pipes[2];

  if (argc != 3)
    return 2;
  const char *path = argv[1], *directory = argv[2];
  int other = mkstemp(outside);
  if (other < 0 || write(other, buffer, 4096) != 4096 || pipe(pipes) != 0)
    return 1;
  unlink(outside);

  int fd = open(path, O_RDWR);
  if (fd < 0) {
    perror(path);
    return 1;
  }
  char self[64];
  snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
  TRY("open-trunc", try_open(path, O_RDWR | O_TRUNC));
  TRY("open-append", try_open(path, O_RDWR | O_APPEND));
  TRY("open-direct", try_open(path, O_RDWR | O_DIRECT));
  TRY("open-sync", try_open(path, O_RDWR | O_SYNC));
  TRY("open-path", try_open(path, O_PATH));
  TRY("open-directory", try_open(path, O_RDONLY | O_DIRECTORY));
  TRY("open-tmpfile", try_open(directory, O_RDWR | O_TMPFILE));
  TRY("reopen", try_open(self, O_RDWR));
  TRY("reopen-trunc", try_open(self, O_RDWR | O_TRUNC));
  int seen = open(path, O_PATH);
  char seen_path[64];
  snprintf(seen_path, sizeof seen_path, "/proc/self/fd/%d", seen);
  TRY("reopen-path", try_open(seen_path, O_RDWR));

  TRY("truncate", truncate(path, 0));
  TRY("ftruncate", ftruncate(fd, 100));
  TRY("ftruncate-huge", ftruncate(fd, 1l << 60));
  TRY("fallocate", fallocate(fd, 0, 0, 4096));
  TRY("punch", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
  TRY("fsync", fsync(fd));
  TRY("seek-end", lseek(fd, 0, SEEK_END) < 0 ? -1 : 0);
  TRY("seek-negative", lseek(fd, -1, SEEK_SET));
  TRY("seek-data", lseek(fd, 0, SEEK_DATA) < 0 ? -1 : 0);
  TRY("seek-set", lseek(fd, 0, SEEK_SET));
  TRY("sendfile-from", sendfile(pipes[1], fd, NULL, 4096) < 0 ? -1 : 0);
  TRY("sendfile-to", sendfile(fd, other, &(off_t){0}, 16) < 0 ? -1 : 0);
  TRY("splice-from", splice(fd, NULL, pipes[1], NULL, 4096, SPLICE_F_NONBLOCK) < 0 ? -1 : 0);
  TRY("splice-to", write(pipes[1], "e", 1) < 0 || splice(pipes[0], NULL, fd, NULL, 1, 0) < 0 ? -1 : 0);
  TRY("copy-range", copy_file_range(other, &(off_t){0}, fd, &(off_t){0}, 16, 0) < 0 ? -1 : 0);
  TRY("clone", ioctl(fd, FICLONE, other));
  TRY("fadvise", -(posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED) != 0));
  TRY("readahead", readahead(fd, 0, 4096));
  TRY("sync-range", sync_file_range(fd, 0, 4096, SYNC_FILE_RANGE_WRITE));
  TRY("lock", fcntl(fd, F_SETLK, &lock));
  TRY("flock", flock(fd, LOCK_EX | LOCK_NB));
  TRY("lease", fcntl(fd, F_SETLEASE, F_RDLCK));
  TRY("getflags", ioctl(fd, FS_IOC_GETFLAGS, buffer));
  TRY("fibmap", ioctl(fd, FIBMAP, buffer));

  TRY("statvfs", fstatvfs(fd, &vfs));

  void *beyond = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 1l << 40);
  TRY("mmap-beyond", beyond == MAP_FAILED ? -1 : munmap(beyond, 4096));
  void *code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
  TRY("mmap-exec", code == MAP_FAILED ? -1 : munmap(code, 4096));
  void *mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  TRY("mmap-sync", mapped == MAP_FAILED ? -1 : msync(mapped, 4096, MS_SYNC));
  TRY("mmap-dontneed", mapped == MAP_FAILED ? -1 : madvise(mapped, 4096, MADV_REMOVE));
  TRY("mmap-populate", mapped == MAP_FAILED ? -1 : madvise(mapped, 4096, MADV_POPULATE_READ));

  TRY("setxattr", setxattr(path, "user.x", "x", 1, 0));
  TRY("getxattr", getxattr(path, "user.x", buffer, 16));
  TRY("listxattr", listxattr(path, buffer, sizeof buffer));
  TRY("removexattr", removexattr(path, "user.x"));
  TRY("utimes", utimensat(AT_FDCWD, path, NULL, 0));
  TRY("chmod-directory", chmod(directory, 0700));
  TRY("chown-directory", chown(directory, 1, 1));
  TRY("access", access(path, R_OK | W_OK));
  TRY("execute", execl(path, path, NULL));

  TRY("link-inside", link(path, in_directory(directory, "linked")));
  TRY("rename", rename(path, in_directory(directory, "renamed")));
  TRY("exchange", renameat2(AT_FDCWD, path, AT_FDCWD, directory, RENAME_EXCHANGE));
  TRY("symlink", symlink("x", in_directory(directory, "symlink")));
  TRY("create", try_open(in_directory(directory, "new"), O_RDWR | O_CREAT));
  TRY("create-exclusive", try_open(in_directory(directory, "new"), O_RDWR | O_CREAT | O_EXCL));
  TRY("mknod", mknod(in_directory(directory, "node"), S_IFCHR | 0666, 0x0103));
  TRY("mkfifo", mkfifo(in_directory(directory, "fifo"), 0666));
  TRY("bind", bind_in(in_directory(directory, "socket")));
  TRY("mkdir", mkdir(in_directory(directory, "directory"), 0777));
  TRY("unlink", unlink(path));
  TRY("rmdir", rmdir(directory));
  TRY("truncate-directory", truncate(directory, 0));
  TRY("long-name", access(in_directory(directory, memset(buffer, 'n', 300)), F_OK));
  TRY("close", close(fd));
  return 0;
}
