/*
 * midway: a client with so many objects that the removal of its device takes a while, in which it goes on working.
 *
 *   cc -O2 -Wall -Wextra -pthread -o midway midway.c
 *   midway NODE OBJECTS
 *
 * It makes OBJECTS memory regions and, as the newest object, a completion channel with a blocked reader. Then THREADS
 * threads make and destroy a PD, over and over, half of them with the ioctl method where there is one. When all have
 * done so once, it prints "ready\n". A thread that is refused tries, once each: to destroy a PD of its own that it has
 * kept, to destroy it again, and to make another. When both event files have told of the removal, it prints one JSON
 * line:
 *
 *   {"channelFirst":B,"fatalFirst":B,"threads":[{"creates":["0","EIO"],"destroys":["0"],"told":[B,B],"kept":"0",
 *    "again":"ENOENT"},...]}
 *
 * channelFirst: the channel had ended and DEVICE_FATAL could not be read yet; fatalFirst: the other way round. creates,
 * destroys: what they came to, repetitions left out. told: whether DEVICE_FATAL could be read before the kept PD was
 * destroyed and when that was done. kept, again: what destroying it came to.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <rdma/ib_user_ioctl_cmds.h>
#include <rdma/ib_user_ioctl_verbs.h>
#include <rdma/ib_user_verbs.h>
#include <rdma/mlx4-abi.h>
#include <rdma/rdma_user_ioctl_cmds.h>

#define THREADS 4
#define MAX_CHANGES 8
/* Between two rounds, and two looks at the event files: the daemon needs a processor, too. */
#define PAUSE_US 500

struct changes {
  int count;
  int errors[MAX_CHANGES];
};

struct worker {
  bool by_ioctl;
  uint32_t kept;
  struct changes creates, destroys;
  bool told_before, told_after;
  int kept_error, again_error;
};

static int device, async_file, channel;
static atomic_bool channel_ended;
/* Threads that have tried to make and destroy something. */
static atomic_int working;
static char page[4096] __attribute__((aligned(4096)));

static void fail(const char *what) {
  perror(what);
  exit(1);
}

/* Sends a command whose response begins with a number; 0 or an errno. */
static int send_command(uint32_t command, void *message, size_t length, void *response, size_t response_length) {
  struct ib_uverbs_cmd_hdr *header = message;
  *header = (struct ib_uverbs_cmd_hdr){command, length / 4, response_length / 4};
  if (response) {
    uint64_t address = (uintptr_t)response;
    memcpy(header + 1, &address, sizeof address);
  }
  return write(device, message, length) == (ssize_t)length ? 0 : errno;
}

static int alloc_pd(uint32_t *handle) {
  struct {
    struct ib_uverbs_cmd_hdr header;
    struct ib_uverbs_alloc_pd body;
  } message = {0};
  struct {
    struct ib_uverbs_alloc_pd_resp core;
    struct mlx4_ib_alloc_pd_resp driver;
  } response;
  int error =
      send_command(IB_USER_VERBS_CMD_ALLOC_PD, &message, sizeof message, &response, sizeof response);
  *handle = response.core.pd_handle;
  return error;
}

static int dealloc_pd_by_write(uint32_t handle) {
  struct {
    struct ib_uverbs_cmd_hdr header;
    struct ib_uverbs_dealloc_pd body;
  } message = {.body.pd_handle = handle};
  return send_command(IB_USER_VERBS_CMD_DEALLOC_PD, &message, sizeof message, NULL, 0);
}

static int dealloc_pd(struct worker *worker, uint32_t handle) {
  struct {
    struct ib_uverbs_ioctl_hdr header;
    struct ib_uverbs_attr attribute;
  } message = {
      .header = {.length = sizeof message,
                 .object_id = UVERBS_OBJECT_PD,
                 .method_id = UVERBS_METHOD_PD_DESTROY,
                 .num_attrs = 1,
                 .driver_id = RDMA_DRIVER_MLX4},
      .attribute = {.attr_id = UVERBS_ATTR_DESTROY_PD_HANDLE, .flags = UVERBS_ATTR_F_MANDATORY, .data = handle},
  };
  if (!worker->by_ioctl)
    return dealloc_pd_by_write(handle);
  if (ioctl(device, RDMA_VERBS_IOCTL, &message) == 0)
    return 0;
  if (errno != ENOTTY)
    return errno;
  worker->by_ioctl = false;
  return dealloc_pd_by_write(handle);
}

static int reg_mr(uint32_t pd) {
  struct {
    struct ib_uverbs_cmd_hdr header;
    struct ib_uverbs_reg_mr body;
  } message = {.body = {.start = (uintptr_t)page,
                        .length = sizeof page,
                        .hca_va = (uintptr_t)page,
                        .pd_handle = pd,
                        .access_flags = 1}};
  struct ib_uverbs_reg_mr_resp response;
  return send_command(IB_USER_VERBS_CMD_REG_MR, &message, sizeof message, &response, sizeof response);
}

