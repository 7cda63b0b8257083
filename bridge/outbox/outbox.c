// SPDX-License-Identifier: MIT
/* outbox: see outbox.h. The ring holds the messages that are not stored yet; without a store it holds all of them. */
#include "bridge/outbox/outbox.h"

#include "bridge/base/clock.h"
#include "bridge/base/log.h"
#include "bridge/outbox/outbox_memory.h"
#include "bridge/outbox/outbox_send.h"

#include <stdio.h>
#include <stdlib.h>

#define RESERVE_BYTES (256 * 1024) /* room for what is not a record, and for the frame at hand */
/* with so many deletions due, or after DONE_WAIT_MS, they get a transaction of their own */
#define DONE_MAX 512
#define DONE_WAIT_MS 500
#define RETRY_MS 200
#define FAST_US 2000        /* a disk that answers as fast as this is waited for: that costs less than one more turn */
#define LATER_MS 1000       /* sync = always: a flush that nobody waits for, of deletions alone */
#define SLOW_US 10000000    /* a flush that takes longer is told */
#define UNSAFE_MOST (32u << 20) /* bytes of messages in memory that a slow disk makes wait */
#define WATCH_MS 1000
#define MEMORY_KEY_MAX 255

struct outbox {
	struct outbox_options options;
	struct outbox_ring *ring;
	struct store *store; /* NULL: in memory only */
	uint64_t seqnum;
	uint64_t safe; /* messages up to this number may be published */
	struct outbox_flushes flushes;
	uint64_t flush;   /* the number of the last flush that began */
	bool told_slow;
	bool waits; /* for any disk: there is nobody to wake */
	struct outbox_memory
		memory; /* of the messages in the ring up to number `learnt`; without a store: all that is remembered */
	uint64_t learnt;
	int64_t done_since_ms, flushed_ms, retry_ms, watched_ms;
	bool unflushed; /* something was written since the last flush began */
	bool full;      /* has_room said no: some of it must go before it says yes */
	const char *write_trouble, *flush_trouble; /* what the disk said last; NULL: nothing is wrong */
	bool trouble;                              /* something is wrong, and it was logged */
	struct sending sending;
	uint8_t order_key[HASH_KEY_BYTES];
	int64_t aside_retry_ms;
};

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
		const struct store_options store = {options->path, options->size, outbox_memory_most(o),
			options->sync, options->damaged};
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

size_t outbox_count(const struct outbox *o)
{
	size_t stored = o->store != NULL ? store_count(o->store) - store_unsafe_count(o->store) : 0;
	return stored + ring_count(o->ring);
}

size_t outbox_bytes(const struct outbox *o)
{
	size_t stored = o->store != NULL ? store_bytes(o->store) - store_unsafe_bytes(o->store) : 0;
	size_t keys = o->store != NULL ? store_remembered_count(o->store) : o->memory.count;
	return stored + ring_bytes(o->ring) + keys * OUTBOX_MEMORY_BYTES;
}

static bool has_room(const struct outbox *o)
{
	/* once the outbox is full, a tenth must be free before reading goes on: no flutter */
	size_t limit = o->full ? o->options.size / 10 * 9 : o->options.size;
	return !o->trouble && outbox_bytes(o) + RESERVE_BYTES <= limit &&
	       (o->store == NULL || store_room(o->store, ring_bytes(o->ring) + RESERVE_BYTES));
}

bool outbox_room(const struct outbox *o)
{
	return has_room(o) && (o->store == NULL || ring_bytes(o->ring) < UNSAFE_MOST);
}

bool outbox_fits(const struct outbox *o, size_t bytes)
{
	return bytes <= o->options.size && outbox_bytes(o) <= o->options.size - bytes;
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
	o->full = !has_room(o);
	return m.seqnum;
}

/* --- stored --- */

static void tell_of_trouble(struct outbox *o)
{
	const char *trouble = o->write_trouble != NULL ? o->write_trouble : o->flush_trouble;
	if (trouble == NULL) /* before a write fails, so that what was read can still be stored */
		trouble = store_tight(o->store);
	if (trouble != NULL && !o->trouble)
		log_error("outbox %s: %s; nothing is acknowledged until it can be stored", o->options.path,
			trouble);
	if (trouble == NULL && o->trouble)
		log_notice("outbox %s: stores again", o->options.path);
	o->trouble = trouble != NULL;
}

/* What the ring still has is not safe, or not stored. */
static void note_progress(struct outbox *o)
{
	struct outbox_message m;
	o->safe = ring_next(o->ring, 0, &m) ? m.seqnum - 1 : o->seqnum;
	outbox_memory_clear(&o->memory);
	o->learnt = store_last_seqnum(o->store);
}

/* Notes what became of the flush, if one has ended. */
static void take_flushed(struct outbox *o)
{
	bool always = o->options.sync == OUTBOX_SYNC_ALWAYS;
	if (!store_collect_flush(o->store, o->ring, &o->flush_trouble))
		return;
	if (o->told_slow)
		log_notice("outbox %s: the disk answered after %.0f s", o->options.path,
			(double)store_flush_us(o->store) / 1e6);
	o->told_slow = false;
	if (o->flush_trouble == NULL)
		o->flushes.safe = o->flush;
	else if (always) /* what was written since the last flush is to be written again */
		o->retry_ms = clock_steady_ms() + RETRY_MS;
	else
		o->unflushed = true; /* the next flush tries again */
	note_progress(o);
}

