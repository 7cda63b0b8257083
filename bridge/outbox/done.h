// SPDX-License-Identifier: MIT
/* done: a set of message numbers (those that the broker has acknowledged), as sorted ranges: a range takes as little as one
 * number.
 * Uses: nothing else.
 * Not: know what they number. */
#ifndef T2M_DONE_H
#define T2M_DONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct done_range {
	uint64_t from, to; /* both are in the range */
};

/* All zero: empty. */
struct done_set {
	struct done_range *range;
	size_t ranges, room; /* in use; allocated */
	uint64_t count;      /* numbers in the set */
};

/* False: the number was in the set already, or there is no memory. */
bool done_add(struct done_set *n, uint64_t number);
/* Removes all numbers up to `number`, which may be in the set or not. */
void done_drop(struct done_set *n, uint64_t number);
/* The last number of the range that `number` is in; 0: it is in none. */
uint64_t done_end(const struct done_set *n, uint64_t number);
/* The lowest number of the set that is at least `from`; 0: none. */
uint64_t done_next(const struct done_set *n, uint64_t from);
/* Removes all numbers, and frees the memory. */
void done_clear(struct done_set *n);

#endif
