// SPDX-License-Identifier: MIT
/* share: who holds most of a pool that strangers share, so that the one who holds most gives way first.
 * Uses: nothing else.
 * Not: know what is shared.
 *
 * Holders are kept by the power of two that their count reaches: a change costs the same however many there are, and the
 * heaviest found holds at least half of what the true heaviest holds. */
#ifndef T2M_SHARE_H
#define T2M_SHARE_H

#include <stdbool.h>
#include <stdint.h>

/* One holder's part; all zero at first. */
struct share {
	struct share *prev, *next;
	uint32_t count;
};

struct shares {
	struct share *level[32]; /* by power of two; all NULL at first */
};

/* So many more, or fewer; never below 0. At 0 the holder is in no list and may be freed. */
void share_change(struct shares *shares, struct share *share, int64_t by);

/* A holder of clearly more than `count`, and of two at least; NULL: there is none. */
struct share *shares_heavier(const struct shares *shares, uint32_t count);
/* Another one behind this one, which came from there; NULL: there is none. */
struct share *shares_next(const struct shares *shares, const struct share *share, uint32_t count);

#endif
