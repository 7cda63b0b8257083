/* outbox_send: see outbox_send.h. */
#include "bridge/outbox/outbox_send.h"

#include "bridge/base/clock.h"

#include <stdlib.h>

#define LATE 2000          /* so many waiting make a live lane worth while */
#define BUCKETS (1u << 16) /* units by hash; sharing one only makes them wait for each other */
#define LIVE_MAX (1u << 18)
#define SLICE 20000u           /* messages looked at in one call */
#define SWEEP_REST_DIVIDER 100 /* a sweep over 100,000 messages rests for a second */

/* --- queue of numbers --- */

static bool push(struct numbers *q, uint64_t n)
{
	if (q->item == NULL)
		q->item = malloc(LIVE_MAX * sizeof(*q->item));
	if (q->item == NULL || q->count == LIVE_MAX)
		return false;
	q->item[(q->head + q->count++) % LIVE_MAX] = n;
	return true;
}

static uint64_t first(const struct numbers *q)
{
	return q->count > 0 ? q->item[q->head] : 0;
}

static void pop(struct numbers *q)
{
	q->head = (q->head + 1) % LIVE_MAX;
	q->count--;
}

/* --- open and put --- */

/* What waits from an earlier run: those units' new messages come after it. */
static void learn_order(struct sending *s)
{
	struct outbox_message m;
	for (uint64_t after = 0; store_next(s->store, after, &m); after = m.seqnum)
		s->buckets[m.order % BUCKETS].last = m.seqnum;
	store_rest(s->store);
}

bool sending_open(struct sending *s, struct outbox_ring *ring, struct store *store)
{
	*s = (struct sending){.ring = ring, .store = store};
	s->buckets = calloc(BUCKETS, sizeof(*s->buckets));
	if (s->buckets == NULL)
		return false;
	if (store != NULL)
		learn_order(s);
	return true;
}

void sending_close(struct sending *s)
{
	lanes_free(&s->lanes);
	free(s->live.item);
	free(s->skip.item);
	free(s->buckets);
}

/* A message of a unit that has nothing older waiting need not wait behind all others. */
void sending_put(struct sending *s, uint64_t number, uint64_t order, size_t waiting)
{
	struct bucket *b = &s->buckets[order % BUCKETS];
	bool late = waiting > LATE || (b->live && s->live.count > 0);
	bool free_way = (b->live || b->last <= s->cursor) && lanes_find(&s->lanes, order) == NULL;
	b->live = late && free_way && s->skip.count + s->live.count < LIVE_MAX && push(&s->live, number);
	b->last = number;
}

bool sending_is_last(const struct sending *s, uint64_t number, uint64_t order)
{
	return s->buckets[order % BUCKETS].last == number;
}

/* --- next --- */

static bool next_behind(struct sending *s, uint64_t after, uint64_t stored, struct outbox_message *out)
{
	bool found = s->store != NULL ? store_next(s->store, after, out) : ring_next(s->ring, after, out);
	return found && out->seqnum <= stored;
}

bool sending_get(struct sending *s, uint64_t number, struct outbox_message *out)
{
	if (s->store != NULL)
		return store_get(s->store, number, out);
	return ring_next(s->ring, number - 1, out) && out->seqnum == number;
}

/* It was to be set aside, and the disk has not taken that yet. */
static bool goes_aside(const struct sending *s, uint64_t number)
{
	for (size_t i = 0; i < s->aside_count; i++)
		if (s->aside[i].number == number)
			return true;
	return false;
}

static bool give(struct sending *s, const struct outbox_message *m)
{
	s->last.number = m->seqnum;
	s->last.order = m->order;
	return true;
}

static bool next_live(struct sending *s, uint64_t stored, struct outbox_message *out)
{
	while (s->live.count > 0 && first(&s->live) <= stored && s->lanes.count < LANES_FULL) {
		uint64_t number = first(&s->live);
		pop(&s->live);
		if (number <= s->cursor) /* the backlog was faster */
			continue;
		bool found = sending_get(s, number, out);
		if (found && lanes_find(&s->lanes, out->order) != NULL)
			continue; /* its order waits by now; the cursor comes there */
		push(&s->skip, number);
		if (found)
			return give(s, out);
	}
	return false;
}

static bool next_backlog(struct sending *s, uint64_t stored, struct outbox_message *out)
{
	size_t looked = 0;
	while (s->lanes.count < LANES_FULL && next_behind(s, s->cursor, stored, out)) {
		if (looked++ == SLICE) {
			s->more = true;
			return false;
		}
		s->cursor = out->seqnum;
		while (s->skip.count > 0 && first(&s->skip) < out->seqnum)
			pop(&s->skip);
		if (first(&s->skip) == out->seqnum) {
			pop(&s->skip);
			continue;
		}
		if (s->aside_count > 0 && goes_aside(s, out->seqnum))
			continue;
		if (lanes_find(&s->lanes, out->order) == NULL)
			return give(s, out);
		s->held++;
	}
	bool all = s->lanes.count < LANES_FULL && (s->store == NULL || store_readable(s->store));
	if (all && s->cursor < stored)
		s->cursor = stored;
	return false;
}

