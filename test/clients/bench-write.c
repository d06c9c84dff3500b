/*
 * bench-write: the round-trip time of one command, sent again and again. Works on a uverbs node of the daemon and on
 * the file of tools/bench/floor/fuse-floor.
 *
 *   cc -O2 -Wall -Wextra -o bench-write bench-write.c
 *   bench-write [--ioctl] [--preamble MESSAGE]... PATH COUNT MESSAGE
 *
 * Opens PATH read-write, sends each preamble once with write(2) (typically GET_CONTEXT), then MESSAGE COUNT/10 times to
 * warm up and COUNT times measured, with write(2) or, given --ioctl, as the argument of RDMA_VERBS_IOCTL. The buffer is
 * filled with MESSAGE anew before each call, outside of the time measured. MESSAGE is the text form of message.h with
 * the places
 *
 *   @R  a response buffer of 1 MiB    @B  another buffer of 1 MiB, zero at first
 *
 * Pin both sides to the same CPUs (taskset) when two servers are compared: whether a wake-up crosses CPUs can matter
 * more than what the server does.
 *
 * Prints {"count":N,"min_ns":N,"median_ns":N,"p99_ns":N,"mean_ns":N} and exits with 0. A call that fails or, for
 * write(2), does not take the whole message ends it: {"call":CALL,"errno":"EINVAL"} on stdout, CALL being "open",
 * "preamble", "warm-up" or "measured", and exit with 1. Wrong usage: exit with 2.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <rdma/rdma_user_ioctl_cmds.h>

#include "message.h"

#define BUFFER_LENGTH (1ul << 20)
#define MAX_PREAMBLES 8

struct message {
  uint8_t *bytes;
  size_t length;
};

struct options {
  bool ioctl;
  struct message preambles[MAX_PREAMBLES];
  int preamble_count;
  const char *path;
  long count;
  struct message message;
};

static _Alignas(4096) uint8_t response[BUFFER_LENGTH];
static _Alignas(4096) uint8_t scratch[BUFFER_LENGTH];

static bool find(void *context, char letter, unsigned long index, uint64_t *address) {
  (void)context, (void)index;
  *address = (uintptr_t)(letter == 'R' ? response : scratch);
  return letter == 'R' || letter == 'B';
}

static void usage(void) {
  fprintf(stderr, "usage: bench-write [--ioctl] [--preamble MESSAGE]... PATH COUNT MESSAGE\n");
  exit(2);
}

static void fail(const char *call) {
  const char *error = strerrorname_np(errno);
  printf("{\"call\":\"%s\",\"errno\":\"%s\"}\n", call, error ? error : "unknown");
  exit(1);
}

static struct message message_of(const char *text) {
  struct message message;
  message.bytes = parse_message(text, find, NULL, &message.length);
  if (!message.bytes)
    usage();
  return message;
}

static struct options parse_options(int argc, char **argv) {
  struct options options = {0};
  int at = 1;

  for (; at < argc && strncmp(argv[at], "--", 2) == 0; at++) {
    if (strcmp(argv[at], "--ioctl") == 0)
      options.ioctl = true;
    else if (strcmp(argv[at], "--preamble") == 0 && at + 1 < argc && options.preamble_count < MAX_PREAMBLES)
      options.preambles[options.preamble_count++] = message_of(argv[++at]);
    else
      usage();
  }
  if (argc - at != 3)
    usage();
  options.path = argv[at];
  options.count = strtol(argv[at + 1], NULL, 10);
  options.message = message_of(argv[at + 2]);
  if (options.count <= 0)
    usage();
  return options;
}

static bool send_message(int fd, bool by_ioctl, const void *bytes, size_t length) {
  if (by_ioctl)
    return ioctl(fd, RDMA_VERBS_IOCTL, bytes) >= 0;
  return write(fd, bytes, length) == (ssize_t)length;
}

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000ll + time.tv_nsec;
}

static void measure(int fd, const struct options *options, const char *phase, int64_t *times, long count) {
  const struct message *message = &options->message;
  uint8_t *buffer = malloc(message->length + 1);

  for (long i = 0; i < count; i++) {
    memcpy(buffer, message->bytes, message->length);
    int64_t start = now();
    bool sent = send_message(fd, options->ioctl, buffer, message->length);
    times[i] = now() - start;
    if (!sent)
      fail(phase);
  }
  free(buffer);
}

static int compare(const void *left, const void *right) {
  int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
  return (a > b) - (a < b);
}

static void print_times(int64_t *times, long count) {
  double sum = 0;
  for (long i = 0; i < count; i++)
    sum += times[i];
  qsort(times, count, sizeof *times, compare);
  printf("{\"count\":%ld,\"min_ns\":%ld,\"median_ns\":%ld,\"p99_ns\":%ld,\"mean_ns\":%.0f}\n", count, (long)times[0],
         (long)times[count / 2], (long)times[(long)(count * 0.99)], sum / count);
}

int main(int argc, char **argv) {
  struct options options = parse_options(argc, argv);
  int64_t *times = malloc(options.count * sizeof *times);
  int fd = open(options.path, O_RDWR | O_CLOEXEC);

  if (fd < 0 || !times)
    fail("open");
  for (int i = 0; i < options.preamble_count; i++)
    if (!send_message(fd, false, options.preambles[i].bytes, options.preambles[i].length))
      fail("preamble");
  measure(fd, &options, "warm-up", times, options.count / 10);
  measure(fd, &options, "measured", times, options.count);
  print_times(times, options.count);
  return 0;
}
