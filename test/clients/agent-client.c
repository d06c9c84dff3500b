/*
 * A client of the file system in test/devfs/agent.test.ts.
 *
 *   agent-client stat PATH HOW             open, then look at the descriptor by fstat, newfstatat, statx or late
 *                                          (another call first), and print "MODE MAJOR MINOR"
 *   agent-client loop PATH ROUNDS THREADS SIGNALS
 *                                          open, fstat, write or ioctl, and check everything; SIGNALS: none,
 *                                          restart or interrupt (a 1 kHz timer, with or without SA_RESTART)
 *   agent-client fault PATH                a response at an address that is not mapped
 *   agent-client full PATH                 no free descriptor
 *   agent-client spin PATH FLAG            no system call after open until the first byte of the file FLAG is not 0
 *   agent-client traced PATH               open while traced by another process
 *   agent-client exec PATH                 exec in one thread while another is with the agent
 *
 * A message to the file is the address of the response: { uint32_t descriptor; uint32_t pad; uint64_t again; }.
 * Prints "ok" or what went wrong.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define INSTALL _IOW('A', 1, uint64_t)

struct response {
  uint32_t descriptor;
  uint32_t pad;
  uint64_t again;
};

static const char *path;
static long rounds;
static atomic_long ticks;

static void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vprintf(format, arguments);
  printf(" (errno %d)\n", errno);
  fflush(stdout);
  _exit(1);
}

static void tick(int signal) {
  (void)signal;
  int saved = errno;
  getppid(); /* a system call of the handler's own */
  ticks++;
  errno = saved;
}

static void one_round(int use_ioctl) {
  sigset_t before, after;
  pthread_sigmask(SIG_BLOCK, NULL, &before);

  int fd = open(path, O_RDWR | O_CLOEXEC);
  struct stat status;
  if (fd < 0 || fstat(fd, &status) != 0)
    fail("open");
  if (!S_ISCHR(status.st_mode) || status.st_rdev != makedev(231, 192))
    fail("fstat says mode %o device %lx", status.st_mode, (unsigned long)status.st_rdev);

  struct response response = {0, 0xabcdef, ~0ull};
  uint64_t address = (uintptr_t)&response;
  long done = use_ioctl ? ioctl(fd, INSTALL, &address) : write(fd, &address, sizeof address);
  if (done != (use_ioctl ? 7 : (long)sizeof address))
    fail("%s returned %ld", use_ioctl ? "ioctl" : "write", done);
  if (response.again != response.descriptor || response.pad != 0xabcdef)
    fail("response %x %x %lx", response.descriptor, response.pad, (unsigned long)response.again);
  int event = (int)response.descriptor;
  if (fcntl(event, F_GETFD) != FD_CLOEXEC || fstat(event, &status) != 0 || status.st_size != 77)
    fail("descriptor %d is not the event file", event);

  pthread_sigmask(SIG_BLOCK, NULL, &after);
  if (memcmp(&before, &after, 8) != 0)
    fail("the signal mask has changed");
  close(event);
  close(fd);
}

static void *run(void *unused) {
  (void)unused;
  for (long i = 0; i < rounds; i++)
    one_round(i & 1);
  return NULL;
}

static void loop(int threads, const char *signals) {
  if (strcmp(signals, "none") != 0) {
    struct sigaction action = {.sa_handler = tick};
    action.sa_flags = strcmp(signals, "restart") == 0 ? SA_RESTART : 0;
    sigaction(SIGALRM, &action, NULL);
    struct itimerval timer = {{0, 1000}, {0, 1000}};
    setitimer(ITIMER_REAL, &timer, NULL);
  }
  pthread_t others[64];
  for (int i = 1; i < threads; i++)
    pthread_create(&others[i], NULL, run, NULL);
  run(NULL);
  for (int i = 1; i < threads; i++)
    pthread_join(others[i], NULL);
  if (strcmp(signals, "none") != 0 && ticks == 0)
    fail("no signal came");
}

static void look(const char *how) {
  int fd = open(path, O_RDWR);
  if (fd < 0)
    fail("open");
  if (strcmp(how, "statx") == 0) {
    struct statx status;
    syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &status);
    printf("%o %u %u\n", status.stx_mode, status.stx_rdev_major, status.stx_rdev_minor);
    return;
  }
  struct stat status;
  if (strcmp(how, "fstat") == 0)
    syscall(SYS_fstat, fd, &status);
  else if (strcmp(how, "newfstatat") == 0)
    syscall(SYS_newfstatat, fd, "", &status, AT_EMPTY_PATH);
  else if (strcmp(how, "late") == 0 && getppid() > 0)
    syscall(SYS_fstat, fd, &status);
  printf("%o %u %u\n", status.st_mode, major(status.st_rdev), minor(status.st_rdev));
}

static void fault(void) {
  int fd = open(path, O_RDWR);
  char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  uint64_t address = (uintptr_t)page;
  if (write(fd, &address, sizeof address) != -1 || errno != EFAULT)
    fail("write to a bad address");
  int next = dup(fd);
  if (next != fd + 1)
    fail("descriptor %d was left open", next - 1);
}

static void full(void) {
  int fd = open(path, O_RDWR);
  struct rlimit limit = {(rlim_t)fd + 1, (rlim_t)fd + 1};
  setrlimit(RLIMIT_NOFILE, &limit);
  struct response response = {0};
  uint64_t address = (uintptr_t)&response;
  if (write(fd, &address, sizeof address) != -1 || errno != EMFILE || response.descriptor != 0)
    fail("write without a free descriptor");
}

static void spin(const char *flag) {
  volatile char *seen = mmap(NULL, 1, PROT_READ, MAP_SHARED, open(flag, O_RDONLY), 0);
  if (seen == MAP_FAILED)
    fail("mmap of %s", flag);
  int fd = open(path, O_RDWR);
  while (!*seen)
    ;
  struct stat status;
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
    fail("fstat after the time is up");
}

static void traced(void) {
  pid_t child = fork();
  if (child == 0) {
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    raise(SIGSTOP);
    _exit(open(path, O_RDWR) < 0 ? errno : 0);
  }
  int status;
  waitpid(child, &status, 0);
  ptrace(PTRACE_CONT, child, NULL, NULL);
  waitpid(child, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != EPERM)
    fail("traced child: status %x", status);
}

static void replace(void) {
  pthread_t other;
  rounds = 1000000;
  for (int i = 0; i < 3; i++)
    pthread_create(&other, NULL, run, NULL);
  usleep(rand() % 5000);
  execlp("echo", "echo", "ok", NULL);
}

int main(int argc, char **argv) {
  const char *what = argc > 2 ? argv[1] : "";
  path = argv[2];
  srand((unsigned)getpid());
  if (strcmp(what, "stat") == 0 && argc == 4) {
    look(argv[3]);
    return 0;
  }
  if (strcmp(what, "loop") == 0 && argc == 6) {
    rounds = atol(argv[3]);
    loop(atoi(argv[4]), argv[5]);
  } else if (strcmp(what, "fault") == 0)
    fault();
  else if (strcmp(what, "full") == 0)
    full();
  else if (strcmp(what, "spin") == 0 && argc == 4)
    spin(argv[3]);
  else if (strcmp(what, "traced") == 0)
    traced();
  else if (strcmp(what, "exec") == 0)
    replace();
  else
    return 2;
  puts("ok");
  return 0;
}