/* The first message of an order that waits, when it is due. */
static bool next_try(struct sending *s, int64_t now_ms, struct outbox_message *out)
{
	struct lane *lane;
	while ((lane = lanes_due(&s->lanes, now_ms)) != NULL) {
		if (s->store != NULL && !store_readable(s->store)) {
			lane->state = LANE_WAITS;
			return false;
		}
		if (lane->first <= s->cursor && sending_get(s, lane->first, out) &&
			!goes_aside(s, lane->first)) {
			s->held -= s->held > 0;
			return give(s, out);
		}
		if (lane->first > s->cursor) { /* after a rewind: the cursor is not there yet */
			lane->state = LANE_WAITS;
			lane->due_ms = now_ms + 1000;
			continue;
		}
		lanes_passed(&s->lanes, lane->order, lane->first, now_ms); /* it is done */
	}
	return false;
}

static bool next_sweep(struct sending *s, int64_t now_ms, struct outbox_message *out)
{
	if (s->sweep == 0 && (now_ms < s->sweep_from_ms || !lanes_sweep(&s->lanes, &s->sweep)))
		return false;
	size_t looked = 0;
	while (next_behind(s, s->sweep, s->cursor, out)) {
		if (looked++ == SLICE) {
			s->more = true;
			return false;
		}
		s->sweep = out->seqnum;
		s->swept++;
		struct lane *lane = lanes_find(&s->lanes, out->order);
		if (lane == NULL || lane->state != LANE_SWEPT || out->seqnum <= lane->first ||
			goes_aside(s, out->seqnum))
			continue;
		lane->first = out->seqnum;
		s->held -= s->held > 0;
		return give(s, out);
	}
	if (s->store != NULL && !store_readable(s->store))
		return false;
	s->sweep_from_ms = now_ms + (int64_t)(s->swept / SWEEP_REST_DIVIDER);
	s->sweep = s->swept = 0;
	lanes_swept(&s->lanes);
	return false;
}

static bool next_waiting(struct sending *s, struct outbox_message *out)
{
	if (s->lanes.count == 0)
		return false;
	int64_t now_ms = clock_steady_ms();
	return next_try(s, now_ms, out) || next_sweep(s, now_ms, out);
}

bool sending_next(struct sending *s, uint64_t stored, struct outbox_message *out)
{
	bool urgent = s->urgent;
	s->turn++;
	s->more = s->urgent = false;
	if (urgent && next_waiting(s, out))
		return true;
	if (s->turn % 2 == 1 && next_live(s, stored, out))
		return true;
	if (s->turn % 4 == 2 && next_waiting(s, out))
		return true;
	return next_backlog(s, stored, out) || next_live(s, stored, out) || next_waiting(s, out);
}

/* --- later, and answered --- */

void sending_postpone(struct sending *s, int64_t ms)
{
	int64_t now_ms = clock_steady_ms();
	struct lane *lane = lanes_find(&s->lanes, s->last.order);
	s->held++;
	if (lane == NULL || lane->state != LANE_TRIED) {
		if (!lanes_refused(&s->lanes, s->last.order, s->last.number, true, now_ms))
			s->cursor = s->cursor < s->last.number ? s->cursor : s->last.number - 1;
		lane = lanes_find(&s->lanes, s->last.order);
	}
	if (lane == NULL)
		return;
	lane->state = LANE_WAITS;
	lane->due_ms = now_ms + ms;
	if (ms > 0)
		return;
	s->lanes.scan = (size_t)(lane - s->lanes.slot);
	s->lanes.scan_from_ms = 0;
	s->urgent = true;
}

void sending_rewind(struct sending *s)
{
	s->cursor = s->sweep = 0;
	s->swept = s->held = 0;
	s->live.count = s->skip.count = 0;
	for (size_t i = 0; i < BUCKETS; i++)
		s->buckets[i].live = false;
	lanes_rewind(&s->lanes, clock_steady_ms());
}

void sending_passed(struct sending *s, uint64_t number, uint64_t order)
{
	if (s->lanes.count > 0)
		lanes_passed(&s->lanes, order, number, clock_steady_ms());
}

void sending_refused(struct sending *s, uint64_t number, uint64_t order, bool closes)
{
	s->buckets[order % BUCKETS].live = false;
	s->held++;
	if (!lanes_refused(&s->lanes, order, number, closes, clock_steady_ms()) && number <= s->cursor)
		s->cursor = number - 1; /* no memory to remember it: it comes again at once */
}
