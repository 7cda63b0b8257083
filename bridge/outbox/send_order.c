// SPDX-License-Identifier: MIT
/* send_order: see send_order.h. */
#include "bridge/outbox/send_order.h"

#include <stdlib.h>

#define LATE 2000 /* with more messages waiting, the live lane is worth its while */
#define GROUPS (1u << 16)
#define LIVE_MAX (1u << 18)
#define SLICE 20000u           /* messages looked at in one call */
#define SWEEP_REST_DIVIDER 100 /* after a sweep over 100,000 messages the next one begins a second later */

/* --- queue of numbers --- */

static bool push(struct send_queue *q, uint64_t n)
{
	if (q->item == NULL)
		q->item = malloc(LIVE_MAX * sizeof(*q->item));
	if (q->item == NULL || q->count == LIVE_MAX)
		return false;
	q->item[(q->head + q->count++) % LIVE_MAX] = n;
	return true;
}

/* 0: it is empty. */
static uint64_t first(const struct send_queue *q)
{
	return q->count > 0 ? q->item[q->head] : 0;
}

static void pop(struct send_queue *q)
{
	q->head = (q->head + 1) % LIVE_MAX;
	q->count--;
}

/* --- open and put --- */

static struct send_group *group_of(const struct send_order *o, uint64_t order)
{
	return &o->groups[order % GROUPS];
}

bool send_order_open(struct send_order *o, const struct send_source *source)
{
	*o = (struct send_order){.source = *source};
	o->groups = calloc(GROUPS, sizeof(*o->groups));
	return o->groups != NULL;
}

void send_order_close(struct send_order *o)
{
	lanes_free(&o->lanes);
	free(o->live.item);
	free(o->skip.item);
	free(o->groups);
}

void send_order_note_old(struct send_order *o, struct send_message m)
{
	group_of(o, m.order)->last = m.number;
}

/* A message of a unit that has nothing older waiting need not wait behind those of all others. */
void send_order_put(struct send_order *o, struct send_message m, size_t waiting)
{
	struct send_group *g = group_of(o, m.order);
	bool late = waiting > LATE || (g->live && o->live.count > 0);
	bool free_way = (g->live || g->last <= o->cursor) && lanes_find(&o->lanes, m.order) == NULL;
	g->live = late && free_way && o->skip.count + o->live.count < LIVE_MAX && push(&o->live, m.number);
	g->last = m.number;
}

bool send_order_is_last(const struct send_order *o, struct send_message m)
{
	return group_of(o, m.order)->last == m.number;
}

/* --- next --- */

static enum send_found find_behind(
	struct send_order *o, uint64_t after, uint64_t upto, struct send_message *out)
{
	enum send_found found = o->source.behind(o->source.ctx, after, out);
	return found == SEND_FOUND && out->number > upto ? SEND_NONE : found;
}

static bool give(struct send_order *o, const struct send_message *m)
{
	o->last = *m;
	return true;
}

static bool next_live(struct send_order *o, uint64_t stored, struct send_message *out)
{
	while (o->live.count > 0 && first(&o->live) <= stored && o->lanes.count < LANES_FULL) {
		uint64_t number = first(&o->live);
		pop(&o->live);
		if (number <= o->cursor) /* the backlog was faster */
			continue;
		bool found = o->source.at(o->source.ctx, number, out) == SEND_FOUND;
		if (found && lanes_find(&o->lanes, out->order) != NULL)
			continue; /* its order waits by now; the cursor comes there */
		push(&o->skip, number);
		if (found)
			return give(o, out);
	}
	return false;
}

static bool next_backlog(struct send_order *o, uint64_t stored, struct send_message *out)
{
	size_t looked = 0;
	enum send_found found = SEND_UNREADABLE;
	while (o->lanes.count < LANES_FULL && (found = find_behind(o, o->cursor, stored, out)) == SEND_FOUND) {
		if (looked++ == SLICE) {
			o->more = true;
			return false;
		}
		o->cursor = out->number;
		while (o->skip.count > 0 && first(&o->skip) < out->number)
			pop(&o->skip);
		if (first(&o->skip) == out->number) {
			pop(&o->skip);
			continue;
		}
		struct lane *lane = lanes_find(&o->lanes, out->order);
		if (lane == NULL)
			return give(o, out);
		/* it was on its way when a later one of its order was refused or postponed, and then all began again */
		if (lane->state == LANE_WAITS && out->number < lane->first)
			lane->first = out->number;
		o->held++;
	}
	if (o->lanes.count < LANES_FULL && found == SEND_NONE && o->cursor < stored)
		o->cursor = stored;
	return false;
}

