// SPDX-License-Identifier: MIT
/* clock: the steady clock, which never jumps, and the clock of the world, which people read.
 * Uses: nothing else.
 * Not: know anything else. */
#ifndef T2M_CLOCK_H
#define T2M_CLOCK_H

#include <stdint.h>
#include <time.h>

/* 2010, Unix time: a clock that says less has not been set. */
#define CLOCK_SET_MS 1262304000000LL

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

/* One moment by both clocks: `unix_ms` for times that are published, `steady_ms` for measuring how long something lasts. */
struct moment {
	int64_t unix_ms, steady_ms;
};

/* Seconds since 1970, as ev_now gives them, in ms. */
static inline int64_t clock_unix_ms(double unix_s)
{
	return (int64_t)(unix_s * 1000);
}

/* The moment of a turn of the loop: `unix_s` is what ev_now says. */
static inline struct moment clock_moment(double unix_s)
{
	return (struct moment){clock_unix_ms(unix_s), clock_steady_ms()};
}

#endif
