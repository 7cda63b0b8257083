// SPDX-License-Identifier: MIT
/* backoff: how long to wait before the next try: twice as long each time, with some jitter.
 * Uses: nothing else.
 * Not: know what is tried, or keep time. */
#ifndef T2M_BACKOFF_H
#define T2M_BACKOFF_H

#include <math.h>
#include <stdlib.h>

struct backoff {
	double next; /* seconds, before the jitter */
};

/* The next wait is `first` seconds long, before its jitter. */
static inline void backoff_reset(struct backoff *b, double first)
{
	b->next = first;
}

/* `seconds`, a quarter less or more: clients that failed at the same time must not all try again at the same time. */
static inline double backoff_jitter(double seconds)
{
	return seconds * (0.75 + 0.5 * drand48());
}

/* Seconds to wait now: at most `limit`, then jitter. The wait after it is twice as long, at most `most`, whatever `limit` was. */
static inline double backoff_wait(struct backoff *b, double limit, double most)
{
	double now = fmin(b->next, limit);
	b->next = fmin(b->next * 2, most);
	return backoff_jitter(now);
}

#endif
