// SPDX-License-Identifier: MIT
/* test_outbox_memory: what the outbox remembers of units: at once, over restarts, forgotten when that is said, and never more than there is
 * room for. */
#include "outbox_harness.h"

#include <lmdb.h>

struct known {
	size_t count;
	int64_t sum, put_ms;
};

static void count_known(void *ctx, struct span key, int64_t value, int64_t put_ms)
{
	struct known *k = ctx;
	assert_true(key.len > 0 && *key.ptr != '#');
	k->count++;
	k->sum += value;
	k->put_ms = put_ms;
}

static void expect_known(struct outbox *o, size_t count, int64_t sum)
{
	struct known k = {0};
	outbox_remembered(o, count_known, &k);
	assert_int_equal(k.count, count);
	assert_int_equal(k.sum, sum);
}

static void value_is(struct outbox *o, const char *key, int64_t expected)
{
	int64_t value = -1;
	assert_int_equal(outbox_recall(o, span_text(key), &value), expected >= 0);
	assert_true(expected < 0 || value == expected);
}

static void memory_comes_and_goes(void)
{
	struct outbox *o = open_sized(8 << 20, OUTBOX_SYNC_NEVER);
	for (int round = 0; round < 2; round++) { /* in the ring, then stored */
		put(o, 10, "a", 1);
		put(o, 10, "b", 2);
		put(o, 10, "a", 3);
		value_is(o, "a", 3);
		value_is(o, "b", 2);
		value_is(o, "c", -1);
		put(o, 10, "b", MESSAGE_FORGET);
		value_is(o, "b", -1);
		assert_true(outbox_sync(o));
		value_is(o, "a", 3);
		value_is(o, "b", -1);
		expect_known(o, 1, 3);
		put(o, 10, "a", MESSAGE_FORGET);
		value_is(o, "a", -1);
		assert_true(outbox_sync(o));
		expect_known(o, 0, 0);
	}
	done_with_all(o);
	assert_int_equal(outbox_bytes(o), 0);
	put(o, 10, "a", 5);
	outbox_sync(o);
	done_with_all(o);
	assert_int_equal(outbox_bytes(o), OUTBOX_MEMORY_BYTES);
	outbox_close(o);
}

static void test_memory(void **state)
{
	(void)state;
	fresh_path();
	memory_comes_and_goes();
	struct outbox *o = open_sized(8 << 20, OUTBOX_SYNC_NEVER);
	struct known k = {0};
	outbox_remembered(o, count_known, &k);
	assert_true(k.count == 1 && k.sum == 5 && k.put_ms == 1700000000000);
	outbox_close(o);
	*path = '\0';
	memory_comes_and_goes();
}

/* Far more keys than there is room for: it never fills, on disk and in memory. */
static void test_memory_is_bounded(void **state)
{
	(void)state;
	for (int kind = 0; kind < 2; kind++) {
		fresh_path();
		if (kind == 1)
			*path = '\0';
		struct outbox *o = open_sized(1 << 20, OUTBOX_SYNC_NEVER);
		size_t most = outbox_memory_most(o);
		struct known k = {0};
		assert_int_equal(most, 2048);
		for (unsigned i = 0; i < 20000; i++) {
			char key[20];
			snprintf(key, sizeof(key), "%u", i * 7919);
			assert_true(put(o, 100, key, 1) != 0);
			if (i % 50 == 49) {
				assert_true(outbox_sync(o));
				done_with_all(o);
			}
		}
		outbox_remembered(o, count_known, &k);
		assert_true(k.count >= most && k.count <= most + 50);
		assert_true(outbox_bytes(o) <= (most + 50) * OUTBOX_MEMORY_BYTES);
		assert_true(outbox_room(o));
		outbox_close(o);
	}
}

/* What an earlier version left: values without a time, and no end of them. */
static void test_memory_of_an_earlier_version(void **state)
{
	(void)state;
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	fresh_path();
	outbox_close(open_sized(1 << 20, OUTBOX_SYNC_NEVER));
	assert_int_equal(mdb_env_create(&env), 0);
	mdb_env_set_maxdbs(env, 4);
	mdb_env_set_mapsize(env, 256 << 20);
	assert_int_equal(mdb_env_open(env, path, MDB_NOSYNC, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, "memory", 0, &dbi), 0);
	int64_t value = 77;
	for (unsigned i = 0; i < 100000; i++) {
		char text[20];
		MDB_val key = {(size_t)snprintf(text, sizeof(text), "%06u", i), text},
			v = {sizeof(value), &value};
		assert_int_equal(mdb_put(txn, dbi, &key, &v, 0), 0);
	}
	char last_key[] = "#last", file_key[] = "#file";
	MDB_val last = {5, last_key}, file = {5, file_key}, v = {sizeof(value), &value};
	assert_int_equal(mdb_put(txn, dbi, &last, &v, 0), 0);
	assert_int_equal(mdb_put(txn, dbi, &file, &v, 0), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
	struct outbox *o = open_sized(1 << 20, OUTBOX_SYNC_NEVER);
	struct known k = {0};
	assert_int_equal(outbox_next_seqnum(o), 78);
	outbox_remembered(o, count_known, &k);
	assert_int_equal(k.count, outbox_memory_most(o));
	assert_int_equal(k.put_ms, 0);
	assert_true(outbox_room(o));
	assert_true(put(o, 100, "", 0) != 0 && outbox_sync(o));
	outbox_close(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_memory_is_bounded),
		cmocka_unit_test(test_memory_of_an_earlier_version),
	};
	return RUN_IN_DIRECTORY("test_outbox_memory", tests);
}
