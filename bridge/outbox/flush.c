// SPDX-License-Identifier: MIT
/* flush: see flush.h. */
#include "bridge/outbox/flush.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

static int64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int do_flush(int fd, const struct flush_mark *m)
{
	if (fdatasync(fd) != 0)
		return errno;
	errno = EIO;
	if (m->fd >= 0 && pwrite(m->fd, m->bytes, m->size, (off_t)m->offset) != (ssize_t)m->size)
		return errno;
	return 0;
}

static void *flush_run(void *arg)
{
	struct flush *f = arg;
	pthread_mutex_lock(&f->lock);
	for (;;) {
		while (!f->job && !f->leave)
			pthread_cond_wait(&f->asked, &f->lock);
		if (!f->job)
			break;
		f->job = false;
		pthread_mutex_unlock(&f->lock);
		int error = do_flush(f->fd, &f->mark);
		int64_t ended_us = now_us();
		pthread_mutex_lock(&f->lock);
		f->error = error;
		f->ended_us = ended_us;
		f->ended = true;
		bool awaited = f->awaited;
		pthread_mutex_unlock(&f->lock); /* or who waits would wake up and wait for the lock */
		if (awaited)
			pthread_cond_signal(&f->answered);
		else if (f->wake != NULL)
			f->wake(f->ctx);
		pthread_mutex_lock(&f->lock);
	}
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

void flush_open(struct flush *f)
{
	pthread_condattr_t steady;
	*f = (struct flush){0};
	pthread_mutex_init(&f->lock, NULL);
	pthread_condattr_init(&steady);
	pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
	pthread_cond_init(&f->asked, NULL);
	pthread_cond_init(&f->answered, &steady);
	pthread_condattr_destroy(&steady);
}

void flush_use_wake(struct flush *f, void (*wake)(void *ctx), void *ctx)
{
	f->wake = wake;
	f->ctx = ctx;
}

void flush_close(struct flush *f)
{
	flush_wait(f, FLUSH_HOWEVER_LONG);
	if (f->threaded) {
		pthread_mutex_lock(&f->lock);
		f->leave = true;
		pthread_mutex_unlock(&f->lock);
		pthread_cond_signal(&f->asked);
		pthread_join(f->thread, NULL);
	}
	pthread_cond_destroy(&f->asked);
	pthread_cond_destroy(&f->answered);
	pthread_mutex_destroy(&f->lock);
}

bool flush_begin(struct flush *f, int fd, const struct flush_mark *mark)
{
	if (f->running)
		return false;
	f->running = true;
	f->began_us = now_us();
	if (!f->threaded)
		f->threaded = pthread_create(&f->thread, NULL, flush_run, f) == 0;
	pthread_mutex_lock(&f->lock);
	f->fd = fd;
	f->mark = *mark;
	f->ended = false;
	f->job = f->threaded;
	pthread_mutex_unlock(&f->lock);
	if (f->threaded) {
		pthread_cond_signal(&f->asked);
	} else {
		f->error = do_flush(fd, mark);
		f->ended_us = now_us();
		f->ended = true;
	}
	return true;
}

bool flush_is_running(const struct flush *f)
{
	return f->running;
}

bool flush_collect(struct flush *f, int *error)
{
	if (!f->running)
		return false;
	pthread_mutex_lock(&f->lock);
	bool ended = f->ended;
	*error = ended ? f->error : 0;
	pthread_mutex_unlock(&f->lock);
	if (!ended)
		return false;
	f->running = false;
	f->took_us = f->ended_us - f->began_us;
	return true;
}

bool flush_wait(struct flush *f, int64_t most_us)
{
	int64_t until_us = most_us == FLUSH_HOWEVER_LONG ? 0 : now_us() + most_us;
	const struct timespec until = {until_us / 1000000, until_us % 1000000 * 1000};
	if (!f->running)
		return false;
	pthread_mutex_lock(&f->lock);
	f->awaited = true;
	int rc = 0;
	while (!f->ended && rc == 0 && most_us > 0)
		rc = most_us == FLUSH_HOWEVER_LONG ? pthread_cond_wait(&f->answered, &f->lock)
						   : pthread_cond_timedwait(&f->answered, &f->lock, &until);
	f->awaited = false;
	bool ended = f->ended;
	pthread_mutex_unlock(&f->lock);
	return ended;
}

int64_t flush_us(const struct flush *f)
{
	return f->running ? now_us() - f->began_us : f->took_us;
}
