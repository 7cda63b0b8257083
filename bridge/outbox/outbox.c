// SPDX-License-Identifier: MIT
/* outbox: see outbox.h. The ring holds the messages that are not stored, or with sync = always not safe yet; without a store it holds all of
 * them. */
#include "bridge/outbox/outbox_private.h"

#include "bridge/base/clock.h"
#include "bridge/base/log.h"

#include <stdio.h>
#include <stdlib.h>

#define MEMORY_KEY_MAX 255

/* --- open and close --- */

struct outbox *outbox_open(const struct outbox_options *options, char *why, size_t why_size)
{
	struct outbox *o = calloc(1, sizeof(*o));
	snprintf(why, why_size, "no memory for the outbox");
	if (o == NULL)
		return NULL;
	o->options = *options;
	o->waits = true;
	o->ring = ring_open();
	hash_new_key(o->order_key);
	bool ok = o->ring != NULL;
	if (ok && *options->path != '\0') {
		const struct store_options store = {
			options->path, options->size, outbox_memory_most(o), options->sync, options->damaged};
		o->store = store_open(&store, why, why_size);
		ok = o->store != NULL;
		if (ok && !store_order_key(o->store, o->order_key))
			log_warning("outbox %s: the key of orders cannot be written; messages of before this "
				    "start may be overtaken",
				options->path);
	}
	ok = ok && sending_open(&o->sending, o->ring, o->store);
	if (!ok) {
		outbox_close(o);
		return NULL;
	}
	if (o->store != NULL) {
		o->seqnum = o->safe = store_last_seqnum(o->store);
		o->flushed_ms = clock_steady_ms(); /* opening has made safe what is there */
		if (store_count(o->store) > 0)
			log_notice(
				"outbox: %zu messages from before are published first", store_count(o->store));
	}
	return o;
}

void outbox_use_wake(struct outbox *o, void (*wake)(void *ctx), void *ctx)
{
	o->waits = wake == NULL;
	if (o->store != NULL)
		store_use_wake(o->store, wake, ctx);
}

bool outbox_sync_within(struct outbox *o, int64_t most_ms)
{
	const int64_t ever = OUTBOX_HOWEVER_LONG;
	int64_t until_us = most_ms == ever ? ever : clock_steady_us() + most_ms * 1000;
	bool all = outbox_sync(o);
	while (!all && outbox_wait(o, until_us == ever ? ever : until_us - clock_steady_us()))
		all = outbox_sync(o);
	return all;
}

void outbox_close(struct outbox *o)
{
	if (o->store != NULL) {
		o->done_since_ms = o->retry_ms = o->aside_retry_ms = 0; /* the last try is made now */
		outbox_settle(o);
		outbox_sync_within(o, OUTBOX_HOWEVER_LONG);
		store_close(o->store);
	}
	if (o->ring != NULL)
		ring_close(o->ring);
	outbox_memory_clear(&o->memory);
	sending_close(&o->sending);
	free(o);
}

/* --- in --- */

uint64_t outbox_next_seqnum(const struct outbox *o)
{
	return o->seqnum + 1;
}

uint64_t outbox_safe_seqnum(const struct outbox *o)
{
	return o->safe;
}

uint64_t outbox_put(struct outbox *o, const struct outbox_message *message)
{
	struct outbox_message m = *message;
	size_t size = message_packed_size(&m);
	if (!outbox_fits(o, size) || m.topic.len > UINT16_MAX || m.correlation.len > UINT16_MAX ||
		m.memory_key.len > MEMORY_KEY_MAX)
		return 0;
	m.seqnum = o->seqnum + 1;
	if (!ring_put(o->ring, &m))
		return 0;
	o->seqnum++;
	if (o->store == NULL && m.memory_key.len > 0)
		outbox_memory_put(&o->memory, &m, outbox_memory_most(o));
	send_order_put(&o->sending.order, (struct send_message){m.seqnum, m.order}, outbox_count(o));
	o->full = !outbox_has_room(o);
	return m.seqnum;
}

/* --- out --- */

/* An older value is never published as retained once a newer one is known. The last message of an order is the newest, so it
 * needs no look-up. */
static void settle_retain(struct outbox *o, struct outbox_message *m)
{
	int64_t newest;
	const struct send_message sent = {m->seqnum, m->order};
	if (!m->retain || !m->retain_if_newest || send_order_is_last(&o->sending.order, sent))
		return;
	if (outbox_recall(o, m->memory_key, &newest) && newest > m->memory_value)
		m->retain = false;
}

bool outbox_next(struct outbox *o, struct outbox_message *out)
{
	if (sending_next(&o->sending, o->safe, out)) {
		settle_retain(o, out);
		return true;
	}
	if (o->store != NULL)
		store_rest(o->store);
	return false;
}

