/*
 * object-rate: how many objects of one kind can be made and destroyed in a second through one door of uverbs. Works on
 * a uverbs node of the daemon with an mlx4 device behind it and, answered without meaning, on the file of
 * floor/fuse-floor: the same system calls then measure what the kernel and the least of servers need for them.
 *
 *   cc -O2 -Wall -Wextra -o object-rate object-rate.c
 *   object-rate PATH OBJECT DOOR MILLISECONDS
 *
 * OBJECT is pd, mr (of one page), cq, qp (RC), srq, xrcd, mw or comp-channel; DOOR is write or ioctl. One context is
 * opened, with the PD and the CQ that the object needs; then pairs of creation and destruction follow one another, a
 * quarter of the time to warm up and MILLISECONDS measured. By ioctl goes what libibverbs sends: a method where there
 * is one, INVOKE_WRITE where not.
 *
 * Prints {"object":"pd","door":"write","ops_per_second":N}, one operation being one pair, and exits with 0. A call that
 * fails ends it: {"object":"pd","door":"write","call":CALL,"errno":"EINVAL"}, CALL being "open", "context", "pd", "cq",
 * "create" or "destroy", and exit with 1. Wrong usage: exit with 2.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "doors.h"

#define PAGE 4096ul
/* More than any of the buffers needs: QP 64 x 64 + 16 x 16 bytes, CQ 64 x 64, SRQ 32 x 32. */
#define BUFFER_LENGTH (4 * PAGE)

#define QUEUE_ENTRIES 16
#define CQ_ENTRIES 63
#define SRQ_ENTRIES 31
#define QP_TYPE_RC 2
#define SRQ_TYPE_BASIC 0
#define ACCESS_LOCAL_WRITE 1

static struct device device = {.async_fd = -1};
static uint32_t pd, cq;
static uint8_t *buffer;
static uint8_t *doorbell_record; /* on an anonymous page, as libmlx4 has it */

/* Creations: false if a system call failed; else the handle is in *handle. */

static bool create_pd(uint32_t *handle) {
  struct {
    struct ib_uverbs_alloc_pd_resp core;
    struct mlx4_ib_alloc_pd_resp driver;
  } response = {0};
  struct {
    struct ib_uverbs_cmd_hdr header;
    struct ib_uverbs_alloc_pd core;
  } message = {.core.response = (uintptr_t)&response};

  bool made = send_command(&device, &(struct command){IB_USER_VERBS_CMD_ALLOC_PD, &message, sizeof message, &response,
                                                      sizeof response.core, sizeof response.driver});
  *handle = response.core.pd_handle;
  return made;
}

static bool create_mr(uint32_t *handle) {
  struct ib_uverbs_reg_mr_resp response = {0};
  struct {
    struct ib_uverbs_cmd_hdr header;
    struct ib_uverbs_reg_mr core;
  } message = {.core = {.response = (uintptr_t)&response,
                        .start = (uintptr_t)buffer,
                        .length = PAGE,
                        .hca_va = (uintptr_t)buffer,
                        .pd_handle = pd,
                        .access_flags = ACCESS_LOCAL_WRITE}};

  bool made = send_command(&device, &(struct command){IB_USER_VERBS_CMD_REG_MR, &message, sizeof message, &response,
                                                      sizeof response, 0});
  *handle = response.mr_handle;
  return made;
}

static bool create_mw(uint32_t *handle) {
  struct ib_uverbs_alloc_mw_resp response = {0};
  struct {
    struct ib_uverbs_cmd_hdr header;
    struct ib_uverbs_alloc_mw core;
  } message = {.core = {.response = (uintptr_t)&response, .pd_handle = pd, .mw_type = 1}};

  bool made = send_command(&device, &(struct command){IB_USER_VERBS_CMD_ALLOC_MW, &message, sizeof message, &response,
                                                      sizeof response, 0});
  *handle = response.mw_handle;
  return made;
}

