// SPDX-License-Identifier: MIT
/* collect: how long the loop collects what comes, before it does a turn.
 * Uses: nothing else.
 * Not: sleep, or know what a turn does.
 *
 * A turn costs the same whatever it carries: a transaction, a write to the broker. So turns are as far apart as they may be while they
 * carry little. When they carry much they come closer, down to COLLECT_LEAST_US: units that wait for an answer before they send again
 * would else wait for the loop. */
#ifndef T2M_COLLECT_H
#define T2M_COLLECT_H

#include <stdint.h>

#define COLLECT_LEAST_US 1500
#define COLLECT_LITTLE 16 /* messages: turns that carry fewer may be further apart ... */
#define COLLECT_MUCH 32   /* ... and turns that carry more come closer */

struct collect {
	int64_t us; /* between two turns */
	uint64_t put, taken;
};

/* A turn is over; `put` and `taken` count the messages that were put so far, and those that the broker took. How many microseconds the loop
 * collects before the next turn: at most `most_us`. */
static inline int64_t collect_next(struct collect *c, uint64_t put, uint64_t taken, int64_t most_us)
{
	uint64_t in = put - c->put, out = taken - c->taken, carried = in > out ? in : out;
	if (carried > COLLECT_MUCH)
		c->us /= 2;
	else if (carried < COLLECT_LITTLE)
		c->us *= 2;
	if (c->us < COLLECT_LEAST_US)
		c->us = COLLECT_LEAST_US;
	if (c->us > most_us)
		c->us = most_us;
	c->put = put;
	c->taken = taken;
	return c->us;
}

#endif
