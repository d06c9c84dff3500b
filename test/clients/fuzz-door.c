/*
 * fuzz-door: sends spoilt commands through both doors of a uverbs device, and counts what comes back.
 *
 *   fuzz-door PATH SEED COUNT
 *
 * On stdin the commands as they should be, one per line: KIND DOOR MESSAGE [OFFSET MESSAGE]..., words separated by
 * spaces. KIND is `setup` (sent as it is to each fresh file, in the order of the lines) or `template` (spoilt), DOOR is
 * `write` or `ioctl`, the pairs are what an ioctl needs in the scratch buffer. MESSAGE is the text form of message.h with
 * the places of fuzz-places.h.
 *
 * Prints one JSON object: {"commands":N,"outcomes":{"success":N,"EINVAL":N,...}}. The same SEED gives the same commands.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "fuzz-places.h"
#include "message.h"

#define RDMA_VERBS_IOCTL 0xc0181b01ul
#define IOCTL_HEADER 24ul
#define ATTRIBUTE 16ul

#define FILES 3
#define COMMANDS_PER_FILE 150
#define MAX_TEMPLATES 256
#define MAX_FILLS 8
#define MAX_LENGTH (REQUESTS_END - REQUESTS)
#define MAX_GROWTH 300
#define MAX_ERRNO 4096

struct bytes {
  uint8_t *data;
  size_t length;
};

struct template {
  bool is_setup;
  bool is_ioctl;
  struct bytes message;
  struct bytes fills[MAX_FILLS];
  uint64_t fill_addresses[MAX_FILLS];
  int fill_count;
};

static struct template templates[MAX_TEMPLATES];
static int template_count;
static unsigned long outcomes[MAX_ERRNO];
static uint64_t random_state;
/* The command being spoilt, with room to grow. */
static uint8_t work[MAX_LENGTH];
static size_t work_length;

static const uint64_t INTERESTING[] = {
    0,          1,           2,           3,           4,
    8,          15,          16,          0x7f,        0xff,
    0x1000,     0x7fff,      0xffff,      0x100000,    0x7fffffff,
    0x80000000, 0xfffffffe,  0xffffffff,  1ul << 32,   0x7fffffffefff,
    1ul << 63,  UINT64_MAX,  RESPONSES,   REQUESTS,    SCRATCH,
    SCRATCH + 1, READ_ONLY,  NO_ACCESS,   NOTHING,     REQUESTS_END - 8,
    REQUESTS_END - 4,        0x7ffffffff000,           0x800000000000,
};

/* splitmix64 */
static uint64_t next_random(void) {
  uint64_t z = (random_state += 0x9e3779b97f4a7c15ul);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ul;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebul;
  return z ^ (z >> 31);
}

static size_t below(size_t limit) {
  return next_random() % limit;
}

static uint64_t interesting(void) {
  return INTERESTING[below(sizeof INTERESTING / sizeof *INTERESTING)];
}

/* Reading the templates */

static bool find_fuzz_place(void *context, char letter, unsigned long index, uint64_t *address) {
  (void)context;
  (void)index;
  return place_address(letter, address);
}

static struct bytes must_parse(const char *text) {
  struct bytes bytes;
  bytes.data = text ? parse_message(text, find_fuzz_place, NULL, &bytes.length) : NULL;
  if (bytes.data && bytes.length <= MAX_LENGTH)
    return bytes;
  fprintf(stderr, "fuzz-door: a malformed message: %s\n", text ? text : "(none)");
  exit(2);
}

static void read_template(char *line) {
  char *rest, *offset;
  const char *kind = strtok_r(line, " \n", &rest);
  const char *door = strtok_r(NULL, " \n", &rest);
  struct template *template = &templates[template_count++];

  if (!kind || !door || template_count == MAX_TEMPLATES)
    exit(2);
  template->is_setup = strcmp(kind, "setup") == 0;
  template->is_ioctl = strcmp(door, "ioctl") == 0;
  template->message = must_parse(strtok_r(NULL, " \n", &rest));
  while ((offset = strtok_r(NULL, " \n", &rest)) && template->fill_count < MAX_FILLS) {
    int index = template->fill_count++;
    template->fill_addresses[index] = SCRATCH + strtoul(offset, NULL, 10);
    template->fills[index] = must_parse(strtok_r(NULL, " \n", &rest));
  }
}

static void read_templates(void) {
  char *line = NULL;
  size_t size = 0;
  while (getline(&line, &size, stdin) > 0)
    read_template(line);
  free(line);
  if (template_count == 0)
    exit(2);
}

/* Spoiling */

static void set(size_t at, uint64_t value, size_t size) {
  if (work_length < size)
    return;
  at &= -size;
  if (at + size > work_length)
    at = work_length - size;
  memcpy(work + at, &value, size);
}

static void append(const uint8_t *data, size_t length) {
  if (work_length + length > MAX_LENGTH)
    return;
  memmove(work + work_length, data, length);
  work_length += length;
}

static void grow(void) {
  uint8_t tail[MAX_GROWTH];
  const struct bytes *other = &templates[below(template_count)].message;
  memset(tail, below(2) * 0x41, sizeof tail);
  if (below(2))
    append(tail, below(sizeof tail) & ~3ul);
  else
    append(other->data, other->length);
}

