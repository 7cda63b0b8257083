/* backoff: how long to wait before the next try: twice as long each time, and never the same for all.
 * May use: the C library. May not: know what is tried, or keep time. */
#ifndef T2M_BACKOFF_H
#define T2M_BACKOFF_H

#include <math.h>
#include <stdlib.h>

struct backoff {
	double next; /* seconds, before the jitter */
};

/* The next wait is the first one again. */
static inline void backoff_reset(struct backoff *b, double first)
{
	b->next = first;
}

/* `seconds`, a quarter less or more, so that many that fail together do not come back together. */
static inline double backoff_jitter(double seconds)
{
	return seconds * (0.75 + 0.5 * drand48());
}

/* How many seconds to wait now: with jitter, and before it at most `limit`. The next wait is twice as long, before its jitter at most
 * `most`. */
static inline double backoff_wait(struct backoff *b, double limit, double most)
{
	double now = fmin(b->next, limit);
	b->next = fmin(b->next * 2, most);
	return backoff_jitter(now);
}

#endif
