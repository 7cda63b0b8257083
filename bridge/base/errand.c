// SPDX-License-Identifier: MIT
/* errand: see errand.h. */
#include "bridge/base/errand.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

/* The thread ends it, or the loop abandons it: the second of the two frees it. The thread touches the loop only under the lock, and only
 * while the errand is not abandoned; so the loop may be destroyed after abandoning it. */
struct errand {
	struct ev_loop *loop;
	const struct errand_work *work;
	void *arg;
	ev_async ended_async;
	pthread_mutex_t lock;
	bool ended, abandoned; /* under the lock */
};

static void free_errand(struct errand *e)
{
	pthread_mutex_destroy(&e->lock);
	free(e);
}

static void drop(struct errand *e)
{
	e->work->drop(e->arg);
	free_errand(e);
}

static void *run(void *arg)
{
	struct errand *e = arg;
	e->work->run(e->arg);
	pthread_mutex_lock(&e->lock);
	bool abandoned = e->abandoned;
	e->ended = true;
	if (!abandoned)
		ev_async_send(e->loop, &e->ended_async);
	pthread_mutex_unlock(&e->lock);
	if (abandoned)
		drop(e);
	return NULL;
}

static void on_ended(struct ev_loop *loop, ev_async *async, int events)
{
	(void)events;
	struct errand *e = async->data;
	const struct errand_work *work = e->work;
	void *done = e->arg;
	pthread_mutex_lock(&e->lock); /* waits until the thread has left it */
	pthread_mutex_unlock(&e->lock);
	ev_async_stop(loop, async);
	free_errand(e);
	work->done(done);
}

struct errand *errand_start(struct ev_loop *loop, const struct errand_work *work, void *arg)
{
	struct errand *e = calloc(1, sizeof(*e));
	pthread_t thread;
	if (e == NULL)
		return NULL;
	e->loop = loop;
	e->work = work;
	e->arg = arg;
	pthread_mutex_init(&e->lock, NULL);
	ev_async_init(&e->ended_async, on_ended);
	e->ended_async.data = e;
	ev_async_start(loop, &e->ended_async); /* before the thread: its end may come at once */
	if (pthread_create(&thread, NULL, run, e) == 0) {
		pthread_detach(thread);
		return e;
	}
	ev_async_stop(loop, &e->ended_async);
	free_errand(e);
	return NULL;
}

void errand_abandon(struct errand *e)
{
	if (e == NULL)
		return;
	ev_async_stop(e->loop, &e->ended_async);
	pthread_mutex_lock(&e->lock);
	bool ended = e->ended;
	e->abandoned = true;
	pthread_mutex_unlock(&e->lock);
	if (ended)
		drop(e);
}