static bool is_flush_due(const struct outbox *o, int64_t now)
{
	int64_t since_ms = now - o->flushed_ms;
	switch (o->options.sync) {
	case OUTBOX_SYNC_ALWAYS:
		return store_is_unsafe(o->store) ||
		       (o->unflushed && (since_ms >= LATER_MS || o->flush_trouble != NULL ||
						store_flush_due(o->store)));
	case OUTBOX_SYNC_INTERVAL:
		return o->unflushed &&
		       (since_ms >= o->options.sync_interval_ms || store_flush_due(o->store));
	case OUTBOX_SYNC_NEVER:
		break;
	}
	return false;
}

static bool is_all_stored(const struct outbox *o)
{
	return ring_count(o->ring) == store_unsafe_count(o->store) && !store_keeps(o->store);
}

/* Begins a flush when one is due. With sync = always a disk that was fast the last time is waited for, for it will be again; without
 * somebody to wake, any disk is. */
static void flush_in_time(struct outbox *o, int64_t now)
{
	bool always = o->options.sync == OUTBOX_SYNC_ALWAYS;
	bool fast = store_flush_us(o->store) < FAST_US;
	if (store_is_flushing(o->store) || !is_flush_due(o, now))
		return;
	const char *why = store_flush(o->store);
	if (why != NULL) {
		o->flush_trouble = always ? why : o->flush_trouble;
		return;
	}
	o->flushed_ms = now;
	o->unflushed = false;
	o->flush++;
	o->flushes.begun = is_all_stored(o) ? o->flush : 0;
	if (!always || (!fast && !o->waits))
		return;
	store_wait(o->store, o->waits ? OUTBOX_HOWEVER_LONG : FAST_US);
	take_flushed(o);
}

/* Stores all that is in the ring and deletes all that is done, or as much of it as the disk takes. */
static void write_turn(struct outbox *o, int64_t now)
{
	o->write_trouble = store_write(o->store, o->ring);
	if (o->flush_trouble != NULL && !store_is_unsafe(o->store))
		store_probe(o->store);
	note_progress(o);
	o->unflushed = true;
	bool left = o->write_trouble != NULL || store_done_count(o->store) > 0;
	o->retry_ms = left ? now + RETRY_MS : 0;
}

/* While a flush is under way, records wait for its end: one transaction and one flush more then serve them all. Commands do not. */
static bool is_write_due(struct outbox *o, int64_t now)
{
	size_t done = store_done_count(o->store);
	bool news = !is_all_stored(o), gone = false;
	bool late = done > 0 && now - o->done_since_ms >= DONE_WAIT_MS;
	bool always = o->options.sync == OUTBOX_SYNC_ALWAYS;
	if (now - o->watched_ms >= WATCH_MS) {
		o->watched_ms = now;
		gone = !store_watch(o->store);
	}
	if (always && store_is_flushing(o->store) && !gone)
		return store_keeps_of(o->store, KEEP_COMMANDS) && now >= o->retry_ms;
	return now >= o->retry_ms && (news || late || gone || done >= DONE_MAX || o->write_trouble != NULL ||
					     (always && o->flush_trouble != NULL));
}

static void tell_slow(struct outbox *o)
{
	if (o->told_slow || !store_is_flushing(o->store) || store_flush_us(o->store) < SLOW_US)
		return;
	o->told_slow = true;
	log_warning("outbox %s: the disk has not answered for %d s%s", o->options.path, SLOW_US / 1000000,
		o->options.sync == OUTBOX_SYNC_ALWAYS ? "; units are acknowledged when it does" : "");
}

bool outbox_sync(struct outbox *o)
{
	if (o->store == NULL) {
		o->safe = o->seqnum;
		o->full = !has_room(o);
		return true;
	}
	o->flushes.begun = store_is_flushing(o->store) ? o->flushes.begun : 0;
	take_flushed(o);
	int64_t now = clock_steady_ms();
	if (is_write_due(o, now))
		write_turn(o, now);
	flush_in_time(o, now);
	tell_slow(o);
	tell_of_trouble(o);
	o->full = !has_room(o);
	return ring_count(o->ring) == 0 && !store_keeps(o->store) && !store_is_unsafe(o->store) &&
	       o->flush_trouble == NULL;
}

bool outbox_sync_within(struct outbox *o, int64_t most_ms)
{
	int64_t until_ms = clock_steady_ms(), left_ms = most_ms;
	bool all = outbox_sync(o);
	until_ms = most_ms == OUTBOX_HOWEVER_LONG ? most_ms : until_ms + most_ms;
	while (!all && left_ms > 0 && outbox_is_flushing(o)) {
		store_wait(o->store, most_ms == OUTBOX_HOWEVER_LONG ? most_ms : left_ms * 1000);
		all = outbox_sync(o);
		left_ms = until_ms - clock_steady_ms();
	}
	return all;
}

struct outbox_flushes outbox_flushes(const struct outbox *o)
{
	return o->flushes;
}

bool outbox_is_flushing(const struct outbox *o)
{
	return o->store != NULL && o->options.sync == OUTBOX_SYNC_ALWAYS && store_is_flushing(o->store);
}

int64_t outbox_flush_in_ms(const struct outbox *o)
{
	if (o->store == NULL || o->options.sync == OUTBOX_SYNC_NEVER || !o->unflushed)
		return -1;
	bool always = o->options.sync == OUTBOX_SYNC_ALWAYS;
	int64_t every_ms = always ? LATER_MS : o->options.sync_interval_ms;
	int64_t due = o->flushed_ms + every_ms - clock_steady_ms();
	if (always && store_is_flushing(o->store))
		return -1; /* its end wakes the loop */
	return due > 0 ? due : 20; /* the flush before still runs */
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
