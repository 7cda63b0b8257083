// SPDX-License-Identifier: MIT
/* store_write: messages are written and deleted, in as many transactions as the disk needs. See store.h.
 * Uses: bridge/base. */
#include "bridge/outbox/store_private.h"

#include "bridge/base/clock.h"

#include <errno.h>

#define PART_BYTES (4u << 20) /* of messages in one transaction */
#define PART_DELETIONS 4096u  /* in one transaction */
#define NOTE_MS 1000

/* How many of the ring's messages are not in the file. */
static size_t unstored(const struct store *s, const struct outbox_ring *in)
{
	return ring_count(in) - s->unsafe.count;
}

struct write_part {
	struct outbox_ring *in; /* NULL: only deletions */
	size_t put_most, delete_most;
	bool keep;  /* also what is to be kept or forgotten */
	bool noted; /* the last number was noted */
	/* what became of it; numbers of the last message that was stored, and the last that was deleted */
	uint64_t stored, deleted_to;
	size_t put, put_bytes, deleted, deleted_bytes;
	struct store_kept_size kept;
};

static int remember_value(struct store *s, MDB_txn *txn, const struct outbox_message *m)
{
	int64_t value[2] = {m->memory_value, m->put_ms};
	MDB_val k = {m->memory_key.len, (void *)(uintptr_t)m->memory_key.ptr}, v = {sizeof(value), value};
	MDB_val there;
	int rc;
	if (m->memory_value == MESSAGE_FORGET) {
		rc = mdb_del(txn, s->memory, &k, NULL);
		return rc == MDB_NOTFOUND ? 0 : rc;
	}
	/* old keys were not forgotten in time: new ones are not remembered */
	if (s->remembered + 1 > s->options.memory_most && mdb_get(txn, s->memory, &k, &there) == MDB_NOTFOUND)
		return 0;
	return mdb_put(txn, s->memory, &k, &v, 0);
}

static int put_messages(struct store *s, MDB_txn *txn, struct write_part *p)
{
	struct outbox_message m;
	int rc = 0;
	while (rc == 0 && p->put < p->put_most && p->put_bytes < PART_BYTES &&
		ring_next(p->in, p->stored, &m)) {
		MDB_val key = {sizeof(m.seqnum), &m.seqnum}, value = {message_packed_size(&m), NULL};
		rc = mdb_put(txn, s->messages, &key, &value, MDB_APPEND | MDB_RESERVE);
		if (rc == 0)
			message_pack(&m, value.mv_data);
		if (rc == 0 && m.memory_key.len > 0)
			rc = remember_value(s, txn, &m);
		p->stored = m.seqnum;
		p->put++;
		p->put_bytes += value.mv_size;
	}
	return rc;
}

static int delete_messages(struct store *s, MDB_txn *txn, struct write_part *p)
{
	MDB_cursor *cursor;
	int rc = mdb_cursor_open(txn, s->messages, &cursor);
	if (rc != 0)
		return rc;
	uint64_t n = done_next(&s->done, 1);
	for (size_t i = 0; rc == 0 && n > 0 && i < p->delete_most; i++) {
		MDB_val key = {sizeof(n), &n}, value;
		rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_KEY);
		if (rc == 0) {
			p->deleted++;
			p->deleted_bytes += value.mv_size;
			rc = mdb_cursor_del(cursor, 0);
		} else if (rc == MDB_NOTFOUND) {
			rc = 0;
		}
		p->deleted_to = n;
		n = done_next(&s->done, n + 1);
	}
	mdb_cursor_close(cursor);
	return rc;
}

/* The last number is the one of the newest message, as long as that message is in the file. It is noted beside the messages by the
 * transaction that deletes that message and puts no newer one; and now and then, for --outbox-status shows what was noted with it. */
static bool must_note(const struct store *s, const struct write_part *p)
{
	return p->put == 0 ? p->deleted_to > 0 && p->deleted_to >= s->last
			   : clock_steady_ms() - s->noted_ms >= NOTE_MS;
}

static int write_messages(struct store *s, void *arg)
{
	struct write_part *p = arg;
	int rc = 0;
	if (p->delete_most > 0 && s->done.count > 0)
		rc = delete_messages(s, s->writing, p);
	if (rc == 0 && p->in != NULL)
		rc = put_messages(s, s->writing, p);
	p->noted = rc == 0 && must_note(s, p);
	if (p->noted)
		rc = store_note_last(s, s->writing, p->put > 0 ? p->stored : s->last,
			s->bytes + p->put_bytes - p->deleted_bytes);
	bool all = p->in == NULL || p->put == unstored(s, p->in);
	if (rc == 0 && p->keep)
		rc = store_write_kept(s, all ? UINT64_MAX : p->put > 0 ? p->stored : s->last, &p->kept);
	if (rc == 0)
		store_note_usage(s, s->writing);
	return rc;
}

