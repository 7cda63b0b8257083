// SPDX-License-Identifier: MIT
/* done: see done.h. */
#include "bridge/outbox/done.h"

#include <stdlib.h>
#include <string.h>

/* The first range that ends at `number` or later. */
static size_t first_ending_at(const struct done_set *n, uint64_t number)
{
	size_t low = 0, high = n->ranges;
	if (high > 0 && n->range[high - 1].to < number)
		return high; /* the common case: numbers rise */
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (n->range[middle].to < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool insert_range(struct done_set *n, size_t at, struct done_range range)
{
	if (n->ranges == n->room) {
		size_t room = n->room > 0 ? n->room * 2 : 64;
		struct done_range *grown = realloc(n->range, room * sizeof(*grown));
		if (grown == NULL)
			return false;
		n->range = grown;
		n->room = room;
	}
	memmove(n->range + at + 1, n->range + at, (n->ranges - at) * sizeof(*n->range));
	n->range[at] = range;
	n->ranges++;
	return true;
}

static void erase_range(struct done_set *n, size_t at)
{
	n->ranges--;
	memmove(n->range + at, n->range + at + 1, (n->ranges - at) * sizeof(*n->range));
}

bool done_add(struct done_set *n, uint64_t number)
{
	size_t at = first_ending_at(n, number);
	bool before = at > 0 && n->range[at - 1].to + 1 == number;
	bool behind = at < n->ranges && n->range[at].from == number + 1;
	if (at < n->ranges && n->range[at].from <= number)
		return false;
	if (before && behind) {
		n->range[at - 1].to = n->range[at].to;
		erase_range(n, at);
	} else if (before) {
		n->range[at - 1].to = number;
	} else if (behind) {
		n->range[at].from = number;
	} else if (!insert_range(n, at, (struct done_range){number, number})) {
		return false;
	}
	n->count++;
	return true;
}

void done_drop(struct done_set *n, uint64_t number)
{
	size_t whole = first_ending_at(n, number);
	if (whole < n->ranges && n->range[whole].to == number)
		whole++;
	for (size_t i = 0; i < whole; i++)
		n->count -= n->range[i].to - n->range[i].from + 1;
	n->ranges -= whole;
	memmove(n->range, n->range + whole, n->ranges * sizeof(*n->range));
	if (n->ranges > 0 && n->range[0].from <= number) {
		n->count -= number - n->range[0].from + 1;
		n->range[0].from = number + 1;
	}
}

uint64_t done_end(const struct done_set *n, uint64_t number)
{
	size_t at = first_ending_at(n, number);
	return at < n->ranges && n->range[at].from <= number ? n->range[at].to : 0;
}

uint64_t done_next(const struct done_set *n, uint64_t from)
{
	size_t at = first_ending_at(n, from);
	if (at == n->ranges)
		return 0;
	return n->range[at].from > from ? n->range[at].from : from;
}

void done_clear(struct done_set *n)
{
	free(n->range);
	*n = (struct done_set){0};
}
