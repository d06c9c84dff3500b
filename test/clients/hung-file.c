/*
 * hung-file: a FUSE file system whose only file, `file`, is never read: whoever touches a mapping of it waits.
 *
 *   hung-file MOUNTPOINT
 *
 * Mounts on the existing directory MOUNTPOINT, prints "ready\n" and serves until its connection is aborted (exit code
 * 0) or it is killed; the mount stays, for the caller to detach. Needs CAP_SYS_ADMIN.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILE_NODE 2

static int fuse_fd;

static void fail(const char *what) {
  fprintf(stderr, "hung-file: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void answer(uint64_t unique, int error, const void *payload, size_t length) {
  struct fuse_out_header header = {sizeof header + length, error, unique};
  struct iovec parts[] = {{&header, sizeof header}, {(void *)payload, length}};

  if (writev(fuse_fd, parts, 2) < 0 && errno != ENOENT && errno != ENODEV)
    fail("answer");
}

static struct fuse_attr attributes(uint64_t node) {
  return (struct fuse_attr){
      .ino = node,
      .size = 1 << 20,
      .mode = node == FILE_NODE ? S_IFREG | 0666 : S_IFDIR | 0755,
      .nlink = 1,
  };
}

static void handle(const struct fuse_in_header *in) {
  switch (in->opcode) {
  case FUSE_INIT: {
    struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 4096};
    answer(in->unique, 0, &out, sizeof out);
    return;
  }
  case FUSE_LOOKUP: {
    struct fuse_entry_out out = {.nodeid = FILE_NODE, .attr = attributes(FILE_NODE)};
    answer(in->unique, 0, &out, sizeof out);
    return;
  }
  case FUSE_GETATTR: {
    struct fuse_attr_out out = {.attr = attributes(in->nodeid)};
    answer(in->unique, 0, &out, sizeof out);
    return;
  }
  case FUSE_OPEN: {
    struct fuse_open_out out = {0};
    answer(in->unique, 0, &out, sizeof out);
    return;
  }
  case FUSE_READ:
  case FUSE_FORGET:
  case FUSE_BATCH_FORGET:
  case FUSE_INTERRUPT:
    return;
  case FUSE_FLUSH:
  case FUSE_RELEASE:
    answer(in->unique, 0, NULL, 0);
    return;
  default:
    answer(in->unique, -ENOSYS, NULL, 0);
  }
}

int main(int argc, char **argv) {
  static char message[FUSE_MIN_READ_BUFFER + 4096];
  char options[64];

  if (argc != 2) {
    fprintf(stderr, "usage: hung-file MOUNTPOINT\n");
    return 2;
  }
  fuse_fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  if (fuse_fd < 0)
    fail("/dev/fuse");
  snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0", fuse_fd);
  if (mount("hung-file", argv[1], "fuse.hung-file", MS_NOSUID | MS_NODEV, options) != 0)
    fail(argv[1]);
  puts("ready");
  fflush(stdout);
  for (;;) {
    ssize_t length = read(fuse_fd, message, sizeof message);

    if (length < 0 && errno == ENODEV)
      return 0;
    if (length < 0 && errno != EINTR && errno != ENOENT)
      fail("read");
    if (length >= 0)
      handle((const void *)message);
  }
}
