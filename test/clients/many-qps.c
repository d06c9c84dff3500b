/*
 * many-qps: as many QPs in one context as asked for, by libibverbs, all alive at once.
 *
 *   cc -O2 -Wall -Wextra -o many-qps many-qps.c -libverbs
 *   many-qps DEVICE QPS
 *
 * Prints "N made in T s, destroyed in T s", or "N made: ERROR" if there were no more.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <infiniband/verbs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec * 1e-9;
}

static struct ibv_context *open_device(const char *name) {
  struct ibv_device **device = ibv_get_device_list(NULL);
  while (device && *device && strcmp(ibv_get_device_name(*device), name) != 0)
    device++;
  return device && *device ? ibv_open_device(*device) : NULL;
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fputs("usage: many-qps DEVICE QPS\n", stderr);
    return 2;
  }
  int wanted = atoi(argv[2]), made = 0;
  struct ibv_qp **qps = calloc(wanted, sizeof *qps);
  struct ibv_context *context = open_device(argv[1]);
  struct ibv_pd *pd = context ? ibv_alloc_pd(context) : NULL;
  struct ibv_cq *cq = pd ? ibv_create_cq(context, 100, NULL, NULL, 0) : NULL;
  if (!cq) {
    perror("many-qps");
    return 1;
  }
  double start = now();
  for (; made < wanted; made++) {
    struct ibv_qp_init_attr init = {
        .send_cq = cq,
        .recv_cq = cq,
        .qp_type = IBV_QPT_RC,
        .cap = {.max_send_wr = 1, .max_recv_wr = 1, .max_send_sge = 1, .max_recv_sge = 1},
    };
    qps[made] = ibv_create_qp(pd, &init);
    if (!qps[made]) {
      printf("%d made: %s\n", made, strerrorname_np(errno));
      break;
    }
  }
  double middle = now();
  for (int i = 0; i < made; i++) {
    int error = ibv_destroy_qp(qps[i]);
    if (error) {
      printf("destroying number %d: %s\n", i, strerrorname_np(error));
      return 1;
    }
  }
  if (made == wanted)
    printf("%d made in %.2f s, destroyed in %.2f s\n", made, middle - start, now() - middle);
  if (ibv_destroy_cq(cq) || ibv_dealloc_pd(pd) || ibv_close_device(context)) {
    perror("many-qps: the end");
    return 1;
  }
  free(qps);
  return 0;
}
