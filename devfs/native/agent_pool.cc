#include "agent_pool.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <deque>

#include "agent_tracee.h"

// The agent threads are not threads of the daemon's process but of another that shares its memory and descriptors
// (the "host"). A stopped tracee is reported to waitpid in *any* thread of its tracer's process: were the agents
// threads of the daemon, and the client a child of it, libuv's waitpid would steal the stops and take them for the
// exit of the child. The host also keeps SIGCHLD, one for every stop, away from the event loop.

namespace {

constexpr int kMaxAgents = 256;
constexpr time_t kIdleSeconds = 10;
constexpr size_t kAgentStack = 128 * 1024;
constexpr size_t kHostStack = 64 * 1024;

struct Pool {
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t work = PTHREAD_COND_INITIALIZER;  // for idle agents
  pthread_cond_t grow = PTHREAD_COND_INITIALIZER;  // for the host's first thread, which makes the agents
  std::deque<AgentJob> queue;
  size_t idle = 0;
  int agents = 0;
  bool started = false;

  bool TooFew() const { return queue.size() > idle && agents < kMaxAgents; }
};

Pool& ThePool() {
  static Pool* pool = new Pool;  // never destroyed: its threads outlive static destruction
  return *pool;
}

timespec In(time_t seconds, long nanoseconds) {
  timespec at;
  clock_gettime(CLOCK_REALTIME, &at);
  at.tv_sec += seconds;
  at.tv_nsec += nanoseconds;
  if (at.tv_nsec >= 1000000000L) at.tv_sec++, at.tv_nsec -= 1000000000L;
  return at;
}

void* Agent(void*) {
  PrepareTracerThread();
  Pool& pool = ThePool();
  pthread_mutex_lock(&pool.mutex);
  for (bool keep = true; keep;) {
    if (pool.queue.empty()) {
      pool.idle++;
      timespec until = In(kIdleSeconds, 0);
      int waited = pthread_cond_timedwait(&pool.work, &pool.mutex, &until);
      pool.idle--;
      if (waited == ETIMEDOUT && pool.queue.empty()) break;
      continue;
    }
    AgentJob job = std::move(pool.queue.front());
    pool.queue.pop_front();
    pthread_mutex_unlock(&pool.mutex);
    keep = job();
    job = nullptr;
    pthread_mutex_lock(&pool.mutex);
  }
  pool.agents--;
  if (pool.TooFew()) pthread_cond_signal(&pool.grow);
  pthread_mutex_unlock(&pool.mutex);
  return nullptr;
}

void MakeAgents() {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, kAgentStack);

  Pool& pool = ThePool();
  pthread_mutex_lock(&pool.mutex);
  for (;;) {
    while (!pool.TooFew()) pthread_cond_wait(&pool.grow, &pool.mutex);
    pthread_t agent;
    if (pthread_create(&agent, &attributes, Agent, nullptr) == 0) {
      pool.agents++;
    } else {  // out of threads or memory: try again, at the latest when an agent ends
      timespec until = In(0, 10 * 1000000L);
      pthread_cond_timedwait(&pool.grow, &pool.mutex, &until);
    }
  }
}

int Host(void* daemon) {
  prctl(PR_SET_NAME, "devfs-agent");
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != *static_cast<pid_t*>(daemon)) _exit(0);  // it died before the line above
  MakeAgents();
  return 0;
}

// The host begins as a copy of this thread without thread-local storage of its own, and uses this thread's. So
// from clone on this thread makes no library call, and waits for the end of the host, which does not come.
void* KeepHost(void*) {
  alignas(16) static char stack[kHostStack];
  static pid_t daemon = getpid();
  pid_t host = clone(Host, stack + sizeof stack, CLONE_VM | CLONE_FILES, &daemon);
  if (host < 0) MakeAgents();  // in the daemon itself then, with the flaw said above
  for (;;) {
    long result;
    register long options asm("r10") = 0;
    asm volatile("syscall"
                 : "=a"(result)
                 : "a"(SYS_wait4), "D"(static_cast<long>(host)), "S"(0), "d"(__WALL), "r"(options)
                 : "rcx", "r11", "memory");
    if (result != -EINTR) return nullptr;
  }
}

int Start() {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // inherited by every thread made here
  pthread_t keeper;
  int error = pthread_create(&keeper, nullptr, KeepHost, nullptr);
  if (error == 0) pthread_detach(keeper);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return -error;
}

}  // namespace

int SubmitAgentJob(AgentJob job) {
  Pool& pool = ThePool();
  pthread_mutex_lock(&pool.mutex);
  int error = pool.started ? 0 : Start();
  if (error == 0) {
    pool.started = true;
    pool.queue.push_back(std::move(job));
    if (pool.idle > 0) pthread_cond_signal(&pool.work);
    if (pool.TooFew()) pthread_cond_signal(&pool.grow);
  }
  pthread_mutex_unlock(&pool.mutex);
  return error;
}
