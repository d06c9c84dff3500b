/*
 * call.h: one command of door while it is being carried out: its words, the memory it hands to the kernel, its answer.
 */
#ifndef VERBSIM_TEST_CALL_H
#define VERBSIM_TEST_CALL_H

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>

#include "message.h"

#define PAGE 4096ul
#define SCRATCH_LENGTH (1ul << 20)
#define MAX_LENGTH (16ul << 20)
#define MAX_MAPS 64
#define MAX_WORDS 8
#define MAX_MESSAGES 8
#define FILLER 0xaa
/* Lower than any mapping that the kernel would choose. */
#define UNMAPPED 0x10000ul

struct message {
  uint8_t *bytes;
  size_t length;
  void *region;
  size_t region_length;
};

struct mapping {
  uint8_t *address; /* NULL: free */
  size_t length;
};

struct call {
  FILE *out;
  bool first_field_written;
  int argc;
  char *argv[MAX_WORDS];
  int fd;              /* the first argument of commands that take one */
  struct mapping *map; /* likewise */
  uint8_t *response;
  size_t response_length;
  size_t response_region;
  struct message messages[MAX_MESSAGES];
  int message_count;
};

static uint8_t *scratch, *read_only_page, *no_access_page;
static struct mapping maps[MAX_MAPS];

static void *must_map(size_t length, int protection) {
  void *address = mmap(NULL, length, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED) {
    perror("door: mmap");
    exit(1);
  }
  return address;
}

static size_t whole_pages(size_t length) {
  return (length + PAGE - 1) & ~(PAGE - 1);
}

/* Answers */

static void field(struct call *call, const char *name) {
  fprintf(call->out, "%s\"%s\":", call->first_field_written ? "," : "", name);
  call->first_field_written = true;
}

static void field_number(struct call *call, const char *name, long value) {
  field(call, name);
  fprintf(call->out, "%ld", value);
}

static void field_string(struct call *call, const char *name, const char *value) {
  field(call, name);
  fprintf(call->out, "\"%s\"", value);
}

static void field_pointer(struct call *call, const char *name, uint64_t value) {
  field(call, name);
  fprintf(call->out, "\"0x%lx\"", (unsigned long)value);
}

static void field_hex(struct call *call, const char *name, const uint8_t *bytes, size_t length) {
  field(call, name);
  fputc('"', call->out);
  for (size_t i = 0; i < length; i++)
    fprintf(call->out, "%02x", bytes[i]);
  fputc('"', call->out);
}

/* What a system call returned, under the given name if it succeeded. */
static void report(struct call *call, const char *name, long result) {
  const char *error = strerrorname_np(errno);
  if (result != -1) {
    field_number(call, name, result);
    return;
  }
  field_number(call, "result", -1);
  field_string(call, "errno", error ? error : "unknown");
}

static void report_overrun(struct call *call) {
  size_t end = call->response_region;
  while (end > call->response_length && call->response[end - 1] == FILLER)
    end--;
  if (end > call->response_length)
    field_number(call, "overrun", end - call->response_length);
}

static void report_response(struct call *call, int length_word) {
  if (call->argc > length_word)
    field_hex(call, "response", call->response, call->response_length);
  report_overrun(call);
}

/* Arguments. These return false if the word is not there or malformed. */

static bool number(const struct call *call, int word, long *value) {
  char *end;
  if (word >= call->argc)
    return false;
  *value = strtoul(call->argv[word], &end, 0);
  return *end == '\0' && end != call->argv[word];
}

static bool optional_number(const struct call *call, int word, long *value) {
  return word >= call->argc || number(call, word, value);
}

static bool word_is(const struct call *call, int word, const char *text) {
  return word < call->argc && strcmp(call->argv[word], text) == 0;
}

static bool take_fd(struct call *call) {
  long fd;
  if (!number(call, 1, &fd))
    return false;
  call->fd = fd;
  return true;
}

static bool take_map(struct call *call) {
  long map;
  if (!number(call, 1, &map) || (unsigned long)map >= MAX_MAPS || !maps[map].address)
    return false;
  call->map = &maps[map];
  return true;
}

/* Gives the call its response buffer, with at least a page of filler behind it. */
static bool take_response(struct call *call, int length_word) {
  long length = 0;
  if (!optional_number(call, length_word, &length) || length < 0 || (size_t)length > MAX_LENGTH)
    return false;
  call->response_length = length;
  call->response_region = whole_pages(length) + PAGE;
  call->response = must_map(call->response_region, PROT_READ | PROT_WRITE);
  memset(call->response, FILLER, call->response_region);
  return true;
}

static bool find_call_place(void *context, char letter, unsigned long index, uint64_t *address) {
  const struct call *call = context;
  const uint8_t *place = NULL;

  if (letter == 'R')
    place = call->response;
  else if (letter == 'B')
    place = scratch;
  else if (letter == 'O')
    place = read_only_page;
  else if (letter == 'Q')
    place = no_access_page;
  else if (letter == 'U')
    place = (const uint8_t *)UNMAPPED;
  else if (letter == 'M' && index < MAX_MAPS)
    place = maps[index].address;
  *address = (uintptr_t)place;
  return place != NULL;
}

static bool take_message_text(struct call *call, const char *text) {
  struct message *message = &call->messages[call->message_count];
  if (call->message_count == MAX_MESSAGES)
    return false;
  uint8_t *bytes = parse_message(text, find_call_place, call, &message->length);
  if (!bytes)
    return false;
  size_t pages = whole_pages(message->length);
  message->region_length = pages + PAGE;
  message->region = must_map(message->region_length, PROT_READ | PROT_WRITE);
  message->bytes = (uint8_t *)message->region + pages - message->length;
  memcpy(message->bytes, bytes, message->length);
  mprotect((uint8_t *)message->region + pages, PAGE, PROT_NONE);
  call->message_count++;
  free(bytes);
  return true;
}

static bool take_message(struct call *call, int word) {
  return word < call->argc && take_message_text(call, call->argv[word]);
}

static bool take_place(struct call *call, int word, void **address) {
  if (!take_message(call, word) || call->messages[0].length != sizeof *address)
    return false;
  memcpy(address, call->messages[0].bytes, sizeof *address);
  return true;
}

static void prepare_places(void) {
  scratch = must_map(SCRATCH_LENGTH, PROT_READ | PROT_WRITE);
  read_only_page = must_map(PAGE, PROT_READ);
  no_access_page = must_map(PAGE, PROT_NONE);
}

static void release_call(struct call *call) {
  if (call->response)
    munmap(call->response, call->response_region);
  for (int i = 0; i < call->message_count; i++)
    munmap(call->messages[i].region, call->messages[i].region_length);
}

#endif