static bool create_xrcd(uint32_t *handle) {
  struct ib_uverbs_open_xrcd_resp response = {0};
  struct {
    struct ib_uverbs_cmd_hdr header;
    struct ib_uverbs_open_xrcd core;
  } message = {.core = {.response = (uintptr_t)&response, .fd = -1, .oflags = O_CREAT}};

  bool made = send_command(&device, &(struct command){IB_USER_VERBS_CMD_OPEN_XRCD, &message, sizeof message,
                                                      &response, sizeof response, 0});
  *handle = response.xrcd_handle;
  return made;
}

/* The handle is the descriptor; the floor gives none. */
static bool create_comp_channel(uint32_t *handle) {
  struct ib_uverbs_create_comp_channel_resp response = {.fd = -1};
  struct {
    struct ib_uverbs_cmd_hdr header;
    struct ib_uverbs_create_comp_channel core;
  } message = {.core.response = (uintptr_t)&response};

  bool made = send_command(&device, &(struct command){IB_USER_VERBS_CMD_CREATE_COMP_CHANNEL, &message, sizeof message,
                                                      &response, sizeof response, 0});
  *handle = response.fd;
  return made;
}

static bool create_cq_by_ioctl(uint32_t *handle) {
  struct mlx4_ib_create_cq input = {.buf_addr = (uintptr_t)buffer, .db_addr = (uintptr_t)doorbell_record};
  struct mlx4_ib_create_cq_resp output;
  uint32_t entries = CQ_ENTRIES, vector = 0, actual;
  uint64_t user_handle = 0;
  struct method method = method_of(UVERBS_OBJECT_CQ, UVERBS_METHOD_CQ_CREATE);

  struct ib_uverbs_attr *made = add(&method, UVERBS_ATTR_CREATE_CQ_HANDLE, 0, 0);
  add_output(&method, UVERBS_ATTR_CREATE_CQ_RESP_CQE, &actual, sizeof actual);
  add_input(&method, UVERBS_ATTR_CREATE_CQ_CQE, &entries, sizeof entries);
  add_input(&method, UVERBS_ATTR_CREATE_CQ_USER_HANDLE, &user_handle, sizeof user_handle);
  add_input(&method, UVERBS_ATTR_CREATE_CQ_COMP_VECTOR, &vector, sizeof vector);
  add(&method, UVERBS_ATTR_CREATE_CQ_EVENT_FD, 0, device.async_fd)->flags = 0;
  add_input(&method, UVERBS_ATTR_UHW_IN, &input, sizeof input);
  add_output(&method, UVERBS_ATTR_UHW_OUT, &output, sizeof output);
  if (!call_method(&device, &method))
    return false;
  *handle = made->data;
  return true;
}

static bool create_cq(uint32_t *handle) {
  struct {
    struct ib_uverbs_create_cq_resp core;
    struct mlx4_ib_create_cq_resp driver;
  } response = {0};
  struct {
    struct ib_uverbs_cmd_hdr header;
    struct ib_uverbs_create_cq core;
    struct mlx4_ib_create_cq driver;
  } message = {.core = {.response = (uintptr_t)&response, .cqe = CQ_ENTRIES, .comp_channel = -1},
               .driver = {.buf_addr = (uintptr_t)buffer, .db_addr = (uintptr_t)doorbell_record}};

  if (device.by_ioctl)
    return create_cq_by_ioctl(handle);
  bool made = send_command(&device, &(struct command){IB_USER_VERBS_CMD_CREATE_CQ, &message, sizeof message, &response,
                                                      sizeof response.core, sizeof response.driver});
  *handle = response.core.cq_handle;
  return made;
}

/* 16 sends with one element take 64 slots of 64 bytes, 33 of them spare; 16 receives, 16 slots of 16 bytes. */
static const struct mlx4_ib_create_qp *qp_input(void) {
  static struct mlx4_ib_create_qp input = {.log_sq_bb_count = 6, .log_sq_stride = 6};
  input.buf_addr = (uintptr_t)buffer;
  input.db_addr = (uintptr_t)doorbell_record;
  return &input;
}