/* The first message of an order that waits, when it is due. */
static bool next_try(struct send_order *o, int64_t now_ms, struct send_message *out)
{
	struct lane *lane;
	while ((lane = lanes_try(&o->lanes, now_ms)) != NULL) {
		if (lane->first > o->cursor) { /* after a rewind: the cursor is not there yet */
			lane->state = LANE_WAITS;
			lane->due_ms = now_ms + 1000;
			continue;
		}
		switch (o->source.at(o->source.ctx, lane->first, out)) {
		case SEND_FOUND:
			o->held -= o->held > 0;
			return give(o, out);
		case SEND_UNREADABLE:
			lane->state = LANE_WAITS;
			return false;
		case SEND_NONE: /* the broker has it already */
			lanes_passed(&o->lanes, lane->order, lane->first, now_ms);
			break;
		}
	}
	return false;
}

static bool next_sweep(struct send_order *o, int64_t now_ms, struct send_message *out)
{
	if (o->sweep == 0 && (now_ms < o->sweep_from_ms || !lanes_begin_sweep(&o->lanes, &o->sweep)))
		return false;
	size_t looked = 0;
	enum send_found found;
	while ((found = find_behind(o, o->sweep, o->cursor, out)) == SEND_FOUND) {
		if (looked++ == SLICE) {
			o->more = true;
			return false;
		}
		o->sweep = out->number;
		o->swept++;
		struct lane *lane = lanes_find(&o->lanes, out->order);
		if (lane == NULL || lane->state != LANE_SWEPT || out->number <= lane->first)
			continue;
		lane->first = out->number;
		o->held -= o->held > 0;
		return give(o, out);
	}
	if (found == SEND_UNREADABLE)
		return false;
	o->sweep_from_ms = now_ms + (int64_t)(o->swept / SWEEP_REST_DIVIDER);
	o->sweep = o->swept = 0;
	lanes_end_sweep(&o->lanes);
	return false;
}

static bool next_waiting(struct send_order *o, int64_t now_ms, struct send_message *out)
{
	return o->lanes.count > 0 && (next_try(o, now_ms, out) || next_sweep(o, now_ms, out));
}

bool send_order_needs_time(const struct send_order *o)
{
	return o->lanes.count > 0;
}

bool send_order_next(struct send_order *o, uint64_t stored, int64_t now_ms, struct send_message *out)
{
	bool urgent = o->urgent;
	o->turn++;
	o->more = o->urgent = false;
	if (urgent && next_waiting(o, now_ms, out))
		return true;
	if (o->turn % 2 == 1 && next_live(o, stored, out))
		return true;
	if (o->turn % 4 == 2 && next_waiting(o, now_ms, out))
		return true;
	return next_backlog(o, stored, out) || next_live(o, stored, out) || next_waiting(o, now_ms, out);
}

/* --- later, and answered --- */

void send_order_postpone(struct send_order *o, int64_t ms, int64_t now_ms)
{
	struct lane *lane = lanes_find(&o->lanes, o->last.order);
	o->held++;
	if (lane == NULL || lane->state != LANE_TRIED) {
		if (!lanes_refused(&o->lanes, o->last.order, o->last.number, true, now_ms))
			o->cursor = o->cursor < o->last.number ? o->cursor : o->last.number - 1;
		lane = lanes_find(&o->lanes, o->last.order);
	}
	if (lane == NULL)
		return;
	lane->state = LANE_WAITS;
	lane->due_ms = now_ms + ms;
	if (ms > 0)
		return;
	o->lanes.scan = (size_t)(lane - o->lanes.slot);
	o->lanes.scan_from_ms = 0;
	o->urgent = true;
}

void send_order_rewind(struct send_order *o, int64_t now_ms)
{
	o->cursor = o->sweep = 0;
	o->swept = o->held = 0;
	o->live.count = o->skip.count = 0;
	for (size_t i = 0; i < GROUPS; i++)
		o->groups[i].live = false;
	lanes_rewind(&o->lanes, now_ms);
}

void send_order_passed(struct send_order *o, struct send_message m, int64_t now_ms)
{
	lanes_passed(&o->lanes, m.order, m.number, now_ms);
}

void send_order_refused(struct send_order *o, struct send_message m, bool closes, int64_t now_ms)
{
	group_of(o, m.order)->live = false;
	o->held++;
	if (!lanes_refused(&o->lanes, m.order, m.number, closes, now_ms) && m.number <= o->cursor)
		o->cursor = m.number - 1; /* no memory to remember it: it comes again at once */
}

size_t send_order_held(const struct send_order *o)
{
	return o->held > o->lanes.count ? o->held : o->lanes.count;
}