static void open_context(const char *node) {
  struct {
    struct ib_uverbs_cmd_hdr header;
    struct ib_uverbs_get_context body;
  } message = {0};
  struct {
    struct ib_uverbs_get_context_resp core;
    struct mlx4_ib_alloc_ucontext_resp driver;
  } response;
  device = open(node, O_RDWR | O_CLOEXEC);
  if (device < 0)
    fail(node);
  errno = send_command(IB_USER_VERBS_CMD_GET_CONTEXT, &message, sizeof message, &response, sizeof response);
  if (errno)
    fail("GET_CONTEXT");
  async_file = response.core.async_fd;
}

static void create_channel(void) {
  struct {
    struct ib_uverbs_cmd_hdr header;
    struct ib_uverbs_create_comp_channel body;
  } message = {0};
  struct ib_uverbs_create_comp_channel_resp response;
  errno =
      send_command(IB_USER_VERBS_CMD_CREATE_COMP_CHANNEL, &message, sizeof message, &response, sizeof response);
  if (errno)
    fail("CREATE_COMP_CHANNEL");
  channel = response.fd;
}

static short poll_bits(int file) {
  struct pollfd asked = {.fd = file, .events = POLLIN};
  poll(&asked, 1, 0);
  return asked.revents;
}

static bool is_told(void) {
  return poll_bits(async_file) & POLLIN;
}

static bool is_channel_closed(void) {
  return channel_ended || (poll_bits(channel) & POLLERR);
}

static void *read_channel(void *unused) {
  uint64_t event;
  if (read(channel, &event, sizeof event) >= 0 || errno != EIO)
    fail("the channel's reader");
  channel_ended = true;
  return unused;
}

/* Notes what a call came to, and returns it. */
static int note(struct changes *changes, int error) {
  bool is_new = changes->count == 0 || changes->errors[changes->count - 1] != error;
  if (is_new && changes->count < MAX_CHANGES)
    changes->errors[changes->count++] = error;
  return error;
}

static void *work(void *argument) {
  struct worker *worker = argument;
  uint32_t pd;
  for (bool succeeded = true, is_first = true; succeeded; is_first = false) {
    succeeded = note(&worker->creates, alloc_pd(&pd)) == 0 && note(&worker->destroys, dealloc_pd(worker, pd)) == 0;
    if (is_first)
      working++;
    usleep(PAUSE_US);
  }
  worker->told_before = is_told();
  worker->kept_error = dealloc_pd(worker, worker->kept);
  worker->told_after = is_told();
  worker->again_error = dealloc_pd(worker, worker->kept);
  note(&worker->creates, alloc_pd(&pd));
  return NULL;
}

static const char *name(int error) {
  return error ? strerrorname_np(error) : "0";
}

static const char *truth(bool value) {
  return value ? "true" : "false";
}

static void print_changes(const char *what, const struct changes *changes) {
  printf("\"%s\":[", what);
  for (int i = 0; i < changes->count; i++)
    printf("%s\"%s\"", i ? "," : "", name(changes->errors[i]));
  printf("],");
}

int main(int argc, char **argv) {
  struct worker workers[THREADS] = {0};
  pthread_t threads[THREADS], reader;
  uint32_t pd;

  if (argc != 3) {
    fputs("usage: midway NODE OBJECTS\n", stderr);
    return 2;
  }
  open_context(argv[1]);
  for (int i = 0; i < THREADS; i++) {
    workers[i].by_ioctl = i % 2;
    errno = alloc_pd(&workers[i].kept);
    if (errno)
      fail("ALLOC_PD");
  }
  errno = alloc_pd(&pd);
  for (int i = atoi(argv[2]); i > 0 && errno == 0; i--)
    errno = reg_mr(pd);
  if (errno)
    fail("making the objects");
  create_channel();
  pthread_create(&reader, NULL, read_channel, NULL);
  for (int i = 0; i < THREADS; i++)
    pthread_create(&threads[i], NULL, work, &workers[i]);
  while (working < THREADS)
    usleep(PAUSE_US);
  puts("ready");
  fflush(stdout);

  bool channel_first = false, fatal_first = false;
  for (bool told = is_told(), closed = false; !told || !closed; told = is_told()) {
    closed = is_channel_closed();
    fatal_first |= told && !closed;
    told = is_told();
    channel_first |= closed && !told;
    usleep(PAUSE_US);
  }
  printf("{\"channelFirst\":%s,\"fatalFirst\":%s,\"threads\":[", truth(channel_first), truth(fatal_first));
  for (int i = 0; i < THREADS; i++) {
    const struct worker *worker = &workers[i];
    pthread_join(threads[i], NULL);
    printf("%s{", i ? "," : "");
    print_changes("creates", &worker->creates);
    print_changes("destroys", &worker->destroys);
    printf("\"told\":[%s,%s],\"kept\":\"%s\",\"again\":\"%s\"}", truth(worker->told_before),
           truth(worker->told_after), name(worker->kept_error), name(worker->again_error));
  }
  puts("]}");
  return 0;
}
