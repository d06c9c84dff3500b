/*
 * open-close: the time that a file takes to be opened and closed, as the floor of opening and closing an RDMA device.
 *
 *   cc -O2 -Wall -Wextra -o open-close open-close.c
 *   open-close PATH N         N times open(2), fstat(2), close(2)
 *   open-close --hold PATH N  open(2) N times, then close all of them
 *
 * Prints {"count":N,"open_ms":MS,"close_ms":MS,"ms_per_open_close":MS}; open_ms (with fstat) and close_ms are sums. A
 * failed open: {"count":OPENED,"errno":"EMFILE"} and exit with 1. Wrong usage: exit with 2.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static double open_ms, close_ms;

static double now_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

static void usage(void) {
  fprintf(stderr, "usage: open-close [--hold] PATH N\n");
  exit(2);
}

static int open_timed(const char *path, long opened) {
  struct stat status;
  double start = now_ms();
  int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &status) < 0) {
    const char *error = strerrorname_np(errno);
    printf("{\"count\":%ld,\"errno\":\"%s\"}\n", opened, error ? error : "unknown");
    exit(1);
  }
  open_ms += now_ms() - start;
  return fd;
}

static void close_timed(int fd) {
  double start = now_ms();
  close(fd);
  close_ms += now_ms() - start;
}

int main(int argc, char **argv) {
  bool hold = argc == 4 && strcmp(argv[1], "--hold") == 0;
  if (argc != 3 && !hold)
    usage();
  const char *path = argv[argc - 2];
  long count = strtol(argv[argc - 1], NULL, 10);
  int *fds = calloc(count > 0 ? count : 1, sizeof *fds);
  if (count <= 0 || !fds)
    usage();

  for (long i = 0; i < count; i++) {
    fds[i] = open_timed(path, i);
    if (!hold)
      close_timed(fds[i]);
  }
  for (long i = 0; hold && i < count; i++)
    close_timed(fds[i]);
  printf("{\"count\":%ld,\"open_ms\":%.4f,\"close_ms\":%.4f,\"ms_per_open_close\":%.4f}\n", count, open_ms, close_ms,
         (open_ms + close_ms) / count);
  return 0;
}
