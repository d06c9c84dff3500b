/*
 * door: a client of the device nodes that does, one system call at a time, what a test tells it through a pipe. It
 * speaks both doors of uverbs, write(2) and RDMA_VERBS_IOCTL, byte by byte, and links nothing but libc.
 *
 *   cc -O2 -Wall -Wextra -o door door.c
 *
 * One command per line on stdin, words separated by spaces; one line with one JSON object per command on stdout, in the
 * same order. Ends at the end of stdin. Numbers are decimal, or hexadecimal with 0x, unless said otherwise. MESSAGE is
 * the text form of message.h, with these places:
 *
 *   @R  the response buffer of this command, filled with 0xaa    @U  an address where nothing is mapped
 *   @B  the scratch buffer, page-aligned, 1 MiB, zero at first   @O  a read-only page
 *   @M:MAP;  a mapping made by mmap                              @Q  a page with PROT_NONE
 *
 * @R is there in write, writev and ioctl only. Each MESSAGE is laid out so that it ends where an inaccessible page
 * begins: who reads beyond it gets EFAULT.
 *
 * Answers. A system call that failed: {"result":-1,"errno":"EINVAL"}. One that did not: as given below.
 * A command that is unknown or malformed, and was not carried out: {"error":"..."}. The part `response` is there if
 * RESPONSE_LENGTH was given, also on failure; `overrun`:N is added if the N bytes behind the response (or the data of a
 * read) were written to as well, which nobody may do.
 *
 *   open PATH [rdwr|rdonly|wronly|path] [nonblock]   {"fd":N}; always O_CLOEXEC; path: O_PATH
 *   close FD                                    {"result":0}
 *   dup FD                                      {"fd":N}
 *   write FD MESSAGE [RESPONSE_LENGTH]          {"result":N,"response":"hex"}
 *   writev FD MESSAGE,... [RESPONSE_LENGTH]     the same; one element per MESSAGE, at most 8
 *   write-at FD PLACE COUNT                     {"result":N}; PLACE is a MESSAGE of 8 bytes: the buffer's address
 *   read FD COUNT [nonblock]                    {"result":N,"data":"hex"}; nonblock: O_NONBLOCK for this call alone
 *   read-at FD PLACE COUNT                      {"result":N}
 *   ioctl FD CMD MESSAGE [RESPONSE_LENGTH]      {"result":N,"buffer":"hex","response":"hex"}; CMD: `verbs` for
 *                                               RDMA_VERBS_IOCTL, or hex; buffer is MESSAGE after the call
 *   ioctl-at FD CMD PLACE                       {"result":N}; the argument is PLACE itself
 *   poll FD TIMEOUT_MS                          {"result":N,"revents":N}; asked for IN, PRI, OUT, RDNORM, WRNORM
 *   epoll FD TIMEOUT_MS                         the same through a fresh epoll instance
 *   mmap FD PAGES LENGTH PROT FLAGS             {"map":MAP,"address":"0x..."}; PAGES: offset in pages; PROT: r, w, rw
 *                                               or none; FLAGS: shared or private; FD -1: anonymous
 *   munmap MAP                                  {"result":0}
 *   store32 MAP OFFSET VALUE                    {"result":0} or {"signal":"SIGBUS"} or {"signal":"SIGSEGV"}
 *   load32 MAP OFFSET                           {"value":N} or the same
 *   fcntl FD nonblock|block|getfl|getfd         {"result":N}
 *   stat FD                                     {"result":0,"mode":"100666","rdev":"231:192","size":"N","ino":"N"};
 *                                               mode is octal
 *   scratch-fill MESSAGE [OFFSET]               {"result":LENGTH}
 *   scratch-dump LENGTH [OFFSET]                {"data":"hex"}
 *   address PLACE                               {"address":"0x..."}
 *   pid                                         {"pid":N}
 *   setuid UID                                  {"result":0}
 *   sleep MS                                    {"result":0}
 *   fork                                        {"pid":N}; from now on the child, of that pid, carries out the commands
 *   exit                                        {"result":STATUS}; the child ends, and its parent goes on
 *   async-COMMAND ...                           {"job":JOB}; starts any command above (async-read, async-ioctl, ...) in
 *                                               a thread of its own; at most 16 unfinished
 *   async-wait [JOB [TIMEOUT_MS]]               waits for JOB, by default the last started, and gives its answer;
 *                                               {"pending":true} if it takes longer than TIMEOUT_MS
 *   signal-thread [JOB]                         {"result":0}; SIGUSR1, handled without SA_RESTART
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <rdma/rdma_user_ioctl_cmds.h>

#include "call.h"

#define MAX_JOBS 16

struct job {
  bool used;
  pthread_t thread;
  char *line;
  char *answer;
  size_t answer_length;
};

static struct job jobs[MAX_JOBS];
static long last_job = -1;
static bool is_child;
static _Thread_local sigjmp_buf fault_return;
static _Thread_local volatile sig_atomic_t fault_expected, fault_signal;

/* Commands: false if an argument is wrong and nothing was done. */

