// SPDX-License-Identifier: MIT
/* lanes: see lanes.h. */
#include "bridge/outbox/lanes.h"

#include <stdlib.h>

#define PAUSE_MS 1000
#define DOUBLED_MOST 8 /* 256 s */
#define SCAN_SLOTS 8192u
#define SCAN_EVERY_MS 50
/* of all lanes together: a broker that refuses everything is not asked more often */
#define TRIES_PER_SECOND 200
#define TRIES_BURST 20u
#define WAKE_EVERY_MS 60000

static size_t place(const struct lanes *l, uint64_t order)
{
	return (size_t)((order * 0x9e3779b97f4a7c15u) >> 32) & (l->size - 1);
}

/* The slot of this order, or the empty one where it would be. */
static size_t slot_of(const struct lanes *l, uint64_t order)
{
	size_t i = place(l, order);
	while (l->slot[i].state != LANE_NONE && l->slot[i].order != order)
		i = (i + 1) & (l->size - 1);
	return i;
}

void lanes_free(struct lanes *l)
{
	free(l->slot);
	*l = (struct lanes){.slot = NULL};
}

struct lane *lanes_find(const struct lanes *l, uint64_t order)
{
	if (l->count == 0)
		return NULL;
	struct lane *lane = &l->slot[slot_of(l, order)];
	return lane->state != LANE_NONE ? lane : NULL;
}

/* Moves all lanes into a table of `size` slots. */
static bool grow(struct lanes *l, size_t size)
{
	struct lanes fresh = *l;
	fresh.slot = calloc(size, sizeof(*fresh.slot));
	if (fresh.slot == NULL)
		return false;
	fresh.size = size;
	fresh.scan = 0;
	for (size_t i = 0; i < l->size; i++) {
		const struct lane *lane = &l->slot[i];
		if (lane->state == LANE_NONE)
			continue;
		fresh.slot[slot_of(&fresh, lane->order)] = *lane;
	}
	free(l->slot);
	*l = fresh;
	return true;
}

/* Empties the slot `gap`, and closes the gap: a search stops at an empty slot, so later lanes move up. */
static void remove_slot(struct lanes *l, size_t gap)
{
	for (size_t i = (gap + 1) & (l->size - 1); l->slot[i].state != LANE_NONE; i = (i + 1) & (l->size - 1)) {
		size_t home = place(l, l->slot[i].order);
		if (((i - home) & (l->size - 1)) < ((i - gap) & (l->size - 1)))
			continue;
		l->slot[gap] = l->slot[i];
		gap = i;
	}
	l->slot[gap].state = LANE_NONE;
	if (--l->count == 0)
		lanes_free(l);
}

static void set_state(struct lanes *l, struct lane *lane, enum lane_state state)
{
	l->open += state == LANE_OPEN ? 1 : 0;
	l->open -= lane->state == LANE_OPEN ? 1 : 0;
	lane->state = (uint8_t)state;
}

/* A second, doubled with each try, and up to a fifth more or less, so that not all are due at once. */
static int64_t pause_ms(const struct lane *lane)
{
	int64_t pause = PAUSE_MS << lane->tries;
	return pause - pause / 5 + random() % (pause / 5 * 2 + 1);
}

bool lanes_refused(struct lanes *l, uint64_t order, uint64_t number, bool closes, int64_t now_ms)
{
	if ((l->count + 1) * 3 > l->size * 2 && !grow(l, l->size > 0 ? l->size * 2 : 64))
		return false;
	struct lane *lane = &l->slot[slot_of(l, order)];
	if (lane->state == LANE_NONE) {
		*lane = (struct lane){.order = order, .first = number, .state = LANE_WAITS};
		l->count++;
		lane->due_ms = now_ms + pause_ms(lane);
	} else if (lane->state != LANE_WAITS) {
		lane->tries = (uint8_t)(lane->tries < DOUBLED_MOST ? lane->tries + 1 : DOUBLED_MOST);
		l->eager = false;
		if (lane->state == LANE_SWEPT || number < lane->first)
			lane->first = number;
		set_state(l, lane, LANE_WAITS);
		lane->due_ms = now_ms + pause_ms(lane);
	} else if (number < lane->first) {
		lane->first = number;
	}
	lane->closes = closes;
	return true;
}

/* The broker took a message that it had refused before: it may take all the others, too. */
static void wake_all(struct lanes *l, int64_t now_ms)
{
	if (l->woken_ms != 0 && now_ms - l->woken_ms < WAKE_EVERY_MS)
		return;
	l->woken_ms = now_ms;
	l->eager = true;
	for (size_t i = 0; i < l->size; i++)
		if (l->slot[i].state == LANE_WAITS && !l->slot[i].closes)
			l->slot[i].due_ms = now_ms;
}

void lanes_passed(struct lanes *l, uint64_t order, uint64_t number, int64_t now_ms)
{
	struct lane *lane = lanes_find(l, order);
	if (lane == NULL || lane->state != LANE_TRIED || lane->first != number)
		return;
	if (!lane->closes)
		wake_all(l, now_ms);
	set_state(l, lane, LANE_OPEN);
}

static bool take_token(struct lanes *l, int64_t now_ms)
{
	int64_t more = (now_ms - l->tokens_ms) * TRIES_PER_SECOND / 1000;
	if (more > 0) {
		l->tokens = l->tokens + more < TRIES_BURST ? l->tokens + (unsigned)more : TRIES_BURST;
		l->tokens_ms = now_ms;
	}
	if (l->eager || l->tokens == 0)
		return l->eager;
	l->tokens--;
	return true;
}

struct lane *lanes_try(struct lanes *l, int64_t now_ms)
{
	if (l->count == 0 || now_ms < l->scan_from_ms)
		return NULL;
	size_t most = l->size < SCAN_SLOTS ? l->size : SCAN_SLOTS;
	for (size_t n = 0; n < most; n++) {
		struct lane *lane = &l->slot[l->scan];
		if (lane->state == LANE_WAITS && lane->due_ms <= now_ms) {
			if (!take_token(l, now_ms))
				break;
			l->scan = (l->scan + 1) & (l->size - 1);
			lane->state = LANE_TRIED;
			return lane;
		}
		l->scan = (l->scan + 1) & (l->size - 1);
	}
	l->scan_from_ms = now_ms + SCAN_EVERY_MS;
	return NULL;
}

bool lanes_begin_sweep(struct lanes *l, uint64_t *from)
{
	if (l->open == 0)
		return false;
	*from = UINT64_MAX;
	for (size_t i = 0; i < l->size; i++) {
		struct lane *lane = &l->slot[i];
		if (lane->state != LANE_OPEN)
			continue;
		if (lane->first < *from)
			*from = lane->first;
		lane->state = LANE_SWEPT;
	}
	l->open = 0;
	return true;
}

void lanes_end_sweep(struct lanes *l)
{
	for (size_t i = 0; i < l->size;) {
		if (l->slot[i].state == LANE_SWEPT)
			remove_slot(l, i); /* another one may have come into the gap */
		else
			i++;
	}
}

void lanes_rewind(struct lanes *l, int64_t now_ms)
{
	if (l->count == 0)
		return;
	for (size_t i = 0; i < l->size; i++) {
		struct lane *lane = &l->slot[i];
		if (lane->state == LANE_TRIED)
			lane->state = LANE_WAITS;
		if (lane->state == LANE_OPEN || lane->state == LANE_SWEPT)
			set_state(l, lane, LANE_SWEPT);
		if (lane->state == LANE_WAITS && !lane->closes)
			lane->due_ms = now_ms;
	}
	l->eager = false;
	lanes_end_sweep(l);
}
