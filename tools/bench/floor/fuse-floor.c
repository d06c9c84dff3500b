/*
 * fuse-floor: the least a FUSE server can do, as the floor that the benchmark compares the daemon with.
 *
 *   cc -O2 -Wall -Wextra -o fuse-floor fuse-floor.c
 *   fuse-floor [--memory BYTES] MOUNTPOINT
 *
 * Mounts on the existing directory MOUNTPOINT a file system with one file, `device`, prints "ready\n" on stdout, and
 * serves until stdin reaches its end or SIGTERM, SIGINT or SIGHUP arrives; then it unmounts and exits with 0. So stdin
 * must be something that stays open: a pipe or a terminal, not /dev/null. Needs CAP_SYS_ADMIN.
 *
 * The file behaves towards the kernel as a uverbs node of the daemon does: a fresh inode for every lookup, a huge size,
 * FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES, and FOPEN_PASSTHROUGH with a memfd where the kernel (6.9 on) offers
 * it. A write is answered with its own count, an ioctl with 0, at once and by one thread that blocks in read(2).
 *
 *   --memory BYTES   before a write is answered, put BYTES zero bytes (at most 1 MiB) at the address that the write
 *                    holds as u64 at its byte 8, where a uverbs command has `response`: the answer then costs what an
 *                    answer with a response of that size must. A write too short to hold the address: EINVAL; a bad
 *                    address: the errno of process_vm_writev(2), i.e. EFAULT. Before an ioctl is answered, read what
 *                    its argument's first u16 says there is behind the 24 bytes of its header, as attributes of 16
 *                    bytes (u16 id, len, flags, reserved; u64 data), and put as many zero bytes as the last one has
 *                    room for, at most BYTES, where its data points, and its flags again where they were.
 *
 * Protocol: Documentation/filesystems/fuse and include/uapi/linux/fuse.h.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/*
 * Passthrough came with protocol 7.40. Headers older than that (Debian 12: 7.38) lack these, and those that have them
 * name the two structure members which older ones call padding; so all of it is spelled out here under other names.
 */
#define FLOOR_MINOR 40
#define FLOOR_INIT_PASSTHROUGH (1u << (37 - 32)) /* in flags2 */
#define FLOOR_OPEN_PASSTHROUGH (1u << 7)

struct floor_backing_map {
  int32_t fd;
  uint32_t flags;
  uint64_t padding;
};
#define FLOOR_BACKING_OPEN _IOW(229, 1, struct floor_backing_map)

struct floor_open_out {
  uint64_t fh;
  uint32_t open_flags;
  int32_t backing_id;
};

#define MAX_WRITE (128u << 10)
#define MAX_MEMORY (1u << 20)
#define DEVICE_NAME "device"
/* Writes beyond the size would be serialised by the inode lock; no write reaches this one. */
#define DEVICE_SIZE (1ull << 62)

/* A handler's result: the number of payload bytes to send, a negative errno, or this. */
#define NO_REPLY (-4096)

struct request {
  struct fuse_in_header header;
  uint8_t body[MAX_WRITE + 4096];
};

struct reply {
  struct fuse_out_header header;
  union {
    struct fuse_init_out init;
    struct fuse_entry_out entry;
    struct fuse_attr_out attr;
    struct floor_open_out open;
    struct fuse_write_out write;
    struct fuse_ioctl_out ioctl;
    struct fuse_statfs_out statfs;
    uint8_t bytes[256];
  };
};

static int fuse_fd;
static int backing_id; /* 0: no passthrough */
static bool passthrough_offered;
static uint64_t last_node = FUSE_ROOT_ID;
static size_t memory_bytes;
static uint8_t memory_source[MAX_MEMORY];
static const char *mount_point;
static bool mounted;

static void die(const char *what) {
  fprintf(stderr, "fuse-floor: %s: %s\n", what, strerror(errno));
  if (mounted)
    umount2(mount_point, MNT_DETACH);
  exit(1);
}

static void fill_attr(struct fuse_attr *attr, uint64_t node) {
  bool root = node == FUSE_ROOT_ID;
  attr->ino = node;
  attr->size = root ? 0 : DEVICE_SIZE;
  attr->mode = root ? S_IFDIR | 0755 : S_IFREG | 0666;
  attr->nlink = root ? 2 : 1;
  attr->blksize = 4096;
}

