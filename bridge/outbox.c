/* outbox: see outbox.h. The ring holds the messages of this turn until the store has them; without a store it holds
 * all of them. */
#include "outbox.h"

#include "clock.h"
#include "log.h"
#include "ring.h"
#include "store.h"

#include <stdio.h>
#include <stdlib.h>

#define RESERVE_BYTES (256 * 1024) /* kept for what is not a record, and for the frame at hand */
#define DONE_MAX 512               /* deletions that wait for a transaction */
#define DONE_WAIT_MS 500
#define RETRY_MS 200
#define LATE 2000          /* so many waiting make a live lane worth while */
#define BUCKETS (1u << 16) /* units by hash; sharing one only makes them wait for each other */
#define LIVE_MAX (1u << 18)

struct bucket {
	uint64_t last; /* number of the last message of this order */
	bool live;     /* it went into the live lane */
};

struct numbers { /* a queue */
	uint64_t *item;
	size_t head, count;
};

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
	/* sending */
	uint64_t cursor; /* the backlog up to here has been given out */
	struct numbers live,
		skip; /* of the live lane: to be given out; given out before the cursor came there */
	bool turn;
	struct bucket *buckets;
};

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

/* --- open and close --- */

/* What waits from an earlier run: those units' new messages come after it. */
static void learn_order(struct outbox *o)
{
	struct outbox_message m;
	for (uint64_t after = 0; store_next(o->store, after, &m); after = m.seqnum)
		o->buckets[m.order % BUCKETS].last = m.seqnum;
	store_rest(o->store);
}

struct outbox *outbox_open(const struct outbox_options *options, char *why, size_t why_size)
{
	struct outbox *o = calloc(1, sizeof(*o));
	snprintf(why, why_size, "no memory for the outbox");
	if (o == NULL)
		return NULL;
	o->options = *options;
	o->ring = ring_open();
	o->buckets = calloc(BUCKETS, sizeof(*o->buckets));
	bool ok = o->ring != NULL && o->buckets != NULL;
	if (ok && *options->path != '\0') {
		o->store =
			store_open(options->path, options->size, (enum store_sync)options->sync, why, why_size);
		ok = o->store != NULL;
	}
	if (!ok) {
		outbox_close(o);
		return NULL;
	}
	if (o->store != NULL) {
		o->seqnum = o->stored = store_last_seqnum(o->store);
		learn_order(o);
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
		outbox_sync(o);
		store_close(o->store);
	}
	if (o->ring != NULL)
		ring_close(o->ring);
	free(o->live.item);
	free(o->skip.item);
	free(o->buckets);
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

/* A message of a unit that has nothing older waiting need not wait behind all others. */
static void choose_lane(struct outbox *o, uint64_t order)
{
	struct bucket *b = &o->buckets[order % BUCKETS];
	bool late = outbox_count(o) > LATE || (b->live && o->live.count > 0);
	bool free_way = b->live || b->last <= o->cursor;
	b->live = late && free_way && o->skip.count + o->live.count < LIVE_MAX && push(&o->live, o->seqnum);
	b->last = o->seqnum;
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
	choose_lane(o, m.order);
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

static bool next_behind(struct outbox *o, uint64_t after, struct outbox_message *out)
{
	bool found = o->store != NULL ? store_next(o->store, after, out) : ring_next(o->ring, after, out);
	return found && out->seqnum <= o->stored;
}

static bool next_live(struct outbox *o, struct outbox_message *out)
{
	while (o->live.count > 0 && first(&o->live) <= o->stored) {
		uint64_t number = first(&o->live);
		pop(&o->live);
		if (number <= o->cursor) /* the backlog was faster */
			continue;
		bool found =
			o->store != NULL ? store_get(o->store, number, out) : next_behind(o, number - 1, out);
		push(&o->skip, number);
		if (found)
			return true;
	}
	return false;
}

static bool next_backlog(struct outbox *o, struct outbox_message *out)
{
	while (next_behind(o, o->cursor, out)) {
		o->cursor = out->seqnum;
		while (o->skip.count > 0 && first(&o->skip) < out->seqnum)
			pop(&o->skip);
		if (first(&o->skip) != out->seqnum)
			return true;
		pop(&o->skip);
	}
	if (o->cursor < o->stored)
		o->cursor = o->stored;
	return false;
}

bool outbox_next(struct outbox *o, struct outbox_message *out)
{
	o->turn = !o->turn;
	if (o->turn && next_live(o, out))
		return true;
	if (next_backlog(o, out))
		return true;
	if (next_live(o, out))
		return true;
	if (o->store != NULL)
		store_rest(o->store);
	return false;
}

void outbox_rewind(struct outbox *o)
{
	o->cursor = 0;
	o->live.count = o->skip.count = 0;
	for (size_t i = 0; i < BUCKETS; i++)
		o->buckets[i].live = false;
	if (o->store == NULL || o->done_count == 0)
		return;
	o->done_since_ms = 0; /* what is done must not come again */
	outbox_sync(o);
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

void outbox_remembered(
	struct outbox *o, void (*each)(void *ctx, struct span key, int64_t value, int64_t put_ms), void *ctx)
{
	(void)o;
	(void)each;
	(void)ctx;
}

size_t outbox_memory_most(const struct outbox *o)
{
	return o->options.size / 8 / 64;
}