static bool do_open(struct call *call) {
  int flags = O_CLOEXEC | O_RDWR;
  for (int i = 2; i < call->argc; i++) {
    if (word_is(call, i, "rdonly"))
      flags = (flags & ~O_ACCMODE) | O_RDONLY;
    else if (word_is(call, i, "wronly"))
      flags = (flags & ~O_ACCMODE) | O_WRONLY;
    else if (word_is(call, i, "path"))
      flags = O_PATH | O_CLOEXEC;
    else if (word_is(call, i, "nonblock"))
      flags |= O_NONBLOCK;
    else if (!word_is(call, i, "rdwr"))
      return false;
  }
  report(call, "fd", open(call->argv[1], flags));
  return true;
}

static bool do_close(struct call *call) {
  report(call, "result", close(call->fd));
  return true;
}

static bool do_dup(struct call *call) {
  report(call, "fd", fcntl(call->fd, F_DUPFD_CLOEXEC, 0));
  return true;
}

static bool do_write(struct call *call) {
  if (!take_response(call, 3) || !take_message(call, 2))
    return false;
  report(call, "result", write(call->fd, call->messages[0].bytes, call->messages[0].length));
  report_response(call, 3);
  return true;
}

static bool do_writev(struct call *call) {
  struct iovec elements[MAX_MESSAGES];
  char *rest;

  if (!take_response(call, 3))
    return false;
  for (char *text = strtok_r(call->argv[2], ",", &rest); text; text = strtok_r(NULL, ",", &rest))
    if (!take_message_text(call, text))
      return false;
  for (int i = 0; i < call->message_count; i++)
    elements[i] = (struct iovec){call->messages[i].bytes, call->messages[i].length};
  report(call, "result", writev(call->fd, elements, call->message_count));
  report_response(call, 3);
  return true;
}

static bool do_write_at(struct call *call) {
  long count;
  void *address;
  if (!take_place(call, 2, &address) || !number(call, 3, &count))
    return false;
  report(call, "result", write(call->fd, address, count));
  return true;
}

static bool do_read(struct call *call) {
  bool nonblock = word_is(call, 3, "nonblock");
  long flags = 0;

  if (!take_response(call, 2) || (call->argc > 3 && !nonblock))
    return false;
  if (nonblock) {
    flags = fcntl(call->fd, F_GETFL);
    fcntl(call->fd, F_SETFL, flags | O_NONBLOCK);
  }
  ssize_t result = read(call->fd, call->response, call->response_length);
  report(call, "result", result);
  if (nonblock)
    fcntl(call->fd, F_SETFL, flags);
  if (result >= 0)
    field_hex(call, "data", call->response, result);
  report_overrun(call);
  return true;
}

static bool do_read_at(struct call *call) {
  long count;
  void *address;
  if (!take_place(call, 2, &address) || !number(call, 3, &count))
    return false;
  report(call, "result", read(call->fd, address, count));
  return true;
}

static bool ioctl_command(const struct call *call, int word, unsigned long *command) {
  char *end;
  if (word_is(call, word, "verbs")) {
    *command = RDMA_VERBS_IOCTL;
    return true;
  }
  *command = strtoul(call->argv[word], &end, 16);
  return *end == '\0';
}

static bool do_ioctl(struct call *call) {
  unsigned long command;
  if (!ioctl_command(call, 2, &command) || !take_response(call, 4) || !take_message(call, 3))
    return false;
  report(call, "result", ioctl(call->fd, command, call->messages[0].bytes));
  field_hex(call, "buffer", call->messages[0].bytes, call->messages[0].length);
  report_response(call, 4);
  return true;
}

static bool do_ioctl_at(struct call *call) {
  unsigned long command;
  void *address;
  if (!ioctl_command(call, 2, &command) || !take_place(call, 3, &address))
    return false;
  report(call, "result", ioctl(call->fd, command, address));
  return true;
}

static bool do_poll(struct call *call) {
  long timeout;
  if (!number(call, 2, &timeout))
    return false;
  struct pollfd asked = {.fd = call->fd, .events = POLLIN | POLLPRI | POLLOUT | POLLRDNORM | POLLWRNORM};
  report(call, "result", poll(&asked, 1, timeout));
  field_number(call, "revents", asked.revents);
  return true;
}

