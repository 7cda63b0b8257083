// SPDX-License-Identifier: MIT
/* outbox_sync: how much is in the outbox; what was put is stored, and made safe. See outbox.h.
 * Uses: bridge/base. */
#include "bridge/outbox/outbox_private.h"

#include "bridge/base/clock.h"
#include "bridge/base/log.h"

#define RESERVE_BYTES (256 * 1024) /* room for what is not a record, and for the frame at hand */
/* with so many deletions due, or after DONE_WAIT_MS, they get a transaction of their own */
#define DONE_MAX 512
#define DONE_WAIT_MS 500
#define LATER_MS 1000           /* sync = always: a flush that nobody waits for, of deletions alone */
#define SLOW_US 10000000        /* a flush that takes longer is told */
#define UNSAFE_MOST (32u << 20) /* bytes of messages in memory that a slow disk makes wait */
#define WATCH_MS 1000

/* --- how much --- */

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

bool outbox_has_room(const struct outbox *o)
{
	/* once the outbox is full, a tenth must be free before reading goes on: no flutter */
	size_t limit = o->full ? o->options.size / 10 * 9 : o->options.size;
	return !o->trouble && outbox_bytes(o) + RESERVE_BYTES <= limit &&
	       (o->store == NULL || store_room(o->store, ring_bytes(o->ring) + RESERVE_BYTES));
}

bool outbox_room(const struct outbox *o)
{
	return outbox_has_room(o) && (o->store == NULL || ring_bytes(o->ring) < UNSAFE_MOST);
}

bool outbox_fits(const struct outbox *o, size_t bytes)
{
	return bytes <= o->options.size && outbox_bytes(o) <= o->options.size - bytes;
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
	o->flushes.begun = 0;
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
		       (o->unflushed &&
			       (since_ms >= LATER_MS || o->flush_trouble != NULL || store_flush_due(o->store)));
	case OUTBOX_SYNC_INTERVAL:
		return o->unflushed && (since_ms >= o->options.sync_interval_ms || store_flush_due(o->store));
	case OUTBOX_SYNC_NEVER:
		break;
	}
	return false;
}

static bool is_all_stored(const struct outbox *o)
{
	return ring_count(o->ring) == store_unsafe_count(o->store) && !store_keeps(o->store);
}

/* Begins a flush when one is due. With sync = always it is waited for when there is nobody to wake. */
static void flush_in_time(struct outbox *o, int64_t now)
{
	bool always = o->options.sync == OUTBOX_SYNC_ALWAYS;
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
	/* without a thread it has ended already */
	if (always && store_wait(o->store, o->waits ? OUTBOX_HOWEVER_LONG : 0))
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

/* Now and then. False: the files are gone, or cut. */
static bool watch_files(struct outbox *o, int64_t now)
{
	if (now - o->watched_ms < WATCH_MS)
		return true;
	o->watched_ms = now;
	return store_watch(o->store);
}

/* While a flush is under way, records wait for its end: one transaction and one flush more then serve them all. Commands do not. */
static bool is_write_due(const struct outbox *o, bool gone, int64_t now)
{
	size_t done = store_done_count(o->store);
	bool news = !is_all_stored(o);
	bool late = done > 0 && now - o->done_since_ms >= DONE_WAIT_MS;
	bool always = o->options.sync == OUTBOX_SYNC_ALWAYS;
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
		o->full = !outbox_has_room(o);
		return true;
	}
	o->flushes.begun = store_is_flushing(o->store) ? o->flushes.begun : 0;
	take_flushed(o);
	int64_t now = clock_steady_ms();
	bool gone = !watch_files(o, now);
	if (is_write_due(o, gone, now))
		write_turn(o, now);
	flush_in_time(o, now);
	tell_slow(o);
	tell_of_trouble(o);
	o->full = !outbox_has_room(o);
	return ring_count(o->ring) == 0 && !store_keeps(o->store) && !store_is_unsafe(o->store) &&
	       o->flush_trouble == NULL;
}

/* Is a flush under way that acknowledgements wait for? */
static bool is_flushing(const struct outbox *o)
{
	return o->store != NULL && o->options.sync == OUTBOX_SYNC_ALWAYS && store_is_flushing(o->store);
}

struct outbox_flushes outbox_flushes(const struct outbox *o)
{
	return o->flushes;
}

bool outbox_wait(struct outbox *o, int64_t most_us)
{
	return is_flushing(o) && store_wait(o->store, most_us);
}

int64_t outbox_flush_in_ms(const struct outbox *o)
{
	if (o->store == NULL || o->options.sync == OUTBOX_SYNC_NEVER || !o->unflushed)
		return -1;
	bool always = o->options.sync == OUTBOX_SYNC_ALWAYS;
	int64_t every_ms = always ? LATER_MS : o->options.sync_interval_ms;
	int64_t due = o->flushed_ms + every_ms - clock_steady_ms();
	if (always && store_is_flushing(o->store))
		return -1;         /* its end wakes the loop */
	return due > 0 ? due : 20; /* the flush before still runs */
}
