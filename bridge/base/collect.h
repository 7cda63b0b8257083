// SPDX-License-Identifier: MIT
/* collect: how long the loop collects what comes, before it does a turn.
 * Uses: nothing else.
 * Not: sleep, or know what a turn does.
 *
 * A turn costs the same whatever it carries: a transaction, a write to the broker. So turns are as far apart as they may be while they
 * carry little. When they carry much they come closer, down to COLLECT_LEAST_US: units that wait for an answer before they send again
 * would else wait for the loop, and so would those who come behind a crowd. */
#ifndef T2M_COLLECT_H
#define T2M_COLLECT_H

#include <stdint.h>

#define COLLECT_LEAST_US 1500
#define COLLECT_LITTLE 16 /* of a kind: turns that carry less may be further apart ... */
#define COLLECT_MUCH 32   /* ... and turns that carry more come closer */

/* What a turn carries, counted since the start. */
struct load {
	uint64_t arrived; /* connections and frames, served or refused */
	uint64_t put;     /* messages for the broker */
	uint64_t taken;   /* messages that the broker took */
};

struct collect {
	int64_t us; /* between two turns */
	struct load load;
};

static inline uint64_t collect_more(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* A turn is over, and this is the load so far. How many microseconds the loop collects before the next turn: at most `most_us`. */
static inline int64_t collect_next(struct collect *c, struct load load, int64_t most_us)
{
	uint64_t carried = collect_more(load.arrived - c->load.arrived,
		collect_more(load.put - c->load.put, load.taken - c->load.taken));
	if (carried > COLLECT_MUCH)
		c->us /= 2;
	else if (carried < COLLECT_LITTLE)
		c->us *= 2;
	if (c->us < COLLECT_LEAST_US)
		c->us = COLLECT_LEAST_US;
	if (c->us > most_us)
		c->us = most_us;
	c->load = load;
	return c->us;
}

#endif