static bool do_epoll(struct call *call) {
  struct epoll_event event = {.events = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDNORM | EPOLLWRNORM};
  struct epoll_event ready = {0};
  long timeout;

  if (!number(call, 2, &timeout))
    return false;
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  int result = epoll_ctl(epoll, EPOLL_CTL_ADD, call->fd, &event);
  if (result == 0)
    result = epoll_wait(epoll, &ready, 1, timeout);
  report(call, "result", result);
  field_number(call, "revents", ready.events);
  close(epoll);
  return true;
}

static struct mapping *free_map(void) {
  for (struct mapping *map = maps; map < maps + MAX_MAPS; map++)
    if (!map->address)
      return map;
  return NULL;
}

static bool do_mmap(struct call *call) {
  struct mapping *map = free_map();
  long pages, length;
  int protection = word_is(call, 4, "r")      ? PROT_READ
                   : word_is(call, 4, "w")    ? PROT_WRITE
                   : word_is(call, 4, "rw")   ? PROT_READ | PROT_WRITE
                   : word_is(call, 4, "none") ? PROT_NONE
                                              : -1;
  int flags = word_is(call, 5, "shared") ? MAP_SHARED : word_is(call, 5, "private") ? MAP_PRIVATE : -1;

  if (!map || !number(call, 2, &pages) || !number(call, 3, &length) || protection < 0 || flags < 0)
    return false;
  if (call->fd < 0)
    flags |= MAP_ANONYMOUS;
  void *address = mmap(NULL, length, protection, flags, call->fd, pages * PAGE);
  report(call, "map", address == MAP_FAILED ? -1 : map - maps);
  if (address != MAP_FAILED) {
    field_pointer(call, "address", (uintptr_t)address);
    *map = (struct mapping){address, length};
  }
  return true;
}

static bool do_munmap(struct call *call) {
  report(call, "result", munmap(call->map->address, call->map->length));
  call->map->address = NULL;
  return true;
}

static volatile uint32_t *word_in_map(const struct call *call) {
  long offset;
  if (!number(call, 2, &offset) || offset < 0 || offset % 4 != 0 || (size_t)offset + 4 > call->map->length)
    return NULL;
  return (volatile uint32_t *)(call->map->address + offset);
}

static void report_fault(struct call *call) {
  field_string(call, "signal", fault_signal == SIGBUS ? "SIGBUS" : "SIGSEGV");
}

static bool do_store32(struct call *call) {
  volatile uint32_t *word = word_in_map(call);
  long value;

  if (!word || !number(call, 3, &value))
    return false;
  if (sigsetjmp(fault_return, 1) != 0) {
    report_fault(call);
    return true;
  }
  fault_expected = true;
  *word = value;
  fault_expected = false;
  field_number(call, "result", 0);
  return true;
}

static bool do_load32(struct call *call) {
  volatile uint32_t *word = word_in_map(call);

  if (!word)
    return false;
  if (sigsetjmp(fault_return, 1) != 0) {
    report_fault(call);
    return true;
  }
  fault_expected = true;
  uint32_t value = *word;
  fault_expected = false;
  field_number(call, "value", value);
  return true;
}

static bool do_fcntl(struct call *call) {
  if (word_is(call, 2, "getfd")) {
    report(call, "result", fcntl(call->fd, F_GETFD));
    return true;
  }
  int flags = fcntl(call->fd, F_GETFL);
  if (flags == -1 || word_is(call, 2, "getfl"))
    report(call, "result", flags);
  else if (word_is(call, 2, "nonblock"))
    report(call, "result", fcntl(call->fd, F_SETFL, flags | O_NONBLOCK));
  else if (word_is(call, 2, "block"))
    report(call, "result", fcntl(call->fd, F_SETFL, flags & ~O_NONBLOCK));
  else
    return false;
  return true;
}

static bool do_stat(struct call *call) {
  struct stat status;
  int result = fstat(call->fd, &status);
  report(call, "result", result);
  if (result == 0)
    fprintf(call->out, ",\"mode\":\"%o\",\"rdev\":\"%u:%u\",\"size\":\"%lld\",\"ino\":\"%llu\"", status.st_mode,
            major(status.st_rdev), minor(status.st_rdev), (long long)status.st_size,
            (unsigned long long)status.st_ino);
  return true;
}

static bool in_scratch(unsigned long offset, unsigned long length) {
  return offset <= SCRATCH_LENGTH && length <= SCRATCH_LENGTH - offset;
}