static int handle_init(const struct request *request, struct reply *reply) {
  const struct fuse_init_in *in = (const void *)request->body;
  struct fuse_init_out *out = &reply->init;
  bool extended = in->minor >= 36 && (in->flags & FUSE_INIT_EXT);

  passthrough_offered = extended && (in->flags2 & FLOOR_INIT_PASSTHROUGH);
  out->major = FUSE_KERNEL_VERSION;
  out->minor = in->minor < FLOOR_MINOR ? in->minor : FLOOR_MINOR;
  out->max_readahead = in->max_readahead;
  out->flags = FUSE_BIG_WRITES | FUSE_MAX_PAGES;
  out->max_background = 16;
  out->congestion_threshold = 12;
  out->max_write = MAX_WRITE;
  out->max_pages = MAX_WRITE / 4096;
  out->time_gran = 1;
  if (passthrough_offered) {
    out->flags |= FUSE_INIT_EXT;
    out->flags2 = FLOOR_INIT_PASSTHROUGH;
    out->unused[0] = 1; /* max_stack_depth: a memfd is no stacked file system */
  }
  return sizeof *out;
}

/* entry_valid stays 0, so that each open begins with a lookup of its own, as the daemon needs it. */
static int handle_lookup(const struct request *request, struct reply *reply) {
  if (request->header.nodeid != FUSE_ROOT_ID || strcmp((const char *)request->body, DEVICE_NAME) != 0)
    return -ENOENT;
  reply->entry.nodeid = ++last_node;
  fill_attr(&reply->entry.attr, last_node);
  return sizeof reply->entry;
}

/* Inodes are only numbers here: nothing to give back. */
static int handle_silently(const struct request *request, struct reply *reply) {
  (void)request, (void)reply;
  return NO_REPLY;
}

static int handle_empty(const struct request *request, struct reply *reply) {
  (void)request, (void)reply;
  return 0;
}

static int handle_getattr(const struct request *request, struct reply *reply) {
  fill_attr(&reply->attr.attr, request->header.nodeid);
  return sizeof reply->attr;
}

static int handle_open(const struct request *request, struct reply *reply) {
  (void)request;
  reply->open.open_flags = FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES;
  if (backing_id > 0) {
    reply->open.open_flags |= FLOOR_OPEN_PASSTHROUGH;
    reply->open.backing_id = backing_id;
  }
  return sizeof reply->open;
}

static int handle_opendir(const struct request *request, struct reply *reply) {
  (void)request;
  return sizeof reply->open;
}

static size_t add_dirent(uint8_t *at, uint64_t node, uint64_t next, uint32_t type, const char *name) {
  struct fuse_dirent *entry = (void *)at;
  entry->ino = node;
  entry->off = next;
  entry->namelen = strlen(name);
  entry->type = type >> 12;
  memcpy(entry->name, name, entry->namelen);
  return FUSE_DIRENT_SIZE(entry);
}

static int handle_readdir(const struct request *request, struct reply *reply) {
  const struct fuse_read_in *in = (const void *)request->body;
  size_t length = 0;

  /* The three entries always fit, so a second call can only ask for what comes after them. */
  if (in->offset != 0)
    return 0;
  length += add_dirent(reply->bytes + length, FUSE_ROOT_ID, 1, S_IFDIR, ".");
  length += add_dirent(reply->bytes + length, FUSE_ROOT_ID, 2, S_IFDIR, "..");
  length += add_dirent(reply->bytes + length, FUSE_ROOT_ID + 1, 3, S_IFREG, DEVICE_NAME);
  return length;
}

/* A uverbs node has no read. */
static int handle_read(const struct request *request, struct reply *reply) {
  (void)request, (void)reply;
  return -EINVAL;
}

/* The header and the most attributes that uverbs takes. */
#define IOCTL_HEADER 24
#define IOCTL_LENGTH 4096

struct attribute {
  uint16_t id, length, flags, reserved;
  uint64_t data;
};

