/* clock: the one that never jumps.
 * May use: the C library. May not: know anything else. */
#ifndef T2M_CLOCK_H
#define T2M_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t clock_steady_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static inline int64_t clock_steady_ms(void)
{
	return clock_steady_us() / 1000;
}

#endif