static bool do_scratch_fill(struct call *call) {
  const struct message *message = &call->messages[0];
  long offset = 0;
  if (!take_message(call, 1) || !optional_number(call, 2, &offset) || !in_scratch(offset, message->length))
    return false;
  memcpy(scratch + offset, message->bytes, message->length);
  field_number(call, "result", message->length);
  return true;
}

static bool do_scratch_dump(struct call *call) {
  long length, offset = 0;
  if (!number(call, 1, &length) || !optional_number(call, 2, &offset) || !in_scratch(offset, length))
    return false;
  field_hex(call, "data", scratch + offset, length);
  return true;
}

static bool do_address(struct call *call) {
  void *address;
  if (!take_place(call, 1, &address))
    return false;
  field_pointer(call, "address", (uintptr_t)address);
  return true;
}

static bool do_pid(struct call *call) {
  field_number(call, "pid", getpid());
  return true;
}

static bool do_setuid(struct call *call) {
  long uid;
  if (!number(call, 1, &uid))
    return false;
  report(call, "result", setuid(uid));
  return true;
}

static bool do_sleep(struct call *call) {
  long ms;
  if (!number(call, 1, &ms))
    return false;
  report(call, "result", usleep(ms * 1000));
  return true;
}

/* The begun answer is in the buffers of both: the child completes it now, the parent after the child's end. */
static bool do_fork(struct call *call) {
  int status;
  pid_t child = fork();
  if (child == 0) {
    is_child = true;
    return do_pid(call);
  }
  report(call, "result", child < 0 || waitpid(child, &status, 0) < 0 ? -1 : status);
  return true;
}

static bool do_exit(struct call *call) {
  (void)call;
  if (is_child)
    _exit(0);
  return false;
}

static bool do_async_wait(struct call *call);
static bool do_signal_thread(struct call *call);

static const struct command {
  const char *name;
  const char *usage;
  int min_words, max_words; /* after the name */
  bool (*take_first)(struct call *call);
  bool (*run)(struct call *call);
} commands[] = {
    {"open", "PATH [rdwr|rdonly|wronly|path] [nonblock]", 1, 3, NULL, do_open},
    {"close", "FD", 1, 1, take_fd, do_close},
    {"dup", "FD", 1, 1, take_fd, do_dup},
    {"write", "FD MESSAGE [RESPONSE_LENGTH]", 2, 3, take_fd, do_write},
    {"writev", "FD MESSAGE,... [RESPONSE_LENGTH]", 2, 3, take_fd, do_writev},
    {"write-at", "FD PLACE COUNT", 3, 3, take_fd, do_write_at},
    {"read", "FD COUNT [nonblock]", 2, 3, take_fd, do_read},
    {"read-at", "FD PLACE COUNT", 3, 3, take_fd, do_read_at},
    {"ioctl", "FD CMD MESSAGE [RESPONSE_LENGTH]", 3, 4, take_fd, do_ioctl},
    {"ioctl-at", "FD CMD PLACE", 3, 3, take_fd, do_ioctl_at},
    {"poll", "FD TIMEOUT_MS", 2, 2, take_fd, do_poll},
    {"epoll", "FD TIMEOUT_MS", 2, 2, take_fd, do_epoll},
    {"mmap", "FD PAGES LENGTH r|w|rw|none shared|private", 5, 5, take_fd, do_mmap},
    {"munmap", "MAP", 1, 1, take_map, do_munmap},
    {"store32", "MAP OFFSET VALUE", 3, 3, take_map, do_store32},
    {"load32", "MAP OFFSET", 2, 2, take_map, do_load32},
    {"fcntl", "FD nonblock|block|getfl|getfd", 2, 2, take_fd, do_fcntl},
    {"stat", "FD", 1, 1, take_fd, do_stat},
    {"scratch-fill", "MESSAGE [OFFSET]", 1, 2, NULL, do_scratch_fill},
    {"scratch-dump", "LENGTH [OFFSET]", 1, 2, NULL, do_scratch_dump},
    {"address", "PLACE", 1, 1, NULL, do_address},
    {"pid", "", 0, 0, NULL, do_pid},
    {"setuid", "UID", 1, 1, NULL, do_setuid},
    {"sleep", "MS", 1, 1, NULL, do_sleep},
    {"fork", "", 0, 0, NULL, do_fork},
    {"exit", "", 0, 0, NULL, do_exit},
    {"async-wait", "[JOB [TIMEOUT_MS]]", 0, 2, NULL, do_async_wait},
    {"signal-thread", "[JOB]", 0, 1, NULL, do_signal_thread},
};