/* --- a turn --- */

/* Deleted: with sync = always that is noted until it is safe. */
static void forget_done(struct store *s, uint64_t up_to)
{
	uint64_t n = s->options.sync == OUTBOX_SYNC_ALWAYS ? done_next(&s->done, 1) : 0;
	for (; n > 0 && n <= up_to; n = done_next(&s->done, n + 1))
		done_add(&s->unsafe.gone, n);
	done_drop(&s->done, up_to);
}

static void took(struct store *s, const struct write_part *p)
{
	s->count += p->put - p->deleted;
	s->bytes += p->put_bytes - p->deleted_bytes;
	s->done_bytes -= p->deleted_bytes;
	if (p->deleted_to > 0)
		forget_done(s, p->deleted_to);
	if (p->noted)
		s->noted_ms = clock_steady_ms();
	if (p->keep)
		store_kept_stored(s, &p->kept);
	if (p->put == 0)
		return;
	s->last = p->stored;
	if (s->options.sync == OUTBOX_SYNC_ALWAYS) { /* they leave the ring when they are safe */
		s->unsafe.count += p->put;
		s->unsafe.bytes += p->put_bytes;
	} else if (p->put == ring_count(p->in)) {
		ring_clear(p->in);
	} else {
		ring_drop(p->in, p->stored);
	}
}

static int write_one(struct store *s, struct write_part *p)
{
	size_t bytes = p->in != NULL ? ring_bytes(p->in) - s->unsafe.bytes : 0;
	if (p->in != NULL && p->put_most < unstored(s, p->in))
		bytes = bytes / unstored(s, p->in) * p->put_most; /* an estimate */
	if (bytes > PART_BYTES)
		bytes = PART_BYTES;
	bytes += p->keep ? s->keep.bytes[KEEP_COMMANDS] + s->keep.bytes[KEEP_UNITS] : 0;
	bool adds = p->in != NULL || p->keep;
	if (!store_make_room(s, adds ? store_pages_for(s, bytes) : 0) && adds)
		return ENOSPC;
	int rc = store_transact(s, write_messages, p);
	if (rc == EIO && store_is_full(store_grow(s, 1)))
		rc = ENOSPC; /* LMDB says EIO when the system wrote less than it was given */
	if (rc == 0)
		took(s, p);
	s->flush_wanted |= store_is_full(rc);
	if (rc == MDB_PANIC || s->lost) /* LMDB cannot go on: it is opened again */
		store_close_env(s);
	return rc;
}

/* How much one transaction tries. When the disk has no room for it, it tries half as much, down to one message; and
 * deletions go first, in transactions of their own, because they make room. */
struct portion {
	size_t puts, deletions;
	bool apart;
};

/* The last transaction was too large: the next one tries less. False: there is no less. */
static bool halve(struct portion *p, bool deleting, size_t puts, size_t deletions)
{
	if (deleting && !p->apart) {
		p->apart = true;
	} else if (deleting) {
		p->deletions = (p->deletions < deletions ? p->deletions : deletions) / 2;
	} else {
		size_t tried = p->puts < puts ? p->puts : puts;
		p->puts = tried / 2;
		return tried > 1;
	}
	return true;
}

static int write_all(struct store *s, struct outbox_ring *in)
{
	struct portion most = {SIZE_MAX / 2, PART_DELETIONS, false};
	while (unstored(s, in) > 0 || store_keeps(s) || (s->done.count > 0 && most.deletions > 0)) {
		bool deleting = s->done.count > 0 && most.deletions > 0;
		bool apart = most.apart && deleting, putting = unstored(s, in) > 0 && !apart;
		struct write_part p = {.in = putting ? in : NULL,
			.put_most = most.puts,
			.stored = s->unsafe.count > 0 ? s->last : 0,
			.keep = store_keeps(s) && !apart,
			.delete_most = deleting ? most.deletions : 0};
		int rc = write_one(s, &p);
		if (rc == 0 && most.puts < SIZE_MAX / 2)
			most.puts *= 2;
		if (rc != 0 && (!store_is_full(rc) || s->env == NULL ||
				       !halve(&most, deleting, unstored(s, in), (size_t)s->done.count)))
			return rc;
	}
	return 0;
}

int store_write_all(struct store *s, struct outbox_ring *in)
{
	int rc = write_all(s, in);
	/* LMDB uses freed pages two transactions later: this one more lets the next store_write use them */
	if ((store_is_full(rc) || s->done.count > 0) && s->env != NULL)
		store_write_last(s);
	return rc;
}
