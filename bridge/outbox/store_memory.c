// SPDX-License-Identifier: MIT
/* store_memory: values that are remembered under keys. See store.h.
 * Uses: nothing else.
 *
 * Under each key stand the value and when it was put; an earlier version of the program stored the value alone. Keys that
 * begin with '#' are the store's own: no ident begins so. */
#include "bridge/outbox/store_private.h"

#define TRIM_PART 20000 /* keys in one transaction */

struct memory {
	MDB_val key;
	int64_t value[2];
	store_each *each;
	void *ctx;
};

static int64_t memory_of(const MDB_val *v, int64_t value[2])
{
	value[1] = 0;
	if (v->mv_size != sizeof(value[0]) && v->mv_size != 2 * sizeof(value[0]))
		return MDB_NOTFOUND;
	memcpy(value, v->mv_data, v->mv_size);
	return 0;
}

static int recall(struct store *s, void *arg)
{
	struct memory *m = arg;
	MDB_val v;
	int rc = store_begin_reading(s);
	if (rc == 0)
		rc = mdb_get(s->reading, s->memory, &m->key, &v);
	return rc == 0 ? (int)memory_of(&v, m->value) : rc;
}

bool store_recall(struct store *s, struct span key, int64_t *value, int64_t *put_ms)
{
	struct memory m = {.key = {key.len, (void *)(uintptr_t)key.ptr}};
	if (key.len == 0 || store_guarded(s, recall, &m) != 0)
		return false;
	*value = m.value[0];
	*put_ms = m.value[1];
	return true;
}

static void one_memory(void *arg, const MDB_val *key, const MDB_val *value)
{
	struct memory *m = arg;
	if (*(const uint8_t *)key->mv_data != '#' && memory_of(value, m->value) == 0)
		m->each(m->ctx, span_of(key->mv_data, key->mv_size), m->value[0], m->value[1]);
}

static int all_memory(struct store *s, void *arg)
{
	return store_walk(s, s->memory, one_memory, arg);
}

void store_remembered(struct store *s, store_each *each, void *ctx)
{
	struct memory m = {.each = each, .ctx = ctx};
	store_guarded(s, all_memory, &m);
	store_rest(s);
}

size_t store_remembered_count(const struct store *s)
{
	return s->remembered;
}

/* --- trim --- */

struct trim {
	bool all; /* also keys of which it is known when they were put */
	bool ended;
};

static int trim_part(struct store *s, void *arg)
{
	struct trim *t = arg;
	MDB_cursor *cursor;
	MDB_val key, value;
	size_t gone = 0, excess = s->remembered - s->options.memory_most;
	int rc = mdb_cursor_open(s->writing, s->memory, &cursor);
	if (rc != 0)
		return rc;
	while (gone < excess && gone < TRIM_PART &&
		(rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
		if (*(const uint8_t *)key.mv_data == '#' || (!t->all && value.mv_size > sizeof(int64_t)))
			continue;
		rc = mdb_cursor_del(cursor, 0);
		if (rc != 0)
			break;
		gone++;
	}
	mdb_cursor_close(cursor);
	t->ended = rc == MDB_NOTFOUND;
	store_note_usage(s, s->writing);
	return t->ended ? 0 : rc;
}

int store_trim_memory(struct store *s)
{
	struct trim t = {0};
	int rc = 0;
	while (rc == 0 && s->remembered > s->options.memory_most) {
		rc = store_transact(s, trim_part, &t);
		if (t.ended && t.all)
			break;
		t.all |= t.ended;
	}
	return store_is_full(rc) ? 0 : rc; /* without room to delete keys, new ones are not remembered */
}

/* --- what the store keeps there for itself --- */

/* Under it stand a number that was given, and the bytes of all messages then: the last number is this one, or that of the newest message in
 * the file when that is higher. */
static const char LAST_KEY[] = "#last";
static const char ORDER_KEY[] = "#order";

static MDB_val key_of(const char *text)
{
	return (MDB_val){strlen(text), (void *)(uintptr_t)text};
}

int store_note_last(struct store *s, MDB_txn *txn, uint64_t last, size_t bytes)
{
	int64_t value[2] = {(int64_t)last, (int64_t)bytes};
	MDB_val k = key_of(LAST_KEY), v = {sizeof(value), value};
	return mdb_put(txn, s->memory, &k, &v, 0);
}

static int write_last(struct store *s, void *arg)
{
	(void)arg;
	return store_note_last(s, s->writing, s->last, s->bytes);
}

int store_write_last(struct store *s)
{
	return store_transact(s, write_last, NULL);
}

static int read_order_key(struct store *s, void *arg)
{
	MDB_val key = key_of(ORDER_KEY), value;
	int rc = store_begin_reading(s);
	if (rc == 0)
		rc = mdb_get(s->reading, s->memory, &key, &value);
	if (rc == 0 && value.mv_size != HASH_KEY_BYTES)
		rc = MDB_NOTFOUND;
	if (rc == 0)
		memcpy(arg, value.mv_data, HASH_KEY_BYTES);
	return rc;
}

static int write_order_key(struct store *s, void *arg)
{
	MDB_val key = key_of(ORDER_KEY), value = {HASH_KEY_BYTES, arg};
	int rc = mdb_put(s->writing, s->memory, &key, &value, 0);
	if (rc == 0)
		store_note_usage(s, s->writing);
	return rc;
}

bool store_order_key(struct store *s, uint8_t out[HASH_KEY_BYTES])
{
	if (s->env == NULL || s->lost)
		return false;
	int rc = store_guarded(s, read_order_key, out);
	store_rest(s);
	if (rc != MDB_NOTFOUND)
		return rc == 0;
	hash_new_key(out);
	s->special++; /* the new key does not count as remembered */
	if (store_transact(s, write_order_key, out) == 0)
		return true;
	s->special--;
	return false;
}