static void split(struct call *call, char *line) {
  char *rest;
  for (char *word = strtok_r(line, " \r\n", &rest); word; word = strtok_r(NULL, " \r\n", &rest)) {
    if (call->argc == MAX_WORDS)
      return; /* already more than any command takes, and refused for that */
    call->argv[call->argc++] = word;
  }
}

static const struct command *find_command(const struct call *call) {
  for (const struct command *command = commands; command < commands + sizeof commands / sizeof *commands; command++)
    if (word_is(call, 0, command->name))
      return command;
  return NULL;
}

static bool carry_out(struct call *call, const struct command *command) {
  if (call->argc - 1 < command->min_words || call->argc - 1 > command->max_words)
    return false;
  return (!command->take_first || command->take_first(call)) && command->run(call);
}

/* Carries out the command in a line, which is cut into words, and puts the answer on out, with its newline. */
static void run(char *line, FILE *out) {
  struct call call = {.out = out};

  split(&call, line);
  const struct command *command = find_command(&call);
  fputc('{', out);
  if (!command)
    field_string(&call, "error", "unknown command");
  else if (!carry_out(&call, command))
    fprintf(out, "\"error\":\"usage: %s %s\"", command->name, command->usage);
  fputs("}\n", out);
  release_call(&call);
}

/* Jobs */

static void *run_job(void *argument) {
  struct job *job = argument;
  FILE *out = open_memstream(&job->answer, &job->answer_length);
  run(job->line, out);
  fclose(out);
  return NULL;
}

static void start_job(const char *line, FILE *out) {
  long id = 0;
  while (id < MAX_JOBS && jobs[id].used)
    id++;
  if (id == MAX_JOBS) {
    fputs("{\"error\":\"too many jobs\"}\n", out);
    return;
  }
  jobs[id] = (struct job){.used = true, .line = strdup(line)};
  if (pthread_create(&jobs[id].thread, NULL, run_job, &jobs[id]) != 0)
    abort();
  last_job = id;
  fprintf(out, "{\"job\":%ld}\n", id);
}

static struct job *named_job(const struct call *call, int word) {
  long id = last_job;
  if (!optional_number(call, word, &id) || (unsigned long)id >= MAX_JOBS || !jobs[id].used)
    return NULL;
  return &jobs[id];
}

static int join(pthread_t thread, long timeout_ms) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += timeout_ms / 1000;
  until.tv_nsec += timeout_ms % 1000 * 1000000;
  if (until.tv_nsec >= 1000000000) {
    until.tv_sec++;
    until.tv_nsec -= 1000000000;
  }
  return pthread_timedjoin_np(thread, NULL, &until);
}

static bool do_async_wait(struct call *call) {
  struct job *job = named_job(call, 1);
  long timeout = 0;
  if (!job || !optional_number(call, 2, &timeout))
    return false;
  if ((call->argc > 2 ? join(job->thread, timeout) : pthread_join(job->thread, NULL)) != 0) {
    fputs("\"pending\":true", call->out);
    return true;
  }
  /* The answer without its braces and newline, which the caller adds. */
  fwrite(job->answer + 1, 1, job->answer_length - 3, call->out);
  free(job->answer);
  free(job->line);
  job->used = false;
  return true;
}

static bool do_signal_thread(struct call *call) {
  struct job *job = named_job(call, 1);
  if (!job)
    return false;
  errno = pthread_kill(job->thread, SIGUSR1);
  report(call, "result", errno == 0 ? 0 : -1);
  return true;
}

static void on_signal(int signal) {
  (void)signal;
}

static void on_fault(int signal_number) {
  if (!fault_expected) {
    /* A fault of this program's own: let it happen again and end the process. */
    signal(signal_number, SIG_DFL);
    return;
  }
  fault_expected = false;
  fault_signal = signal_number;
  siglongjmp(fault_return, 1);
}

static void catch_signals(void) {
  struct sigaction interrupt = {.sa_handler = on_signal};
  struct sigaction fault = {.sa_handler = on_fault};

  sigaction(SIGUSR1, &interrupt, NULL);
  sigaction(SIGBUS, &fault, NULL);
  sigaction(SIGSEGV, &fault, NULL);
}

int main(void) {
  char *line = NULL;
  size_t size = 0;

  prepare_places();
  catch_signals();
  while (getline(&line, &size, stdin) > 0) {
    if (strncmp(line, "async-", 6) == 0 && strncmp(line, "async-wait", 10) != 0)
      start_job(line + 6, stdout);
    else
      run(line, stdout);
    fflush(stdout);
  }
  free(line);
  return 0;
}
