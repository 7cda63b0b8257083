/* outbox: see outbox.h. The ring holds the messages of this turn until the store has them; without a store it holds
 * all of them. */
#include "outbox.h"

#include "clock.h"
#include "log.h"
#include "outbox_send.h"

#include <stdio.h>
#include <stdlib.h>

#define RESERVE_BYTES (256 * 1024) /* kept for what is not a record, and for the frame at hand */
#define DONE_MAX 512               /* deletions that wait for a transaction */
#define DONE_WAIT_MS 500
#define RETRY_MS 200

struct outbox {
	struct outbox_options options;
	struct outbox_ring *ring;
	struct store *store; /* NULL: in memory only */
	uint64_t seqnum, stored;
	uint64_t done[DONE_MAX + 1];
	size_t done_count;
	int64_t done_since_ms, flushed_ms, retry_ms;
	bool unflushed, full;
	const char *write_trouble, *flush_trouble; /* what the disk said; NULL: nothing */
	const char *trouble;                       /* the one that was told */
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
	o->ring = ring_open();
	hash_new_key(o->order_key);
	bool ok = o->ring != NULL;
	if (ok && *options->path != '\0') {
		o->store =
			store_open(options->path, options->size, (enum store_sync)options->sync, why, why_size);
		ok = o->store != NULL;
		if (ok && !store_order_key(o->store, o->order_key))
			log_warning(
				"outbox %s: the key of orders cannot be written; messages of before this start "
				"may be overtaken",
				options->path);
	}
	ok = ok && sending_open(&o->sending, o->ring, o->store);
	if (!ok) {
		outbox_close(o);
		return NULL;
	}
	if (o->store != NULL) {
		o->seqnum = o->stored = store_last_seqnum(o->store);
		if (store_count(o->store) > 0)
			log_notice(
				"outbox: %zu messages from before are published first", store_count(o->store));
	}
	return o;
}

void outbox_close(struct outbox *o)
{
	if (o->store != NULL) {
		o->done_since_ms = 0;
		outbox_settle(o);
		outbox_sync(o);
		store_close(o->store);
	}
	if (o->ring != NULL)
		ring_close(o->ring);
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
	size_t stored = o->store != NULL ? store_count(o->store) : 0;
	return (stored > o->done_count ? stored - o->done_count : 0) + ring_count(o->ring);
}

size_t outbox_bytes(const struct outbox *o)
{
	return (o->store != NULL ? store_bytes(o->store) : 0) + ring_bytes(o->ring);
}

bool outbox_room(struct outbox *o)
{
	/* once full, some of it must go before reading goes on, so that it does not flutter */
	size_t limit = o->full ? o->options.size / 10 * 9 : o->options.size;
	bool room = o->trouble == NULL && outbox_bytes(o) + RESERVE_BYTES <= limit;
	o->full = !room;
	return room;
}

uint64_t outbox_put(struct outbox *o, const struct outbox_message *message)
{
	struct outbox_message m = *message;
	size_t size = message_packed_size(&m);
	if (outbox_bytes(o) + size > o->options.size || m.topic.len > UINT16_MAX ||
		m.correlation.len > UINT16_MAX)
		return 0;
	m.seqnum = o->seqnum + 1;
	if (!ring_put(o->ring, &m))
		return 0;
	o->seqnum++;
	sending_put(&o->sending, m.seqnum, m.order, outbox_count(o));
	return m.seqnum;
}

/* --- stored --- */

static void complain(struct outbox *o)
{
	const char *trouble = o->write_trouble != NULL ? o->write_trouble : o->flush_trouble;
	if (trouble != NULL && o->trouble == NULL)
		log_error("outbox %s: %s; nothing is acknowledged until it can be stored", o->options.path,
			trouble);
	if (trouble == NULL && o->trouble != NULL)
		log_notice("outbox %s: stores again", o->options.path);
	o->trouble = trouble;
}

/* What became of the flush, if one has ended. */
static void take_flushed(struct outbox *o)
{
	if (!store_flushed(o->store, &o->flush_trouble))
		return;
	o->unflushed |= o->flush_trouble != NULL; /* again */
	complain(o);
}

static void flush_in_time(struct outbox *o, int64_t now)
{
	if (o->options.sync != OUTBOX_SYNC_INTERVAL || !o->unflushed ||
		now - o->flushed_ms < o->options.sync_interval_ms || !store_flush(o->store))
		return;
	o->flushed_ms = now;
	o->unflushed = false;
}

/* All that waits in the ring, and what is done, in one go. */
static void write_turn(struct outbox *o, int64_t now)
{
	o->write_trouble = store_write(o->store, o->ring, o->done, o->done_count, o->seqnum);
	complain(o);
	if (o->write_trouble == NULL) {
		ring_clear(o->ring);
		o->done_count = 0;
		o->stored = o->seqnum;
		o->unflushed = true;
		return;
	}
	o->retry_ms = now + RETRY_MS; /* what is done makes room, if it can */
	if (o->done_count > 0 && store_write(o->store, NULL, o->done, o->done_count, o->stored) == NULL)
		o->done_count = 0;
}

bool outbox_sync(struct outbox *o)
{
	if (o->store == NULL) {
		o->stored = o->seqnum;
		return true;
	}
	take_flushed(o);
	bool news = ring_count(o->ring) > 0;
	if (news || o->done_count > 0 || o->unflushed) {
		int64_t now = clock_steady_ms();
		bool late = o->done_count > 0 && now - o->done_since_ms >= DONE_WAIT_MS;
		bool may = o->write_trouble == NULL || now >= o->retry_ms;
		flush_in_time(o, now);
		if (may && (news || late || o->done_count >= DONE_MAX))
			write_turn(o, now);
	}
	return ring_count(o->ring) == 0 && o->flush_trouble == NULL;
}

/* --- out --- */

/* An older value never goes out retained when a newer one is known. The last message of its order is the newest. */
static void settle_retain(struct outbox *o, struct outbox_message *m)
{
	int64_t newest;
	if (!m->retain || !m->retain_if_newest || sending_is_last(&o->sending, m->seqnum, m->order))
		return;
	if (outbox_recall(o, m->memory_key, &newest) && newest > m->memory_value)
		m->retain = false;
}

bool outbox_next(struct outbox *o, struct outbox_message *out)
{
	if (sending_next(&o->sending, o->stored, out)) {
		settle_retain(o, out);
		return true;
	}
	if (o->store != NULL)
		store_rest(o->store);
	return false;
}

bool outbox_more(const struct outbox *o)
{
	return o->sending.more;
}

void outbox_postpone(struct outbox *o, int64_t ms)
{
	sending_postpone(&o->sending, ms);
}

void outbox_rewind(struct outbox *o)
{
	sending_rewind(&o->sending);
	if (o->store == NULL || o->done_count == 0)
		return;
	o->done_since_ms = 0; /* what is done must not come again */
	outbox_sync(o);
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
	const struct sending *s = &o->sending;
	return s->held > s->lanes.count ? s->held : s->lanes.count;
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
	if (s->aside_count == SENDING_ASIDE_MOST) { /* the disk refuses: later */
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
		return; /* they are not given out meanwhile */
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
	if (o->done_count == DONE_MAX)
		outbox_sync(o);
	if (o->done_count == DONE_MAX)
		return; /* the disk refuses: it will be published once more, no worse */
	if (o->done_count == 0)
		o->done_since_ms = clock_steady_ms();
	o->done[o->done_count++] = seqnum;
}

bool outbox_recall(struct outbox *o, struct span key, int64_t *value)
{
	return o->store != NULL && store_recall(o->store, key, value);
}
