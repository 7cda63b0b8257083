// SPDX-License-Identifier: MIT
/* store_read: reads messages one by one, without those that are done; counts what is done. See store.h.
 * Uses: nothing else. */
#include "bridge/outbox/store_private.h"

#include <errno.h>
#include <stdlib.h>

uint64_t store_key_number(const MDB_val *key)
{
	uint64_t n = 0;
	if (key->mv_size == sizeof(n))
		memcpy(&n, key->mv_data, sizeof(n));
	return n;
}

int store_begin_reading(struct store *s)
{
	if (s->env == NULL || s->lost)
		return MDB_PANIC;
	if (s->reading != NULL)
		return 0;
	int rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &s->reading);
	if (rc == 0)
		rc = mdb_cursor_open(s->reading, s->messages, &s->cursor);
	else
		s->reading = NULL;
	if (rc == 0)
		return 0;
	if (s->reading != NULL)
		mdb_txn_abort(s->reading);
	s->reading = NULL;
	s->cursor = NULL;
	return rc;
}

int store_walk(struct store *s, MDB_dbi dbi, void (*visit)(void *arg, const MDB_val *key, const MDB_val *value),
	void *arg)
{
	MDB_cursor *cursor;
	MDB_val key, value;
	int rc = store_begin_reading(s);
	if (rc == 0)
		rc = mdb_cursor_open(s->reading, dbi, &cursor);
	if (rc != 0)
		return rc;
	while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0)
		visit(arg, &key, &value);
	mdb_cursor_close(cursor);
	return rc;
}

static int begin_reading(struct store *s, void *arg)
{
	(void)arg;
	return store_begin_reading(s);
}

bool store_try_reading(struct store *s)
{
	return store_guarded(s, begin_reading, NULL) == 0;
}

void store_rest(struct store *s)
{
	if (s->reading == NULL)
		return;
	mdb_cursor_close(s->cursor);
	mdb_txn_abort(s->reading);
	s->reading = NULL;
	s->cursor = NULL;
}

struct search {
	uint64_t number;
	bool exactly;
	MDB_val value; /* found */
};

/* What is given out is a copy, for the file may be cut at any time. */
static int copy_value(struct store *s, const MDB_val *value)
{
	if (value->mv_size > s->copy_size) {
		uint8_t *grown = realloc(s->copy, value->mv_size + 4096);
		if (grown == NULL)
			return ENOMEM;
		s->copy = grown;
		s->copy_size = value->mv_size + 4096;
	}
	memcpy(s->copy, value->mv_data, value->mv_size);
	return 0;
}

static int seek_message(struct store *s, struct search *f)
{
	MDB_val key = {sizeof(f->number), &f->number}, at, value;
	if (f->exactly)
		return mdb_get(s->reading, s->messages, &key, &f->value);
	/* in most cases the cursor stands on the message before */
	bool here = f->number > 1 && mdb_cursor_get(s->cursor, &at, &value, MDB_GET_CURRENT) == 0 &&
		    store_key_number(&at) == f->number - 1;
	int rc = mdb_cursor_get(s->cursor, &key, &f->value, here ? MDB_NEXT : MDB_SET_RANGE);
	if (rc == 0)
		f->number = store_key_number(&key);
	return rc;
}

static int read_message(struct store *s, void *arg)
{
	struct search *f = arg;
	int rc = store_begin_reading(s);
	while (rc == 0) {
		rc = seek_message(s, f);
		uint64_t done = rc == 0 ? done_end(&s->done, f->number) : 0;
		if (done == 0)
			break;
		if (f->exactly)
			return MDB_NOTFOUND;
		f->number = done + 1;
	}
	return rc == 0 ? copy_value(s, &f->value) : rc;
}

static bool read_out(struct store *s, struct search *f, struct outbox_message *out)
{
	if (store_guarded(s, read_message, f) != 0)
		return false;
	if (message_unpack(span_of(s->copy, f->value.mv_size), f->number, out))
		return true;
	s->lost = true; /* it was a message when the file was examined: somebody has changed the file */
	return false;
}

bool store_next(struct store *s, uint64_t after, struct outbox_message *out)
{
	struct search f = {.number = after + 1};
	return read_out(s, &f, out);
}

bool store_get(struct store *s, uint64_t seqnum, struct outbox_message *out)
{
	struct search f = {.number = seqnum, .exactly = true};
	return read_out(s, &f, out);
}

/* --- done --- */

static int stored_size(struct store *s, void *arg)
{
	struct search *f = arg;
	int rc = store_begin_reading(s);
	MDB_val key = {sizeof(f->number), &f->number};
	return rc == 0 ? mdb_get(s->reading, s->messages, &key, &f->value) : rc;
}

void store_done(struct store *s, uint64_t seqnum)
{
	struct search f = {.number = seqnum};
	if (seqnum == 0 || seqnum > s->last)
		return;
	int rc = store_guarded(s, stored_size, &f);
	if (rc == MDB_NOTFOUND)
		return;
	if (done_add(&s->done, seqnum) &&
		rc == 0) /* else store_measure_done adds its size when the file can be read again */
		s->done_bytes += f.value.mv_size;
}

static int measure(struct store *s, void *arg)
{
	struct done_set *known = arg;
	int rc = 0;
	for (uint64_t n = done_next(&s->done, 1); n > 0; n = done_next(&s->done, n + 1)) {
		struct search f = {.number = n};
		rc = stored_size(s, &f);
		if (rc == 0 && done_add(known, n))
			s->done_bytes += f.value.mv_size;
		else if (rc != 0 && rc != MDB_NOTFOUND)
			return rc;
	}
	return 0;
}

void store_measure_done(struct store *s)
{
	struct done_set known = {0};
	s->done_bytes = 0;
	store_guarded(s, measure, &known);
	store_rest(s);
	done_clear(&s->done);
	s->done = known;
}

size_t store_done_count(const struct store *s)
{
	return (size_t)s->done.count;
}

/* --- questions --- */

uint64_t store_last_seqnum(const struct store *s)
{
	return s->last;
}

size_t store_count(const struct store *s)
{
	return s->count - (size_t)s->done.count;
}

size_t store_bytes(const struct store *s)
{
	return s->bytes - s->done_bytes;
}