static bool create_qp_by_ioctl(uint32_t *handle) {
  struct ib_uverbs_qp_cap cap = {QUEUE_ENTRIES, QUEUE_ENTRIES, 1, 1, 0};
  uint64_t user_handle = 0;
  uint32_t qpn;
  struct method method = method_of(UVERBS_OBJECT_QP, UVERBS_METHOD_QP_CREATE);

  add(&method, UVERBS_ATTR_CREATE_QP_PD_HANDLE, 0, pd);
  add(&method, UVERBS_ATTR_CREATE_QP_SEND_CQ_HANDLE, 0, cq);
  add(&method, UVERBS_ATTR_CREATE_QP_RECV_CQ_HANDLE, 0, cq);
  struct ib_uverbs_attr *made = add(&method, UVERBS_ATTR_CREATE_QP_HANDLE, 0, 0);
  add(&method, UVERBS_ATTR_CREATE_QP_TYPE, 8, QP_TYPE_RC);
  add_input(&method, UVERBS_ATTR_CREATE_QP_USER_HANDLE, &user_handle, sizeof user_handle);
  add_input(&method, UVERBS_ATTR_CREATE_QP_CAP, &cap, sizeof cap);
  add(&method, UVERBS_ATTR_CREATE_QP_EVENT_FD, 0, device.async_fd);
  add_output(&method, UVERBS_ATTR_CREATE_QP_RESP_CAP, &cap, sizeof cap);
  add_output(&method, UVERBS_ATTR_CREATE_QP_RESP_QP_NUM, &qpn, sizeof qpn);
  add_input(&method, UVERBS_ATTR_UHW_IN, qp_input(), sizeof(struct mlx4_ib_create_qp));
  if (!call_method(&device, &method))
    return false;
  *handle = made->data;
  return true;
}

static bool create_qp(uint32_t *handle) {
  struct ib_uverbs_create_qp_resp response = {0};
  struct {
    struct ib_uverbs_cmd_hdr header;
    struct ib_uverbs_create_qp core;
    struct mlx4_ib_create_qp driver;
  } message = {.core = {.response = (uintptr_t)&response,
                        .pd_handle = pd,
                        .send_cq_handle = cq,
                        .recv_cq_handle = cq,
                        .max_send_wr = QUEUE_ENTRIES,
                        .max_recv_wr = QUEUE_ENTRIES,
                        .max_send_sge = 1,
                        .max_recv_sge = 1,
                        .qp_type = QP_TYPE_RC},
               .driver = *qp_input()};

  if (device.by_ioctl)
    return create_qp_by_ioctl(handle);
  bool made = send_command(&device, &(struct command){IB_USER_VERBS_CMD_CREATE_QP, &message, sizeof message, &response,
                                                      sizeof response, 0});
  *handle = response.qp_handle;
  return made;
}

static bool create_srq_by_ioctl(uint32_t *handle) {
  struct mlx4_ib_create_srq input = {.buf_addr = (uintptr_t)buffer, .db_addr = (uintptr_t)doorbell_record};
  struct mlx4_ib_create_srq_resp output;
  uint32_t entries = SRQ_ENTRIES, elements = 1, limit = 0;
  uint64_t user_handle = 0;
  struct method method = method_of(UVERBS_OBJECT_SRQ, UVERBS_METHOD_SRQ_CREATE);

  struct ib_uverbs_attr *made = add(&method, UVERBS_ATTR_CREATE_SRQ_HANDLE, 0, 0);
  add(&method, UVERBS_ATTR_CREATE_SRQ_TYPE, 8, SRQ_TYPE_BASIC);
  add_input(&method, UVERBS_ATTR_CREATE_SRQ_USER_HANDLE, &user_handle, sizeof user_handle);
  add(&method, UVERBS_ATTR_CREATE_SRQ_PD_HANDLE, 0, pd);
  add_input(&method, UVERBS_ATTR_CREATE_SRQ_MAX_WR, &entries, sizeof entries);
  add_input(&method, UVERBS_ATTR_CREATE_SRQ_MAX_SGE, &elements, sizeof elements);
  add_input(&method, UVERBS_ATTR_CREATE_SRQ_LIMIT, &limit, sizeof limit);
  add(&method, UVERBS_ATTR_CREATE_SRQ_EVENT_FD, 0, device.async_fd);
  add_output(&method, UVERBS_ATTR_CREATE_SRQ_RESP_MAX_WR, &entries, sizeof entries);
  add_output(&method, UVERBS_ATTR_CREATE_SRQ_RESP_MAX_SGE, &elements, sizeof elements);
  add_input(&method, UVERBS_ATTR_UHW_IN, &input, sizeof input);
  add_output(&method, UVERBS_ATTR_UHW_OUT, &output, sizeof output);
  if (!call_method(&device, &method))
    return false;
  *handle = made->data;
  return true;
}

