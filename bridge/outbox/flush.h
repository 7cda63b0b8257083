// SPDX-License-Identifier: MIT
/* flush: fdatasync of a file in a thread of its own, so that a slow disk does not hold up the loop.
 * Uses: nothing else.
 * Not: know what is in the file. */
#ifndef T2M_FLUSH_H
#define T2M_FLUSH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that are written to another file once the flush has succeeded, and made safe as well; fd -1: none. */
struct flush_mark {
	int fd;
	const void *bytes;
	size_t size;
	int64_t offset;
};

/* All zero at first. */
struct flush {
	pthread_t thread;
	bool running, threaded;
	int fd, error;
	struct flush_mark mark;
	atomic_bool ended;
};

/* Begins a flush of `fd`. `fd` stays open, and the bytes of the mark stay as they are, until flush_collect returns true.
 * False: a flush is under way. When the system gives no thread, the flush is done during this call. */
bool flush_begin(struct flush *f, int fd, const struct flush_mark *mark);
/* True, once for each flush, when it has ended: *error is 0 or errno. */
bool flush_collect(struct flush *f, int *error);
/* Waits for the end of the flush that is under way, if there is one; flush_collect still returns true for it. */
void flush_wait(struct flush *f);

#endif
