/*
 * threads: many threads on one context of libibverbs, each making and destroying a PD, an MR, two CQs and a QP, over
 * and over.
 *
 *   cc -O2 -Wall -Wextra -pthread -o threads threads.c -libverbs
 *   threads DEVICE THREADS ROUNDS
 *
 * Prints "N objects" and exits with 0 if every call succeeded; else tells which did not.
 */
#include <errno.h>
#include <infiniband/verbs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct ibv_context *context;
static int rounds;
static atomic_long objects;

static void fail(const char *what) {
  fprintf(stderr, "threads: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void *made(const char *what, void *object) {
  if (!object)
    fail(what);
  objects++;
  return object;
}

/* The functions of libibverbs that destroy return an errno. */
static void destroyed(const char *what, int error) {
  if (error == 0)
    return;
  errno = error;
  fail(what);
}

static void one_round(char *memory) {
  struct ibv_pd *pd = made("ibv_alloc_pd", ibv_alloc_pd(context));
  struct ibv_mr *mr = made("ibv_reg_mr", ibv_reg_mr(pd, memory, 4096, IBV_ACCESS_LOCAL_WRITE));
  struct ibv_cq *send_cq = made("ibv_create_cq", ibv_create_cq(context, 16, NULL, NULL, 0));
  struct ibv_cq *recv_cq = made("ibv_create_cq", ibv_create_cq(context, 16, NULL, NULL, 0));
  struct ibv_qp_init_attr init = {
      .send_cq = send_cq,
      .recv_cq = recv_cq,
      .qp_type = IBV_QPT_RC,
      .cap = {.max_send_wr = 8, .max_recv_wr = 8, .max_send_sge = 1, .max_recv_sge = 1},
  };
  struct ibv_qp *qp = made("ibv_create_qp", ibv_create_qp(pd, &init));
  struct ibv_qp_attr attr = {.qp_state = IBV_QPS_INIT, .port_num = 1};
  destroyed("ibv_modify_qp",
            ibv_modify_qp(qp, &attr, IBV_QP_STATE | IBV_QP_PORT | IBV_QP_PKEY_INDEX | IBV_QP_ACCESS_FLAGS));
  if (ibv_dealloc_pd(pd) != EBUSY)
    fail("ibv_dealloc_pd of a PD that is used");
  destroyed("ibv_destroy_qp", ibv_destroy_qp(qp));
  destroyed("ibv_destroy_cq", ibv_destroy_cq(recv_cq));
  destroyed("ibv_destroy_cq", ibv_destroy_cq(send_cq));
  destroyed("ibv_dereg_mr", ibv_dereg_mr(mr));
  destroyed("ibv_dealloc_pd", ibv_dealloc_pd(pd));
}

static void *run(void *argument) {
  char *memory = aligned_alloc(4096, 4096);
  (void)argument;
  for (int i = 0; i < rounds; i++)
    one_round(memory);
  free(memory);
  return NULL;
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fputs("usage: threads DEVICE THREADS ROUNDS\n", stderr);
    return 2;
  }
  int count = atoi(argv[2]);
  rounds = atoi(argv[3]);

  struct ibv_device **device = ibv_get_device_list(NULL);
  if (!device)
    fail("ibv_get_device_list");
  while (*device && strcmp(ibv_get_device_name(*device), argv[1]) != 0)
    device++;
  context = *device ? ibv_open_device(*device) : NULL;
  if (!context)
    fail("ibv_open_device");

  pthread_t *threads = calloc(count, sizeof *threads);
  for (int i = 0; i < count; i++)
    if (pthread_create(&threads[i], NULL, run, NULL) != 0)
      fail("pthread_create");
  for (int i = 0; i < count; i++)
    pthread_join(threads[i], NULL);
  free(threads);
  destroyed("ibv_close_device", ibv_close_device(context));
  printf("%ld objects\n", (long)objects);
  return 0;
}