static bool create_srq(uint32_t *handle) {
  struct {
    struct ib_uverbs_create_srq_resp core;
    struct mlx4_ib_create_srq_resp driver;
  } response = {0};
  struct {
    struct ib_uverbs_cmd_hdr header;
    struct ib_uverbs_create_srq core;
    struct mlx4_ib_create_srq driver;
  } message = {
      .core = {.response = (uintptr_t)&response, .pd_handle = pd, .max_wr = SRQ_ENTRIES, .max_sge = 1},
      .driver = {.buf_addr = (uintptr_t)buffer, .db_addr = (uintptr_t)doorbell_record},
  };

  if (device.by_ioctl)
    return create_srq_by_ioctl(handle);
  bool made = send_command(&device, &(struct command){IB_USER_VERBS_CMD_CREATE_SRQ, &message, sizeof message,
                                                      &response, sizeof response.core, sizeof response.driver});
  *handle = response.core.srq_handle;
  return made;
}

/* How one kind of object is made and destroyed. Attribute 0 of a method that destroys is the handle, 1 the response. */
struct kind {
  const char *name;
  bool (*create)(uint32_t *handle);
  uint32_t destroy_command;
  uint16_t object_id, destroy_method;
  size_t destroy_response; /* bytes; the request then begins with its address */
  bool needs_pd, needs_cq;
};

/* The descriptor is all there is to be given back. */
#define CLOSE UINT32_MAX

static const struct kind kinds[] = {
    {"pd", create_pd, IB_USER_VERBS_CMD_DEALLOC_PD, UVERBS_OBJECT_PD, UVERBS_METHOD_PD_DESTROY, 0, false, false},
    {"mr", create_mr, IB_USER_VERBS_CMD_DEREG_MR, UVERBS_OBJECT_MR, UVERBS_METHOD_MR_DESTROY, 0, true, false},
    {"cq", create_cq, IB_USER_VERBS_CMD_DESTROY_CQ, UVERBS_OBJECT_CQ, UVERBS_METHOD_CQ_DESTROY,
     sizeof(struct ib_uverbs_destroy_cq_resp), false, false},
    {"qp", create_qp, IB_USER_VERBS_CMD_DESTROY_QP, UVERBS_OBJECT_QP, UVERBS_METHOD_QP_DESTROY,
     sizeof(struct ib_uverbs_destroy_qp_resp), true, true},
    {"srq", create_srq, IB_USER_VERBS_CMD_DESTROY_SRQ, UVERBS_OBJECT_SRQ, UVERBS_METHOD_SRQ_DESTROY,
     sizeof(struct ib_uverbs_destroy_srq_resp), true, false},
    {"xrcd", create_xrcd, IB_USER_VERBS_CMD_CLOSE_XRCD, UVERBS_OBJECT_XRCD, UVERBS_METHOD_XRCD_DESTROY, 0, false,
     false},
    {"mw", create_mw, IB_USER_VERBS_CMD_DEALLOC_MW, UVERBS_OBJECT_MW, UVERBS_METHOD_MW_DESTROY, 0, true, false},
    {"comp-channel", create_comp_channel, CLOSE, 0, 0, 0, false, false},
};