bool outbox_more(const struct outbox *o)
{
	return o->sending.order.more;
}

void outbox_postpone(struct outbox *o, int64_t ms)
{
	sending_postpone(&o->sending, ms);
}

void outbox_rewind(struct outbox *o)
{
	sending_rewind(&o->sending);
}

void outbox_taken(struct outbox *o, uint64_t seqnum, uint64_t order)
{
	sending_passed(&o->sending, seqnum, order);
	outbox_done(o, seqnum);
}

void outbox_refused(struct outbox *o, uint64_t seqnum, uint64_t order, bool closes)
{
	sending_refused(&o->sending, seqnum, order, closes);
}

size_t outbox_held(const struct outbox *o)
{
	return send_order_held(&o->sending.order);
}

bool outbox_topic(struct outbox *o, uint64_t seqnum, char *out, size_t size)
{
	struct outbox_message m;
	if (!sending_get(&o->sending, seqnum, &m) || m.topic.len >= size)
		return false;
	memcpy(out, m.topic.ptr, m.topic.len);
	out[m.topic.len] = '\0';
	return true;
}

void outbox_set_aside(struct outbox *o, uint64_t seqnum, uint64_t order, int reason, int64_t now_ms)
{
	struct sending *s = &o->sending;
	if (o->store == NULL) {
		sending_passed(s, seqnum, order);
		ring_done(o->ring, seqnum);
		return;
	}
	if (s->aside_count == SENDING_ASIDE_MOST)
		outbox_settle(o);
	if (s->aside_count == SENDING_ASIDE_MOST) { /* the disk refuses: the message is tried again later */
		sending_refused(s, seqnum, order, false);
		return;
	}
	sending_passed(s, seqnum, order);
	s->aside[s->aside_count++] = (struct store_refusal){seqnum, reason, now_ms};
}

void outbox_settle(struct outbox *o)
{
	struct sending *s = &o->sending;
	int64_t now = s->aside_count > 0 ? clock_steady_ms() : 0;
	if (s->aside_count == 0 || o->store == NULL || now < o->aside_retry_ms)
		return;
	o->aside_retry_ms = now + RETRY_MS;
	if (store_set_aside(o->store, s->aside, s->aside_count) != NULL)
		return; /* outbox_next does not give them meanwhile */
	s->aside_count = 0;
	o->aside_retry_ms = 0;
	o->unflushed = true;
}

uint64_t outbox_order(const struct outbox *o, struct span ident)
{
	return hash_with(o->order_key, ident.ptr, ident.len);
}

void outbox_done(struct outbox *o, uint64_t seqnum)
{
	if (o->store == NULL) {
		ring_done(o->ring, seqnum);
		return;
	}
	if (store_done_count(o->store) == 0)
		o->done_since_ms = clock_steady_ms();
	store_done(o->store, seqnum);
}

/* --- memory --- */

size_t outbox_memory_most(const struct outbox *o)
{
	return o->options.size / 8 / OUTBOX_MEMORY_BYTES;
}

/* Notes the keys of the messages in the ring: the store does not have them yet. */
static void learn_memory(struct outbox *o)
{
	struct outbox_message m;
	for (; ring_next(o->ring, o->learnt, &m); o->learnt = m.seqnum)
		if (m.memory_key.len > 0)
			outbox_memory_put(&o->memory, &m, OUTBOX_MEMORY_ALL);
}

bool outbox_recall(struct outbox *o, struct span key, int64_t *value)
{
	int64_t put_ms;
	if (o->store != NULL && ring_count(o->ring) > 0)
		learn_memory(o);
	if (outbox_memory_get(&o->memory, key, value))
		return *value != MESSAGE_FORGET;
	return o->store != NULL && store_recall(o->store, key, value, &put_ms);
}

void outbox_remembered(
	struct outbox *o, void (*each)(void *ctx, struct span key, int64_t value, int64_t put_ms), void *ctx)
{
	if (o->store != NULL)
		store_remembered(o->store, each, ctx);
	else
		outbox_memory_each(&o->memory, each, ctx);
}

/* --- kept --- */

bool outbox_keeps(const struct outbox *o)
{
	return o->store != NULL;
}

bool outbox_keep(struct outbox *o, enum keep_of of, struct span key, struct span value)
{
	return o->store == NULL || store_keep(o->store, of, key, value, o->seqnum);
}

void outbox_kept(struct outbox *o, enum keep_of of, void (*each)(void *ctx, struct span key, struct span value),
	void *ctx)
{
	if (o->store != NULL)
		store_each_of_kept(o->store, of, each, ctx);
}