static int answer_attributes(pid_t thread, const struct fuse_ioctl_in *in) {
  static struct attribute attributes[(IOCTL_LENGTH - IOCTL_HEADER) / sizeof(struct attribute)];
  uint16_t length;
  if (in->in_size != IOCTL_HEADER)
    return -ENOTTY;
  memcpy(&length, in + 1, sizeof length);
  if (length < IOCTL_HEADER + sizeof *attributes || length > IOCTL_LENGTH)
    return -EINVAL;
  struct iovec local = {attributes, length - IOCTL_HEADER};
  struct iovec remote = {(void *)(uintptr_t)(in->arg + IOCTL_HEADER), local.iov_len};
  if (process_vm_readv(thread, &local, 1, &remote, 1, 0) != (ssize_t)local.iov_len)
    return -EFAULT;
  size_t last = local.iov_len / sizeof *attributes - 1;
  struct attribute *answered = &attributes[last];
  uint64_t flags = in->arg + IOCTL_HEADER + last * sizeof *attributes + offsetof(struct attribute, flags);
  size_t bytes = answered->length < memory_bytes ? answered->length : memory_bytes;
  struct iovec sources[] = {{memory_source, bytes}, {&answered->flags, sizeof answered->flags}};
  struct iovec targets[] = {{(void *)(uintptr_t)answered->data, bytes},
                            {(void *)(uintptr_t)flags, sizeof answered->flags}};
  ssize_t written = process_vm_writev(thread, sources, 2, targets, 2, 0);
  return written == (ssize_t)(bytes + sizeof answered->flags) ? 0 : -EFAULT;
}

static int write_response(pid_t thread, const uint8_t *data, size_t size) {
  uint64_t address;
  if (size < 16)
    return -EINVAL;
  memcpy(&address, data + 8, sizeof address);
  struct iovec local = {memory_source, memory_bytes};
  struct iovec remote = {(void *)(uintptr_t)address, memory_bytes};
  ssize_t written = process_vm_writev(thread, &local, 1, &remote, 1, 0);
  if (written < 0)
    return -errno;
  return (size_t)written == memory_bytes ? 0 : -EFAULT;
}

static int handle_write(const struct request *request, struct reply *reply) {
  const struct fuse_write_in *in = (const void *)request->body;
  if (memory_bytes > 0) {
    int error = write_response(request->header.pid, request->body + sizeof *in, in->size);
    if (error < 0)
      return error;
  }
  reply->write.size = in->size;
  return sizeof reply->write;
}

/* 'Restricted': the kernel would copy data that follows the structure over the caller's header. */
static int handle_ioctl(const struct request *request, struct reply *reply) {
  if (memory_bytes > 0) {
    int error = answer_attributes(request->header.pid, (const void *)request->body);
    if (error < 0)
      return error;
  }
  return sizeof reply->ioctl;
}

static int handle_statfs(const struct request *request, struct reply *reply) {
  (void)request;
  reply->statfs.st.bsize = 4096;
  reply->statfs.st.namelen = 255;
  return sizeof reply->statfs;
}

/* What is not here is answered ENOSYS; for FLUSH and the extended attributes the kernel then stops asking. */
static int (*const handlers[])(const struct request *, struct reply *) = {
    [FUSE_INIT] = handle_init,          [FUSE_LOOKUP] = handle_lookup,       [FUSE_FORGET] = handle_silently,
    [FUSE_GETATTR] = handle_getattr,    [FUSE_OPEN] = handle_open,           [FUSE_READ] = handle_read,
    [FUSE_WRITE] = handle_write,        [FUSE_IOCTL] = handle_ioctl,         [FUSE_RELEASE] = handle_empty,
    [FUSE_OPENDIR] = handle_opendir,    [FUSE_READDIR] = handle_readdir,     [FUSE_RELEASEDIR] = handle_empty,
    [FUSE_INTERRUPT] = handle_silently, [FUSE_BATCH_FORGET] = handle_silently, [FUSE_STATFS] = handle_statfs,
    [FUSE_DESTROY] = handle_empty,
};

