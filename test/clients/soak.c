// Clients that open, create, wait, fork, die and close at random, for the soak test.
//
//   soak WORKERS SECONDS SEED
//
// Runs WORKERS processes at a time, each a random life of a few steps on a random device, and starts another when
// one ends. After SECONDS it starts no more and waits for the last ones. Prints one JSON line:
//   {"lives":N,"opened":N,"refused":N,"killed":N,"stuck":N}
// opened and refused count attempts to open a device; stuck is how many were not gone 20 s after the end (they are
// killed then). Exits 0 unless some were stuck or a worker failed where it must not (exit codes of workers: 0).
#include <errno.h>
#include <fcntl.h>
#include <infiniband/verbs.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_WORKERS = 1000, MAX_OBJECTS = 16, PATIENCE_SECONDS = 120 };

// Counted by all processes.
struct tally {
	unsigned opened, refused;
};

static struct tally *tally;

static unsigned below(unsigned limit)
{
	return (unsigned)rand() % limit;
}

static void nap(unsigned most_ms)
{
	struct timespec t = {0, (long)below(most_ms) * 1000000L};
	nanosleep(&t, NULL);
}

static time_t seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

// What one context has; any of them may be missing, because the device may go at any moment.
struct objects {
	struct ibv_pd *pd;
	struct ibv_comp_channel *channel;
	struct ibv_cq *cq;
	struct ibv_qp *qps[MAX_OBJECTS];
	struct ibv_mr *mr;
};

static char page[4096] __attribute__((aligned(4096)));

static void make(struct ibv_context *context, struct objects *o)
{
	o->pd = ibv_alloc_pd(context);
	if (below(2))
		o->channel = ibv_create_comp_channel(context);
	o->cq = ibv_create_cq(context, 16, NULL, o->channel, 0);
	if (!o->pd || !o->cq)
		return;
	o->mr = ibv_reg_mr(o->pd, page, sizeof(page), IBV_ACCESS_LOCAL_WRITE);
	struct ibv_qp_init_attr init = {
		.send_cq = o->cq, .recv_cq = o->cq, .cap = {4, 4, 1, 1, 0}, .qp_type = IBV_QPT_RC};
	unsigned count = below(MAX_OBJECTS);
	for (unsigned i = 0; i < count; i++)
		o->qps[i] = ibv_create_qp(o->pd, &init);
}

static void destroy(struct objects *o)
{
	for (unsigned i = 0; i < MAX_OBJECTS; i++)
		if (o->qps[i])
			ibv_destroy_qp(o->qps[i]);
	if (o->mr)
		ibv_dereg_mr(o->mr);
	if (o->cq)
		ibv_destroy_cq(o->cq);
	if (o->channel)
		ibv_destroy_comp_channel(o->channel);
	if (o->pd)
		ibv_dealloc_pd(o->pd);
}

// Waits for events a while, as a program does that has a reader for them.
static void await_events(struct ibv_context *context)
{
	struct pollfd ready = {context->async_fd, POLLIN, 0};
	if (poll(&ready, 1, (int)below(200)) <= 0)
		return;
	struct ibv_async_event event;
	if (ibv_get_async_event(context, &event) == 0)
		ibv_ack_async_event(&event);
}

static void fork_child(void)
{
	pid_t child = fork();
	if (child == 0) {
		nap(50);
		_exit(0);
	}
	if (child > 0 && below(2))
		waitpid(child, NULL, 0);
}

static void use_device(struct ibv_context *context)
{
	struct objects o = {0};
	make(context, &o);
	if (below(4) == 0)
		fork_child();
	await_events(context);
	switch (below(6)) {
	case 0:
		raise(SIGKILL);
		break;
	case 1:
		_exit(0); // leaves everything to the kernel
	default:
		destroy(&o);
	}
}

static void live(unsigned seed)
{
	srand(seed);
	unsigned steps = 1 + below(4);
	for (unsigned i = 0; i < steps; i++) {
		int count = 0;
		struct ibv_device **list = ibv_get_device_list(&count);
		if (!list)
			_exit(1);
		struct ibv_context *context = count ? ibv_open_device(list[below((unsigned)count)]) : NULL;
		__atomic_add_fetch(context ? &tally->opened : &tally->refused, 1, __ATOMIC_RELAXED);
		if (context) {
			use_device(context);
			if (ibv_close_device(context))
				_exit(2);
		}
		ibv_free_device_list(list);
		nap(30);
	}
	_exit(0);
}

static pid_t start(unsigned seed)
{
	pid_t pid = fork();
	if (pid == 0)
		live(seed);
	if (pid < 0) {
		// The others come to their end by themselves. -1 must never get to kill(2).
		perror("fork");
		exit(1);
	}
	return pid;
}

static unsigned killed, failed;

// Takes note of one that ended, and returns its place, or -1.
static int reap(pid_t *workers, int count, int options)
{
	int status;
	pid_t pid = waitpid(-1, &status, options);
	if (pid <= 0)
		return -1;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		killed++;
	else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		fprintf(stderr, "a worker ended with status 0x%x\n", status);
		failed++;
	}
	for (int i = 0; i < count; i++)
		if (workers[i] == pid)
			return i;
	return -1;
}

int main(int argc, char **argv)
{
	int count = argc == 4 ? atoi(argv[1]) : 0;
	if (count < 1 || count > MAX_WORKERS) {
		fprintf(stderr, "usage: soak WORKERS SECONDS SEED\n");
		return 1;
	}
	tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t workers[MAX_WORKERS] = {0};
	unsigned seed = (unsigned)atoi(argv[3]), lives = 0;
	time_t end = seconds() + atoi(argv[2]);
	for (int i = 0; i < count; i++)
		workers[i] = start(seed + lives++);
	while (seconds() < end) {
		int place = reap(workers, count, 0);
		if (place >= 0)
			workers[place] = start(seed + lives++);
	}
	unsigned left = (unsigned)count, stuck = 0;
	for (time_t patience = seconds() + PATIENCE_SECONDS; left > 0 && seconds() < patience;) {
		int place = reap(workers, count, WNOHANG);
		if (place >= 0) {
			workers[place] = 0;
			left--;
		} else {
			nap(20);
		}
	}
	for (int i = 0; i < count; i++)
		if (workers[i]) {
			stuck++;
			kill(workers[i], SIGKILL);
		}
	printf("{\"lives\":%u,\"opened\":%u,\"refused\":%u,\"killed\":%u,\"stuck\":%u}\n", lives, tally->opened,
	       tally->refused, killed, stuck);
	return stuck || failed ? 1 : 0;
}
