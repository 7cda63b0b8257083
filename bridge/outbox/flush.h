/* flush: fdatasync of a file, in a thread of its own, so that a slow disk does not hold up the loop.
 * May use: the C library, pthread. May not: know what is in the file. */
#ifndef T2M_FLUSH_H
#define T2M_FLUSH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is written behind it, and made safe as well, when it went well; fd -1: nothing. */
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

/* Begins; `fd`, and what the mark points to, stay as they are until it has ended. False: one is under way. When the system
 * gives no thread, it is done here. */
bool flush_begin(struct flush *f, int fd, const struct flush_mark *mark);
/* True, once for each that has begun, when it has ended: *error is 0 or errno. */
bool flush_collect(struct flush *f, int *error);
/* Waits for the end of the one under way, if there is one; flush_collect tells it all the same. */
void flush_wait(struct flush *f);

#endif
