// SPDX-License-Identifier: MIT
/* outbox_send: see outbox_send.h. */
#include "bridge/outbox/outbox_send.h"

#include "bridge/base/clock.h"

/* --- the messages, as send_order sees them --- */

static bool is_to_go_aside(const struct sending *s, uint64_t number)
{
	for (size_t i = 0; i < s->aside_count; i++)
		if (s->aside[i].number == number)
			return true;
	return false;
}

/* What became of reading s->found. */
static enum send_found tell_found(struct sending *s, bool found, struct send_message *out)
{
	if (!found)
		return s->store == NULL || store_try_reading(s->store) ? SEND_NONE : SEND_UNREADABLE;
	*out = (struct send_message){s->found.seqnum, s->found.order};
	return SEND_FOUND;
}

static enum send_found on_behind(void *ctx, uint64_t after, struct send_message *out)
{
	struct sending *s = ctx;
	bool found;
	do {
		found = s->store != NULL ? store_next(s->store, after, &s->found)
					 : ring_next(s->ring, after, &s->found);
		after = s->found.seqnum;
	} while (found && is_to_go_aside(s, after));
	return tell_found(s, found, out);
}

static enum send_found on_at(void *ctx, uint64_t number, struct send_message *out)
{
	struct sending *s = ctx;
	if (is_to_go_aside(s, number))
		return SEND_NONE;
	return tell_found(s, sending_get(s, number, &s->found), out);
}

bool sending_get(struct sending *s, uint64_t number, struct outbox_message *out)
{
	if (s->store != NULL)
		return store_get(s->store, number, out);
	return ring_next(s->ring, number - 1, out) && out->seqnum == number;
}

/* --- open --- */

/* What waits from an earlier run: those units' new messages come after it. */
static void learn_order(struct sending *s)
{
	struct outbox_message m;
	for (uint64_t after = 0; store_next(s->store, after, &m); after = m.seqnum)
		send_order_note_old(&s->order, (struct send_message){m.seqnum, m.order});
	store_rest(s->store);
}

bool sending_open(struct sending *s, struct outbox_ring *ring, struct store *store)
{
	const struct send_source source = {.ctx = s, .behind = on_behind, .at = on_at};
	*s = (struct sending){.ring = ring, .store = store};
	if (!send_order_open(&s->order, &source))
		return false;
	if (store != NULL)
		learn_order(s);
	return true;
}

void sending_close(struct sending *s)
{
	send_order_close(&s->order);
}

/* --- with the time --- */

static int64_t time_for(const struct sending *s)
{
	return send_order_needs_time(&s->order) ? clock_steady_ms() : 0;
}

bool sending_next(struct sending *s, uint64_t stored, struct outbox_message *out)
{
	struct send_message next;
	if (!send_order_next(&s->order, stored, time_for(s), &next))
		return false;
	*out = s->found;
	return true;
}

void sending_postpone(struct sending *s, int64_t ms)
{
	send_order_postpone(&s->order, ms, clock_steady_ms());
}

void sending_rewind(struct sending *s)
{
	send_order_rewind(&s->order, clock_steady_ms());
}

void sending_passed(struct sending *s, uint64_t number, uint64_t order)
{
	send_order_passed(&s->order, (struct send_message){number, order}, time_for(s));
}

void sending_refused(struct sending *s, uint64_t number, uint64_t order, bool closes)
{
	send_order_refused(&s->order, (struct send_message){number, order}, closes, clock_steady_ms());
}