/* Reads one request. False when the file system has been unmounted. */
static bool receive(struct request *request) {
  for (;;) {
    ssize_t length = read(fuse_fd, request, sizeof *request);
    if (length >= (ssize_t)sizeof request->header)
      return true;
    if (length >= 0 || errno == ENODEV)
      return false;
    /* ENOENT: the request was interrupted before it could be read. */
    if (errno != EINTR && errno != EAGAIN && errno != ENOENT)
      die("read /dev/fuse");
  }
}

static void serve_one(const struct request *request) {
  static struct reply reply;
  uint32_t opcode = request->header.opcode;
  int result = -ENOSYS;

  memset(&reply, 0, sizeof reply);
  if (opcode < sizeof handlers / sizeof *handlers && handlers[opcode])
    result = handlers[opcode](request, &reply);
  if (result == NO_REPLY)
    return;
  reply.header.unique = request->header.unique;
  reply.header.error = result < 0 ? result : 0;
  reply.header.len = sizeof reply.header + (result < 0 ? 0 : result);
  /* ENOENT: the caller was killed meanwhile. */
  if (write(fuse_fd, &reply, reply.header.len) < 0 && errno != ENOENT)
    fprintf(stderr, "fuse-floor: reply to opcode %u: %s\n", opcode, strerror(errno));
}

/*
 * One backing file for all inodes. The daemon has one for each, but which one it is plays no part in the time that a
 * write takes.
 */
static void register_backing(void) {
  int fd = memfd_create("fuse-floor", MFD_CLOEXEC);
  if (fd < 0 || ftruncate(fd, 16 * 4096) < 0)
    die("memfd");
  struct floor_backing_map map = {.fd = fd};
  backing_id = ioctl(fuse_fd, FLOOR_BACKING_OPEN, &map);
  if (backing_id <= 0)
    fprintf(stderr, "fuse-floor: no passthrough: %s\n", strerror(errno));
  close(fd);
}

/*
 * Waits for the end, unmounts and exits. A thread of its own, so that the serving thread can block in read(2) with
 * nothing else to look at; leaving by _exit ends the session even while someone still holds the file open.
 */
static void *watch(void *signals) {
  struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                         {.fd = signalfd(-1, signals, SFD_CLOEXEC), .events = POLLIN}};
  char ignored[256];

  for (;;) {
    if (poll(fds, 2, -1) < 0)
      continue;
    if (fds[1].revents || (fds[0].revents && read(STDIN_FILENO, ignored, sizeof ignored) <= 0))
      break;
  }
  umount2(mount_point, MNT_DETACH);
  _exit(0);
}

static void mount_floor(void) {
  char options[128];
  fuse_fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  if (fuse_fd < 0)
    die("/dev/fuse");
  snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=%u,group_id=%u,allow_other", fuse_fd, getuid(),
           getgid());
  if (mount("fuse-floor", mount_point, "fuse.floor", MS_NOSUID | MS_NODEV, options) < 0)
    die(mount_point);
  mounted = true;
}

static void parse_arguments(int argc, char **argv) {
  char *end = "";
  if (argc == 4 && strcmp(argv[1], "--memory") == 0)
    memory_bytes = strtoul(argv[2], &end, 10);
  else if (argc != 2)
    argc = 0;
  if (argc == 0 || *end != '\0' || memory_bytes > MAX_MEMORY || argv[argc - 1][0] == '-') {
    fprintf(stderr, "usage: fuse-floor [--memory BYTES] MOUNTPOINT\n");
    exit(2);
  }
  mount_point = argv[argc - 1];
}

int main(int argc, char **argv) {
  static struct request request;
  static sigset_t signals; /* the watcher's for as long as the process lives */
  pthread_t watcher;

  parse_arguments(argc, argv);
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
  sigprocmask(SIG_BLOCK, &signals, NULL);
  mount_floor();
  errno = pthread_create(&watcher, NULL, watch, &signals);
  if (errno != 0)
    die("pthread_create");

  /* The kernel sends INIT first and nothing else until that is answered. */
  if (receive(&request))
    serve_one(&request);
  if (passthrough_offered)
    register_backing();
  puts("ready");
  fflush(stdout);
  while (receive(&request))
    serve_one(&request);
  return 0;
}
