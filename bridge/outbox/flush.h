// SPDX-License-Identifier: MIT
/* flush: fdatasync of a file in a thread of its own, so that a slow disk does not hold up the loop.
 * Uses: nothing else.
 * Not: know what is in the file. */
#ifndef T2M_FLUSH_H
#define T2M_FLUSH_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that are written to another file once the flush has succeeded; fd -1: none. That file is open with O_DSYNC: the bytes are
 * safe when they are written. */
struct flush_mark {
	int fd;
	const void *bytes;
	size_t size;
	int64_t offset;
};

struct flush {
	pthread_t thread;
	pthread_mutex_t lock;           /* of what the thread and the loop share, down to `error` */
	pthread_cond_t asked, answered; /* by the loop; by the thread */
	bool job, ended, awaited, leave;
	int fd, error;
	int64_t ended_us;
	struct flush_mark mark;
	bool running, threaded; /* the loop's */
	int64_t began_us, took_us;
	void (*wake)(void *ctx);
	void *ctx;
};

/* The thread begins with the first flush, and stays until flush_close. */
void flush_open(struct flush *f);
/* `wake` is called by the thread when a flush has ended for which nobody waits: it may only wake the loop. Before the first flush. */
void flush_use_wake(struct flush *f, void (*wake)(void *ctx), void *ctx);
/* Waits for the end of the flush that is under way. */
void flush_close(struct flush *f);
/* Begins a flush of `fd`. `fd` stays open, and the bytes of the mark stay as they are, until flush_collect returns true.
 * False: a flush is under way. When the system gives no thread, the flush is done during this call. */
bool flush_begin(struct flush *f, int fd, const struct flush_mark *mark);
bool flush_is_running(const struct flush *f);
/* True, once for each flush, when it has ended: *error is 0 or errno. */
bool flush_collect(struct flush *f, int *error);
/* Waits at most so long for the end of the flush that is under way, if there is one. True: it has ended, and flush_collect still returns
 * true for it. */
bool flush_wait(struct flush *f, int64_t most_us);
#define FLUSH_HOWEVER_LONG INT64_MAX
/* For how long the flush under way has run; when there is none, how long the last one took. */
int64_t flush_us(const struct flush *f);

#endif
