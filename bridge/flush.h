/* flush: fdatasync of a file, in a thread of its own, so that a slow disk does not hold up the loop.
 * May use: the C library, pthread. May not: know what is in the file. */
#ifndef T2M_FLUSH_H
#define T2M_FLUSH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

/* All zero at first. */
struct flush {
	pthread_t thread;
	bool running;
	int fd, error;
	atomic_bool ended;
};

/* Begins; `fd` is copied. False: one is under way, or the system gives no descriptor or thread for it. */
bool flush_begin(struct flush *f, int fd);
/* True, once for each that has begun, when it has ended: *error is 0 or errno. */
bool flush_ended(struct flush *f, int *error);
/* The end of the one under way, if there is one. */
void flush_wait(struct flush *f);

#endif
