/* store_aside: messages that the broker can never take, kept with the reason and the time; and the key of orders.
 * May use: LMDB, message. May not: know MQTT: reasons are numbers here.
 *
 * Database "refused": a running number -> time 8, reason 8, number of the message 8, the message in message.h's form. Under the number 0:
 * how many were deleted for want of room 8, bytes of all 8. Host byte order. */
#include "store_private.h"

#include "hash.h"
#include "log.h"
#include "reason.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SHOWN 5

struct aside_head {
	int64_t when_ms, reason;
	uint64_t number;
};

struct aside_sum {
	uint64_t dropped, bytes;
};

static const char ORDER_KEY[] = "#order";

int aside_open(struct store *s, MDB_txn *txn, unsigned create)
{
	int rc = mdb_dbi_open(txn, "refused", create | MDB_INTEGERKEY, &s->refused);
	s->has_refused = rc == 0;
	return rc == MDB_NOTFOUND && create == 0 ? 0 : rc;
}

static MDB_val number_val(uint64_t *n)
{
	return (MDB_val){sizeof(*n), n};
}

static uint64_t number_of(const MDB_val *key)
{
	uint64_t n = 0;
	if (key->mv_size == sizeof(n))
		memcpy(&n, key->mv_data, sizeof(n));
	return n;
}

static struct aside_sum read_sum(struct store *s, MDB_txn *txn)
{
	struct aside_sum sum = {0};
	uint64_t zero = 0;
	MDB_val key = number_val(&zero), value;
	if (mdb_get(txn, s->refused, &key, &value) == 0 && value.mv_size == sizeof(sum))
		memcpy(&sum, value.mv_data, sizeof(sum));
	return sum;
}

/* The oldest ones go when there is no room. */
static int make_room(struct store *s, MDB_txn *txn, struct aside_sum *sum)
{
	MDB_cursor *cursor;
	MDB_val key, value;
	int rc = mdb_cursor_open(txn, s->refused, &cursor);
	uint64_t one = 1;
	key = number_val(&one);
	if (rc == 0)
		rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	while (rc == 0 && sum->bytes > s->aside_most) {
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
		last = number_of(&key);
	mdb_cursor_close(cursor);
	return last;
}

/* One message from the one database to the other. */
static int move(struct store *s, MDB_txn *txn, const struct store_refusal *r, uint64_t under, size_t *bytes)
{
	uint64_t number = r->number;
	MDB_val key = number_val(&number), message, to = number_val(&under);
	int rc = mdb_get(txn, s->messages, &key, &message);
	if (rc != 0)
		return rc;
	const struct aside_head head = {r->when_ms, r->reason, r->number};
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

static int move_all(struct store *s, MDB_txn *txn, const struct store_refusal *list, size_t count, size_t *gone,
	size_t *bytes)
{
	struct aside_sum sum = read_sum(s, txn);
	uint64_t under = last_number(s, txn);
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < count; i++) {
		size_t size = 0;
		rc = move(s, txn, &list[i], ++under, &size);
		if (rc == MDB_NOTFOUND) { /* it is gone already */
			rc = 0;
			continue;
		}
		++*gone;
		*bytes += size;
		sum.bytes += sizeof(struct aside_head) + size;
	}
	if (rc == 0)
		rc = make_room(s, txn, &sum);
	uint64_t zero = 0;
	MDB_val key = number_val(&zero), value = {sizeof(sum), &sum};
	return rc != 0 ? rc : mdb_put(txn, s->refused, &key, &value, 0);
}

const char *store_set_aside(struct store *s, const struct store_refusal *list, size_t count)
{
	MDB_txn *txn;
	size_t gone = 0, bytes = 0;
	store_rest(s);
	int rc = s->env != NULL ? mdb_txn_begin(s->env, NULL, 0, &txn) : MDB_PANIC;
	if (rc != 0)
		return mdb_strerror(rc);
	rc = move_all(s, txn, list, count, &gone, &bytes);
	if (rc == 0)
		rc = mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
	if (rc != 0)
		return mdb_strerror(rc);
	s->count -= gone < s->count ? gone : s->count;
	s->bytes -= bytes < s->bytes ? bytes : s->bytes;
	return NULL;
}

/* --- the key of orders --- */

bool store_order_key(struct store *s, uint8_t out[HASH_KEY_BYTES])
{
	MDB_txn *txn;
	MDB_val key = {strlen(ORDER_KEY), (void *)(uintptr_t)ORDER_KEY}, value;
	if (s->env == NULL || mdb_txn_begin(s->env, NULL, 0, &txn) != 0)
		return false;
	if (mdb_get(txn, s->memory, &key, &value) == 0 && value.mv_size == HASH_KEY_BYTES) {
		memcpy(out, value.mv_data, HASH_KEY_BYTES);
		mdb_txn_abort(txn);
		return true;
	}
	hash_new_key(out);
	value = (MDB_val){HASH_KEY_BYTES, out};
	if (mdb_put(txn, s->memory, &key, &value, 0) == 0)
		return mdb_txn_commit(txn) == 0;
	mdb_txn_abort(txn);
	return false;
}

/* --- for people --- */

static void print_one(const MDB_val *value)
{
	struct aside_head head;
	struct outbox_message m;
	char when[40], why[80];
	if (value->mv_size < sizeof(head))
		return;
	memcpy(&head, value->mv_data, sizeof(head));
	if (!message_unpack(span_after(span_of(value->mv_data, value->mv_size), sizeof(head)), head.number, &m))
		return;
	time_t t = (time_t)(head.when_ms / 1000);
	struct tm tm;
	gmtime_r(&t, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	reason_text((int)head.reason, why, sizeof(why));
	printf("set aside: %s, number %llu, %zu bytes for %s: %s\n", when, (unsigned long long)head.number,
		m.payload.len, log_bytes(m.topic).text, why);
}

void aside_print(struct store *s)
{
	MDB_txn *txn;
	MDB_stat stat;
	MDB_cursor *cursor;
	MDB_val key, value;
	if (!s->has_refused || mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn) != 0) {
		printf("set aside: 0\n");
		return;
	}
	struct aside_sum sum = read_sum(s, txn);
	size_t count = mdb_stat(txn, s->refused, &stat) == 0 && stat.ms_entries > 0 ? stat.ms_entries - 1 : 0;
	printf("set aside: %zu\nset aside bytes: %llu\nset aside and deleted for want of room: %llu\n", count,
		(unsigned long long)sum.bytes, (unsigned long long)sum.dropped);
	if (mdb_cursor_open(txn, s->refused, &cursor) == 0) {
		int rc = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
		for (int n = 0; rc == 0 && n < SHOWN && number_of(&key) > 0; n++) {
			print_one(&value);
			rc = mdb_cursor_get(cursor, &key, &value, MDB_PREV);
		}
		mdb_cursor_close(cursor);
	}
	mdb_txn_abort(txn);
}
