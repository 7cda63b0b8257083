// SPDX-License-Identifier: MIT
/* store_aside: messages that the broker can never take are kept with the reason and the time, for people.
 * Uses: nothing else.
 * Not: know MQTT: reasons are numbers here.
 *
 * Database "refused": a running number -> the form of refused.h; under the number 0 the sum. */
#include "bridge/outbox/store_private.h"

#include <errno.h>
#include <stdlib.h>

#define MOVE_PAGES 48 /* for one of the largest messages, with the branches of the tree that lead to it */
#define SHARE 16      /* messages that were set aside may take a sixteenth of the size of the outbox */

static MDB_val number_val(uint64_t *n)
{
	return (MDB_val){sizeof(*n), n};
}

static struct refused_sum read_sum(struct store *s, MDB_txn *txn)
{
	struct refused_sum sum = {0};
	uint64_t zero = 0;
	MDB_val key = number_val(&zero), value;
	if (mdb_get(txn, s->refused, &key, &value) == 0 && value.mv_size == sizeof(sum))
		memcpy(&sum, value.mv_data, sizeof(sum));
	return sum;
}

/* Deletes the oldest ones while all together take more than their share. */
static int make_room(struct store *s, MDB_txn *txn, struct refused_sum *sum)
{
	MDB_cursor *cursor = NULL;
	MDB_val key, value;
	int rc = mdb_cursor_open(txn, s->refused, &cursor);
	uint64_t one = 1;
	key = number_val(&one);
	if (rc == 0)
		rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	while (rc == 0 && sum->bytes > s->options.size / SHARE) {
		sum->bytes -= value.mv_size < sum->bytes ? value.mv_size : sum->bytes;
		sum->dropped++;
		rc = mdb_cursor_del(cursor, 0);
		if (rc == 0)
			rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	}
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static uint64_t last_number(struct store *s, MDB_txn *txn)
{
	MDB_cursor *cursor;
	MDB_val key, value;
	uint64_t last = 0;
	if (mdb_cursor_open(txn, s->refused, &cursor) != 0)
		return 0;
	if (mdb_cursor_get(cursor, &key, &value, MDB_LAST) == 0)
		last = store_key_number(&key);
	mdb_cursor_close(cursor);
	return last;
}

/* Moves one message to the other database, under the key `under`. *bytes: its size. */
static int move(struct store *s, MDB_txn *txn, const struct store_refusal *r, uint64_t under, size_t *bytes)
{
	uint64_t number = r->number;
	MDB_val key = number_val(&number), message, to = number_val(&under);
	int rc = mdb_get(txn, s->messages, &key, &message);
	if (rc != 0)
		return rc;
	const struct refused_head head = {r->when_ms, r->reason, r->number};
	uint8_t *copy = malloc(sizeof(head) + message.mv_size);
	if (copy == NULL)
		return ENOMEM;
	memcpy(copy, &head, sizeof(head));
	memcpy(copy + sizeof(head), message.mv_data, message.mv_size);
	*bytes = message.mv_size;
	MDB_val value = {sizeof(head) + message.mv_size, copy};
	rc = mdb_put(txn, s->refused, &to, &value, 0);
	free(copy);
	return rc != 0 ? rc : mdb_del(txn, s->messages, &key, NULL);
}

struct job {
	const struct store_refusal *list;
	size_t count, gone, bytes;
};

static int move_all(struct store *s, void *arg)
{
	struct job *job = arg;
	MDB_txn *txn = s->writing;
	struct refused_sum sum = read_sum(s, txn);
	uint64_t under = last_number(s, txn);
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < job->count; i++) {
		size_t size = 0;
		rc = move(s, txn, &job->list[i], ++under, &size);
		if (rc == MDB_NOTFOUND) { /* it is deleted already */
			rc = 0;
			continue;
		}
		job->gone++;
		job->bytes += size;
		sum.bytes += sizeof(struct refused_head) + size;
	}
	if (rc == 0)
		rc = make_room(s, txn, &sum);
	uint64_t zero = 0;
	MDB_val key = number_val(&zero), value = {sizeof(sum), &sum};
	if (rc == 0)
		rc = mdb_put(txn, s->refused, &key, &value, 0);
	if (rc == 0)
		rc = store_note_last(s, txn, s->last, s->bytes - job->bytes);
	if (rc == 0)
		store_note_usage(s, txn);
	return rc;
}

const char *store_set_aside(struct store *s, const struct store_refusal *list, size_t count)
{
	struct job job = {.list = list, .count = count};
	store_rest(s);
	int rc = s->env == NULL || s->lost ? MDB_PANIC : 0;
	if (rc == 0 && !store_make_room(s, count * MOVE_PAGES))
		rc = ENOSPC;
	if (rc == 0)
		rc = store_transact(s, move_all, &job);
	if (rc != 0) {
		if (s->env != NULL && (rc == MDB_PANIC || s->lost))
			store_close_env(s);
		return store_say(s, rc);
	}
	s->count -= job.gone;
	s->bytes -= job.bytes;
	return NULL;
}
