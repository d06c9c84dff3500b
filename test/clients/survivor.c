// A program as careful as it should be: it keeps a CQ with a channel, a QP, an SRQ, an MR and a reader for each kind
// of event, and when its device goes it stops its readers, gives everything back and ends.
//
//   survivor
//
// Prints "ready\n" when everything is there, and when the device is gone, or when it is told to stop by a line on its
// standard input, one JSON line:
//   {"async":8,"channel":"EIO","mapping":"ok","destroy":[0,0,0,0,0,0],"close":0}
// async: the type of the last event, or -1; channel: the errno of its reader, or "" if it was stopped; mapping: what a
// store to the doorbell page came to ("ok" or "SIGBUS"); destroy: QP, SRQ, CQ, channel, MR, PD; close: of the device.
// Without a device it exits 1.
#define _GNU_SOURCE
#include <errno.h>
#include <infiniband/verbs.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static struct ibv_context *context;
static struct ibv_comp_channel *channel;
static int last_event = -1, channel_errno;
static char page[4096] __attribute__((aligned(4096)));
static sigjmp_buf out_of_fault;

// Reads events until the one after which none will come.
static void *read_async_events(void *unused)
{
	struct ibv_async_event event;
	while (ibv_get_async_event(context, &event) == 0) {
		last_event = (int)event.event_type;
		ibv_ack_async_event(&event);
		if (event.event_type == IBV_EVENT_DEVICE_FATAL)
			break;
	}
	return unused;
}

static void *read_completion_events(void *unused)
{
	struct ibv_cq *cq;
	void *cq_context;
	while (ibv_get_cq_event(channel, &cq, &cq_context) == 0)
		ibv_ack_cq_events(cq, 1);
	channel_errno = errno;
	return unused;
}

// Stops the readers of a device that works on.
static void *wait_for_word(void *readers)
{
	if (getchar() == '\n')
		for (int i = 0; i < 2; i++)
			pthread_cancel(((pthread_t *)readers)[i]);
	return NULL;
}

static void on_fault(int signal)
{
	siglongjmp(out_of_fault, signal);
}

static const char *touch(volatile uint32_t *doorbell)
{
	signal(SIGBUS, on_fault);
	if (sigsetjmp(out_of_fault, 1))
		return "SIGBUS";
	*doorbell = 1;
	return "ok";
}

int main(void)
{
	int count = 0;
	struct ibv_device **list = ibv_get_device_list(&count);
	context = count ? ibv_open_device(list[0]) : NULL;
	if (!context)
		return 1;
	struct ibv_pd *pd = ibv_alloc_pd(context);
	struct ibv_mr *mr = ibv_reg_mr(pd, page, sizeof(page), IBV_ACCESS_LOCAL_WRITE);
	channel = ibv_create_comp_channel(context);
	struct ibv_cq *cq = ibv_create_cq(context, 16, NULL, channel, 0);
	struct ibv_srq_init_attr srq_init = {.attr = {.max_wr = 4, .max_sge = 1}};
	struct ibv_srq *srq = ibv_create_srq(pd, &srq_init);
	struct ibv_qp_init_attr init = {
		.send_cq = cq, .recv_cq = cq, .cap = {4, 4, 1, 1, 0}, .qp_type = IBV_QPT_RC};
	struct ibv_qp *qp = ibv_create_qp(pd, &init);
	uint32_t *doorbell = mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, context->cmd_fd, 0);
	if (!pd || !mr || !channel || !cq || !srq || !qp || doorbell == MAP_FAILED)
		return 1;
	ibv_req_notify_cq(cq, 0);
	pthread_t readers[2], listener;
	pthread_create(&readers[0], NULL, read_async_events, NULL);
	pthread_create(&readers[1], NULL, read_completion_events, NULL);
	pthread_create(&listener, NULL, wait_for_word, readers);
	puts("ready");
	fflush(stdout);

	for (int i = 0; i < 2; i++)
		pthread_join(readers[i], NULL);
	const char *mapping = touch(doorbell);
	int destroyed[6];
	destroyed[0] = ibv_destroy_qp(qp);
	destroyed[1] = ibv_destroy_srq(srq);
	destroyed[2] = ibv_destroy_cq(cq);
	destroyed[3] = ibv_destroy_comp_channel(channel);
	destroyed[4] = ibv_dereg_mr(mr);
	destroyed[5] = ibv_dealloc_pd(pd);
	printf("{\"async\":%d,\"channel\":\"%s\",\"mapping\":\"%s\",\"destroy\":[%d,%d,%d,%d,%d,%d],\"close\":%d}\n",
	       last_event, channel_errno ? strerrorname_np(channel_errno) : "", mapping, destroyed[0], destroyed[1],
	       destroyed[2], destroyed[3], destroyed[4], destroyed[5], ibv_close_device(context));
	return 0;
}