static bool destroy_by_ioctl(const struct kind *kind, uint32_t handle) {
  uint32_t response[2];
  struct method method = method_of(kind->object_id, kind->destroy_method);

  if (kind->destroy_response > 0)
    add_output(&method, 1, response, kind->destroy_response);
  add(&method, 0, 0, handle);
  return call_method(&device, &method);
}

static bool destroy_by_write(const struct kind *kind, uint32_t handle) {
  uint32_t response[2];
  struct {
    struct ib_uverbs_cmd_hdr header;
    uint32_t handle;
  } brief = {.handle = handle};
  struct {
    struct ib_uverbs_cmd_hdr header;
    struct ib_uverbs_destroy_cq core; /* of the same layout for all three */
  } answered = {.core = {.response = (uintptr_t)response, .cq_handle = handle}};

  if (kind->destroy_response > 0)
    return send_command(&device, &(struct command){kind->destroy_command, &answered, sizeof answered, response,
                                                   kind->destroy_response, 0});
  return send_command(&device, &(struct command){kind->destroy_command, &brief, sizeof brief, NULL, 0, 0});
}

static bool destroy(const struct kind *kind, uint32_t handle) {
  if (kind->destroy_command == CLOSE)
    return (int)handle < 0 || close(handle) == 0;
  return device.by_ioctl ? destroy_by_ioctl(kind, handle) : destroy_by_write(kind, handle);
}

static void usage(void) {
  fprintf(stderr, "usage: object-rate PATH OBJECT write|ioctl MILLISECONDS\n");
  exit(2);
}

static const char *door_name(void) {
  return device.by_ioctl ? "ioctl" : "write";
}

static void require(bool done, const struct kind *kind, const char *call) {
  const char *error = strerrorname_np(errno);
  if (done)
    return;
  printf("{\"object\":\"%s\",\"door\":\"%s\",\"call\":\"%s\",\"errno\":\"%s\"}\n", kind->name, door_name(), call,
         error ? error : "unknown");
  exit(1);
}

static const struct kind *find_kind(const char *name) {
  for (const struct kind *kind = kinds; kind < kinds + sizeof kinds / sizeof *kinds; kind++)
    if (strcmp(kind->name, name) == 0)
      return kind;
  usage();
  return NULL;
}

static uint8_t *map_memory(size_t length) {
  void *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (memory != MAP_FAILED)
    return memory;
  perror("object-rate: mmap");
  exit(1);
}

static void prepare(const struct kind *kind, const char *path) {
  buffer = map_memory(BUFFER_LENGTH);
  doorbell_record = map_memory(PAGE);
  device.fd = open(path, O_RDWR | O_CLOEXEC);
  require(device.fd >= 0, kind, "open");
  require(device.by_ioctl ? get_context_by_ioctl(&device) : get_context_by_write(&device), kind, "context");
  if (kind->needs_pd)
    require(create_pd(&pd), kind, "pd");
  if (kind->needs_cq)
    require(create_cq(&cq), kind, "cq");
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

/* Makes and destroys for as long as given; the pairs in one second. */
static double measure(const struct kind *kind, double seconds) {
  double start = now(), end = start;
  long pairs = 0;

  for (; end - start < seconds; pairs++, end = now()) {
    uint32_t handle;
    require(kind->create(&handle), kind, "create");
    require(destroy(kind, handle), kind, "destroy");
  }
  return pairs / (end - start);
}

int main(int argc, char **argv) {
  if (argc != 5 || (strcmp(argv[3], "write") != 0 && strcmp(argv[3], "ioctl") != 0))
    usage();
  const struct kind *kind = find_kind(argv[2]);
  double seconds = strtol(argv[4], NULL, 10) / 1e3;
  if (seconds <= 0)
    usage();
  device.by_ioctl = strcmp(argv[3], "ioctl") == 0;
  prepare(kind, argv[1]);
  measure(kind, seconds / 4);
  printf("{\"object\":\"%s\",\"door\":\"%s\",\"ops_per_second\":%.1f}\n", kind->name, door_name(),
         measure(kind, seconds));
  return 0;
}
