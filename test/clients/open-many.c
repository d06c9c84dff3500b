/*
 * open-many: opens the first RDMA device many times through libibverbs.
 *
 *   cc -O2 -Wall -Wextra -pthread -o open-many open-many.c -libverbs
 *   open-many N          N contexts, all held at once, then closed
 *   open-many --loop N   open and close, N times
 *   open-many --hold N [OBJECTS [READERS]]   N contexts with OBJECTS objects each (a PD and MRs), the first READERS of them with a
 *                        thread that waits for events; prints "holding\n", waits for the end of stdin, and closes
 *
 * Prints, last, one JSON object: {"contexts":N,"open_ms":MS,"close_ms":MS,"ms_per_open_close":MS}, times as decimal
 * fractions; open_ms and close_ms are the sums over all contexts. If an open fails: {"contexts":OPENED,"errno":"EIO"},
 * and if there is no device: {"contexts":0,"errno":"ENODEV"}; the exit status is then 1. Wrong usage: exit with 2.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <infiniband/verbs.h>

struct times {
  double open_ms, close_ms;
};

static double now_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

static void usage(void) {
  fprintf(stderr, "usage: open-many [--loop] N | --hold N [OBJECTS [READERS]]\n");
  exit(2);
}

static void fail(long opened) {
  /* libibverbs does not always set errno. */
  const char *error = errno ? strerrorname_np(errno) : NULL;
  printf("{\"contexts\":%ld,\"errno\":\"%s\"}\n", opened, error ? error : "unknown");
  exit(1);
}

static struct ibv_context *open_timed(struct ibv_device *device, struct times *times, long opened) {
  double start = now_ms();
  errno = 0;
  struct ibv_context *context = ibv_open_device(device);
  if (!context)
    fail(opened);
  times->open_ms += now_ms() - start;
  return context;
}

static void close_timed(struct ibv_context *context, struct times *times) {
  double start = now_ms();
  ibv_close_device(context);
  times->close_ms += now_ms() - start;
}

static void open_in_turn(struct ibv_device *device, long count, struct times *times) {
  for (long i = 0; i < count; i++)
    close_timed(open_timed(device, times, i), times);
}

static void wait_for_end_of_stdin(void) {
  char ignored[256];
  puts("holding");
  fflush(stdout);
  while (read(STDIN_FILENO, ignored, sizeof ignored) > 0)
    continue;
}

/* What each context gets beside itself. */
struct load {
  long objects, readers;
};

/* Reads events until none will come. */
static void *read_events(void *context) {
  struct ibv_async_event event;
  while (ibv_get_async_event(context, &event) == 0) {
    ibv_ack_async_event(&event);
    if (event.event_type == IBV_EVENT_DEVICE_FATAL)
      break;
  }
  return NULL;
}

static void start_reader(struct ibv_context *context) {
  pthread_attr_t small;
  pthread_t reader;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 65536);
  if (pthread_create(&reader, &small, read_events, context) != 0)
    fail(0);
  pthread_detach(reader);
}

static char page[4096] __attribute__((aligned(4096)));

/* A PD and MRs, because there are fewer PDs in a device than contexts may be wanted. */
static void make_objects(struct ibv_context *context, long count) {
  struct ibv_pd *pd = count > 0 ? ibv_alloc_pd(context) : NULL;
  if (count > 0 && !pd)
    fail(0);
  for (long made = 1; made < count; made++)
    if (!ibv_reg_mr(pd, page, sizeof page, 0))
      fail(0);
}

static void load_contexts(struct ibv_context **contexts, long count, struct load load) {
  for (long i = 0; i < count; i++) {
    make_objects(contexts[i], load.objects);
    if (i < load.readers)
      start_reader(contexts[i]);
  }
}

static void open_together(struct ibv_device *device, long count, bool hold, struct load load, struct times *times) {
  struct ibv_context **contexts = calloc(count, sizeof(struct ibv_context *));
  if (!contexts)
    fail(0);
  for (long i = 0; i < count; i++)
    contexts[i] = open_timed(device, times, i);
  load_contexts(contexts, count, load);
  if (hold)
    wait_for_end_of_stdin();
  for (long i = 0; i < count; i++)
    close_timed(contexts[i], times);
  free(contexts);
}

int main(int argc, char **argv) {
  bool loop = argc == 3 && strcmp(argv[1], "--loop") == 0;
  bool hold = argc >= 3 && argc <= 5 && strcmp(argv[1], "--hold") == 0;
  long count = argc > 1 ? strtol(argv[loop || hold ? 2 : 1], NULL, 10) : 0;
  struct load load = {argc > 3 ? strtol(argv[3], NULL, 10) : 0, argc > 4 ? strtol(argv[4], NULL, 10) : 0};
  struct times times = {0};
  int device_count = 0;

  if (count <= 0 || (argc != 2 && !loop && !hold))
    usage();
  struct ibv_device **devices = ibv_get_device_list(&device_count);
  if (!devices || device_count == 0) {
    errno = ENODEV;
    fail(0);
  }
  if (loop)
    open_in_turn(devices[0], count, &times);
  else
    open_together(devices[0], count, hold, load, &times);
  ibv_free_device_list(devices);
  printf("{\"contexts\":%ld,\"open_ms\":%.3f,\"close_ms\":%.3f,\"ms_per_open_close\":%.3f}\n", count, times.open_ms,
         times.close_ms, (times.open_ms + times.close_ms) / count);
  return 0;
}
