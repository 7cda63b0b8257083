/* done: a set of message numbers (those that the broker has), as sorted ranges: numbers that follow each other cost nothing.
 * May use: the C library. May not: know what they number. */
#ifndef T2M_DONE_H
#define T2M_DONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct done_range {
	uint64_t from, to; /* both in it */
};

/* All zero: empty. */
struct done_set {
	struct done_range *range;
	size_t ranges, room;
	uint64_t count; /* numbers in it */
};

/* False: it was in it, or there is no memory. */
bool done_add(struct done_set *n, uint64_t number);
/* All up to `number`, which is in it or not. */
void done_drop(struct done_set *n, uint64_t number);
/* The last of the numbers that follow `number` without a gap, itself if it stands alone; 0: it is not in the set. */
uint64_t done_end(const struct done_set *n, uint64_t number);
/* The lowest number that is at least `from`; 0: none. */
uint64_t done_next(const struct done_set *n, uint64_t from);
void done_clear(struct done_set *n); /* frees, too */

#endif
