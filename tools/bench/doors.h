/*
 * doors.h: the two doors of uverbs, for a client that makes and destroys objects of mlx4 through one of them at a time:
 * commands by write(2), and methods and commands by RDMA_VERBS_IOCTL. The second sends what libibverbs sends.
 */
#ifndef VERBSIM_BENCH_DOORS_H
#define VERBSIM_BENCH_DOORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <rdma/ib_user_ioctl_cmds.h>
#include <rdma/ib_user_ioctl_verbs.h>
#include <rdma/ib_user_verbs.h>
#include <rdma/mlx4-abi.h>
#include <rdma/rdma_user_ioctl_cmds.h>

#define MAX_ATTRIBUTES 16
/* Inputs up to this length travel in the attribute itself. */
#define INLINE_BYTES 8

struct device {
  int fd;
  bool by_ioctl;
  /* Where the events of objects made by ioctl go; -1 if there is none. */
  int async_fd;
};

struct method {
  struct ib_uverbs_ioctl_hdr header;
  struct ib_uverbs_attr attributes[MAX_ATTRIBUTES];
};

static inline struct method method_of(uint16_t object, uint16_t number) {
  return (struct method){.header = {.object_id = object, .method_id = number, .driver_id = RDMA_DRIVER_MLX4}};
}

/* A handle, a descriptor, or a constant: `length` is 0 for the first two and 8 for the third. */
static inline struct ib_uverbs_attr *add(struct method *method, uint16_t id, size_t length, uint64_t data) {
  struct ib_uverbs_attr *attribute = &method->attributes[method->header.num_attrs++];
  *attribute =
      (struct ib_uverbs_attr){.attr_id = id, .len = length, .flags = UVERBS_ATTR_F_MANDATORY, .data = data};
  return attribute;
}

static inline void add_output(struct method *method, uint16_t id, void *bytes, size_t length) {
  add(method, id, length, (uintptr_t)bytes);
}

static inline void add_input(struct method *method, uint16_t id, const void *bytes, size_t length) {
  struct ib_uverbs_attr *attribute = add(method, id, length, (uintptr_t)bytes);
  if (length <= INLINE_BYTES) {
    attribute->data = 0;
    memcpy(&attribute->data, bytes, length);
  }
}

static inline bool call_method(const struct device *device, struct method *method) {
  method->header.length = sizeof method->header + method->header.num_attrs * sizeof *method->attributes;
  return ioctl(device->fd, RDMA_VERBS_IOCTL, method) >= 0;
}

/* A request without its header, and the response, each with the driver's part behind the core's. */
struct command {
  uint32_t number;
  void *message; /* begins with room for struct ib_uverbs_cmd_hdr */
  size_t length;
  void *response;
  size_t core_length, driver_length; /* of the response */
};

static inline bool invoke_write(const struct device *device, const struct command *command) {
  struct method method = method_of(UVERBS_OBJECT_DEVICE, UVERBS_METHOD_INVOKE_WRITE);
  const size_t header = sizeof(struct ib_uverbs_cmd_hdr);

  add(&method, UVERBS_ATTR_WRITE_CMD, 8, command->number);
  add_input(&method, UVERBS_ATTR_CORE_IN, (uint8_t *)command->message + header, command->length - header);
  if (command->core_length > 0)
    add_output(&method, UVERBS_ATTR_CORE_OUT, command->response, command->core_length);
  if (command->driver_length > 0)
    add_output(&method, UVERBS_ATTR_UHW_OUT, (uint8_t *)command->response + command->core_length,
               command->driver_length);
  return call_method(device, &method);
}

/* Sends a legacy command without driver input through the door in use. */
static inline bool send_command(const struct device *device, const struct command *command) {
  if (device->by_ioctl)
    return invoke_write(device, command);
  struct ib_uverbs_cmd_hdr header = {
      .command = command->number,
      .in_words = command->length / 4,
      .out_words = (command->core_length + command->driver_length) / 4,
  };
  memcpy(command->message, &header, sizeof header);
  return write(device->fd, command->message, command->length) == (ssize_t)command->length;
}

static inline bool get_context_by_write(const struct device *device) {
  struct {
    struct ib_uverbs_get_context_resp core;
    struct mlx4_ib_alloc_ucontext_resp driver;
  } response;
  struct {
    struct ib_uverbs_cmd_hdr header;
    struct ib_uverbs_get_context core;
  } message = {.core.response = (uintptr_t)&response};

  return send_command(device, &(struct command){IB_USER_VERBS_CMD_GET_CONTEXT, &message, sizeof message, &response,
                                                sizeof response.core, sizeof response.driver});
}

static inline bool get_context_by_ioctl(struct device *device) {
  struct mlx4_ib_alloc_ucontext_resp driver;
  uint32_t vectors;
  uint64_t support;

  struct method context = method_of(UVERBS_OBJECT_DEVICE, UVERBS_METHOD_GET_CONTEXT);
  add_output(&context, UVERBS_ATTR_GET_CONTEXT_NUM_COMP_VECTORS, &vectors, sizeof vectors);
  add_output(&context, UVERBS_ATTR_GET_CONTEXT_CORE_SUPPORT, &support, sizeof support);
  add_output(&context, UVERBS_ATTR_UHW_OUT, &driver, sizeof driver);

  struct method events = method_of(UVERBS_OBJECT_ASYNC_EVENT, UVERBS_METHOD_ASYNC_EVENT_ALLOC);
  struct ib_uverbs_attr *fd = add(&events, UVERBS_ATTR_ASYNC_EVENT_ALLOC_FD_HANDLE, 0, 0);
  if (!call_method(device, &context) || !call_method(device, &events))
    return false;
  device->async_fd = fd->data_s64;
  return true;
}

#endif