/* Doubles, drops or swaps an attribute. */
static void spoil_attributes(void) {
  if (work_length < IOCTL_HEADER + ATTRIBUTE)
    return;
  size_t count = (work_length - IOCTL_HEADER) / ATTRIBUTE;
  uint8_t *one = work + IOCTL_HEADER + below(count) * ATTRIBUTE;
  uint8_t *other = work + IOCTL_HEADER + below(count) * ATTRIBUTE;
  uint8_t *last = work + IOCTL_HEADER + (count - 1) * ATTRIBUTE;
  uint8_t kept[ATTRIBUTE];

  work_length = IOCTL_HEADER + count * ATTRIBUTE;
  memcpy(kept, one, ATTRIBUTE);
  switch (below(3)) {
  case 0:
    append(one, ATTRIBUTE);
    break;
  case 1:
    memmove(one, one + ATTRIBUTE, last - one);
    work_length -= ATTRIBUTE;
    break;
  default:
    memmove(one, other, ATTRIBUTE);
    memcpy(other, kept, ATTRIBUTE);
  }
}

static void spoil_once(bool is_ioctl) {
  if (work_length < 8) {
    grow();
    return;
  }
  size_t at = below(work_length);
  switch (below(is_ioctl ? 11 : 8)) {
  case 0:
    work[at] ^= 1 << below(8);
    break;
  case 1:
    work[at] = next_random();
    break;
  case 2:
    set(at, interesting(), 2);
    break;
  case 3:
    set(at, interesting(), 4);
    break;
  case 4:
    set(at, below(16), 4);
    break;
  case 5:
    set(at, interesting(), 8);
    break;
  case 6:
    work_length = below(3) ? at & ~7ul : at;
    break;
  case 7:
    grow();
    break;
  default:
    spoil_attributes();
  }
}

/* Makes the lengths in the header those of the bytes, so that more than the header is looked at. */
static void mend_lengths(bool is_ioctl) {
  uint16_t *words = (uint16_t *)work;
  if (is_ioctl && work_length >= IOCTL_HEADER) {
    size_t count = (work_length - IOCTL_HEADER) / ATTRIBUTE;
    words[0] = IOCTL_HEADER + count * ATTRIBUTE;
    words[3] = count;
  } else if (!is_ioctl && work_length >= 24) {
    bool is_extended = work[3] == 0x80;
    words[2] = is_extended ? (work_length - 24) / 8 - words[8] : work_length / 4;
  }
}

static void spoil(const struct bytes *bytes, bool is_ioctl) {
  memcpy(work, bytes->data, bytes->length);
  work_length = bytes->length;
  for (size_t times = below(4); times > 0; times--)
    spoil_once(is_ioctl);
  if (below(2))
    mend_lengths(is_ioctl);
}

/* Sending */

static void count_outcome(long result) {
  int error = result == -1 ? errno : 0;
  outcomes[error < MAX_ERRNO ? error : MAX_ERRNO - 1]++;
}

/* The work bytes, so that behind them nothing can be read. Rarely somewhere else altogether. */
static void *placed(void) {
  static const uint64_t elsewhere[] = {READ_ONLY, NO_ACCESS, NOTHING, REQUESTS_END - 4};
  uint8_t *request = (uint8_t *)REQUESTS_END - work_length;
  memcpy(request, work, work_length);
  return below(200) ? request : (void *)elsewhere[below(sizeof elsewhere / sizeof *elsewhere)];
}

static void send_work(int fd, bool is_ioctl) {
  void *request = placed();
  if (!is_ioctl)
    count_outcome(write(fd, request, work_length));
  else
    count_outcome(ioctl(fd, below(200) ? RDMA_VERBS_IOCTL : next_random() & 0xffffffff, request));
}

static void send_spoilt(int fd) {
  const struct template *template;
  do {
    template = &templates[below(template_count)];
  } while (template->is_setup);
  for (int i = 0; i < template->fill_count; i++) {
    spoil(&template->fills[i], false);
    memcpy((void *)template->fill_addresses[i], work, work_length < PAGE ? work_length : PAGE);
  }
  spoil(&template->message, template->is_ioctl);
  send_work(fd, template->is_ioctl);
}

static void send_setup(int fd) {
  for (int i = 0; i < template_count; i++) {
    const struct bytes *message = &templates[i].message;
    if (templates[i].is_setup && write(fd, message->data, message->length) < 0 && i == 0) {
      perror("fuzz-door: the first command of the set-up");
      exit(1);
    }
  }
}

static int open_device(const char *path) {
  int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) {
    perror(path);
    exit(1);
  }
  send_setup(fd);
  return fd;
}

static void report(unsigned long commands) {
  printf("{\"commands\":%lu,\"outcomes\":{\"success\":%lu", commands, outcomes[0]);
  for (int error = 1; error < MAX_ERRNO; error++) {
    const char *name = strerrorname_np(error);
    if (outcomes[error] > 0)
      printf(",\"%s\":%lu", name ? name : "unknown", outcomes[error]);
  }
  printf("}}\n");
}

int main(int argc, char **argv) {
  int files[FILES];

  if (argc != 4)
    return 2;
  random_state = strtoul(argv[2], NULL, 10);
  unsigned long count = strtoul(argv[3], NULL, 10);
  map_places();
  read_templates();
  int first = dup(STDIN_FILENO);
  close(first);
  for (int i = 0; i < FILES; i++)
    files[i] = open_device(argv[1]);
  for (unsigned long done = 1; done <= count; done++) {
    send_spoilt(files[below(FILES)]);
    if (done % COMMANDS_PER_FILE != 0)
      continue;
    /* Event files, too: nobody counts them. */
    close_range(first, ~0u, 0);
    for (int i = 0; i < FILES; i++)
      files[i] = open_device(argv[1]);
  }
  report(count);
  return 0;
}
