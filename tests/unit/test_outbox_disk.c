// SPDX-License-Identifier: MIT
/* test_outbox_disk: what the outbox promises when its disk refuses, is full, loses power, or when its files are taken away: what the
 * broker has never comes again, what is stored stays, it goes on by itself, and nothing ends the process. */
#include "outbox_harness.h"
#include "bridge/outbox/done.h"

#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static atomic_int disk_error; /* what fdatasync says, also to LMDB; 0: the truth */
int fdatasync(int fd);

int fdatasync(int fd)
{
	errno = disk_error;
	return disk_error != 0 ? -1 : (int)syscall(SYS_fdatasync, fd);
}

/* --- helpers --- */

static bool is_empty(struct outbox *o)
{
	return outbox_count(o) == 0 && outbox_room(o);
}

/* --- what is done --- */

/* The broker acknowledges while the disk refuses: nothing of that comes again, and the counts are right at once. */
static void test_done_while_the_disk_refuses(void **state)
{
	(void)state;
	enum { COUNT = 3000 };
	fresh_path();
	struct outbox *o = open_sized(64 << 20, OUTBOX_SYNC_ALWAYS);
	struct outbox_message m;
	assert_int_equal(put_many(o, COUNT, 500), COUNT);
	assert_true(outbox_sync(o));
	disk_error = EIO;
	assert_int_equal(done_with_all(o), COUNT);
	assert_int_equal(outbox_count(o), 0);
	assert_int_equal(outbox_bytes(o), 0);
	outbox_rewind(o);
	assert_false(outbox_next(o, &m));
	put(o, 100, "", 0);
	assert_false(outbox_sync(o));
	assert_int_equal(outbox_count(o), 1);
	disk_error = 0;
	assert_true(turns_until(o, is_stored));
	assert_true(outbox_next(o, &m));
	assert_int_equal(m.seqnum, COUNT + 1);
	outbox_close(o);
	o = open_sized(64 << 20, OUTBOX_SYNC_ALWAYS);
	assert_int_equal(outbox_count(o), 1);
	outbox_close(o);
}

/* Done twice, or not there: nothing happens. In any order, and with some that are not done. */
static void test_done_in_any_order(void **state)
{
	(void)state;
	enum { COUNT = 4000 };
	static bool done[COUNT + 1];
	fresh_path();
	struct outbox *o = open_sized(64 << 20, OUTBOX_SYNC_NEVER);
	struct outbox_message m;
	size_t left = COUNT, seen = 0;
	put_many(o, COUNT, 100);
	assert_true(outbox_sync(o));
	srand(4);
	for (int i = 0; i < 3 * COUNT; i++) {
		unsigned n = 1 + (unsigned)rand() % COUNT;
		if (n % 3 == 0)
			continue;
		left -= !done[n];
		done[n] = true;
		outbox_done(o, n);
		outbox_done(o, COUNT + 1 + n);
		if (i % 500 == 0)
			outbox_sync(o);
		assert_int_equal(outbox_count(o), left);
	}
	outbox_rewind(o);
	for (; outbox_next(o, &m); seen++)
		assert_false(done[m.seqnum]);
	assert_int_equal(seen, left);
	outbox_close(o);
}

static void test_done_set(void **state)
{
	(void)state;
	enum { COUNT = 300 };
	struct done_set set = {0};
	bool in[COUNT + 2] = {false};
	srand(5);
	for (int i = 0; i < 30000; i++) {
		uint64_t n = 1 + (uint64_t)rand() % COUNT, end = n, next = n;
		if (rand() % 200 == 0) {
			done_drop(&set, n);
			memset(in, 0, (size_t)n + 1);
		} else {
			assert_int_equal(done_add(&set, n), !in[n]);
			in[n] = true;
		}
		n = 1 + (uint64_t)rand() % COUNT;
		for (end = n; end < COUNT && in[end + 1]; end++)
			;
		for (next = n; next <= COUNT && !in[next]; next++)
			;
		assert_int_equal(done_end(&set, n), in[n] ? end : 0);
		assert_int_equal(done_next(&set, n), next <= COUNT ? next : 0);
		size_t count = 0;
		for (size_t k = 1; k <= COUNT; k++)
			count += in[k];
		assert_int_equal(set.count, count);
	}
	done_clear(&set);
}

/* --- disk full --- */

/* Files cannot grow: as on a full disk, but for this process only. */
static void limit_files(off_t more)
{
	char name[400];
	struct stat st = {0};
	file_name(name, sizeof(name), "data.mdb");
	struct rlimit r;
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &r);
	stat(name, &st);
	r.rlim_cur = more < 0 ? r.rlim_max : (rlim_t)(st.st_size + more);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &r), 0);
}

/* Fills until it says that it is full, and once more what may come in one turn; what was stored is there. */
static void fill(struct outbox *o, size_t length, unsigned *stored)
{
	for (int i = 0; i < 100000 && outbox_room(o); i++) {
		unsigned n = put_many(o, 5, length);
		bool ok = outbox_sync(o);
		for (int k = 0; k < 100 && !ok; k++) {
			usleep(5000);
			ok = outbox_sync(o);
		}
		if (!ok)
			break;
		*stored += n;
	}
	assert_false(outbox_room(o));
}

static void full_disk(enum outbox_sync sync, size_t length)
{
	fresh_path();
	struct outbox *o = open_sized(256 << 20, sync);
	for (int round = 0; round < 3; round++) {
		unsigned stored = 0;
		outbox_sync(o);
		if (round == 0)
			limit_files(4 << 20);
		fill(o, length, &stored);
		assert_true(stored * length > 1 << 20);
		put_many(o, 2000, length); /* more than there is room for: it waits */
		outbox_sync(o);
		unsigned given = done_with_all(o);
		assert_true(given >= stored);
		for (int i = 0; i < 3000 && !is_empty(o); i++) { /* the disk is as full as before */
			outbox_sync(o);
			given += done_with_all(o);
			usleep(2000);
		}
		if (!is_empty(o))
			fail_msg("%zu wait, room %d", outbox_count(o), outbox_room(o));
		assert_true(given >= stored + 2000);
	}
	limit_files(-1);
	outbox_close(o);
}

static void test_disk_full(void **state)
{
	(void)state;
	full_disk(OUTBOX_SYNC_NEVER, 900);
	full_disk(OUTBOX_SYNC_NEVER, 3000); /* a page of its own for each */
	full_disk(OUTBOX_SYNC_NEVER, 30000);
	full_disk(OUTBOX_SYNC_INTERVAL, 900);
	full_disk(OUTBOX_SYNC_ALWAYS, 3000);
}

/* A turn that does not fit: a part of it is stored and goes out, the rest waits. */
static void test_a_turn_is_split(void **state)
{
	(void)state;
	fresh_path();
	struct outbox *o = open_sized(256 << 20, OUTBOX_SYNC_NEVER);
	struct outbox_message m;
	unsigned given = 0;
	outbox_sync(o);
	limit_files(8 << 20);
	assert_int_equal(put_many(o, 20000, 900), 20000);
	assert_false(outbox_sync(o));
	assert_int_equal(outbox_count(o), 20000);
	while (outbox_next(o, &m)) {
		assert_int_equal(m.seqnum, given + 1);
		given++;
	}
	assert_true(given > 1000 && given < 20000);
	limit_files(-1);
	assert_true(turns_until(o, is_stored));
	while (outbox_next(o, &m))
		assert_int_equal(m.seqnum, ++given);
	assert_int_equal(given, 20000);
	outbox_close(o);
}

/* The smallest size, records of each size: as full as it may be, it drains. */
static void test_fill_and_drain(void **state)
{
	(void)state;
	for (size_t length = 100; length < 9000; length += 700) {
		fresh_path();
		struct outbox *o = open_sized(4 << 20, OUTBOX_SYNC_NEVER);
		for (int round = 0; round < 3; round++) {
			unsigned stored = 0;
			fill(o, length, &stored);
			put_many(o, 100000, length); /* the reserve, too */
			assert_true(outbox_sync(o));
			done_with_all(o);
			assert_true(turns_until(o, is_empty));
		}
		outbox_close(o);
	}
}

static void test_fits(void **state)
{
	(void)state;
	for (int kind = 0; kind < 2; kind++) {
		fresh_path();
		if (kind == 1)
			*path = '\0'; /* in memory */
		struct outbox *o = open_sized(1 << 20, OUTBOX_SYNC_NEVER);
		assert_true(outbox_fits(o, 1 << 20));
		assert_false(outbox_fits(o, (1 << 20) + 1));
		while (outbox_fits(o, 2000))
			assert_int_equal(put_many(o, 1, 1900), 1);
		assert_int_equal(outbox_room(o), outbox_room(o));
		assert_false(outbox_fits(o, SIZE_MAX));
		assert_int_equal(put_many(o, 1, 2000), 0);
		outbox_close(o);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_done_while_the_disk_refuses),
		cmocka_unit_test(test_done_in_any_order),
		cmocka_unit_test(test_done_set),
		cmocka_unit_test(test_disk_full),
		cmocka_unit_test(test_a_turn_is_split),
		cmocka_unit_test(test_fill_and_drain),
		cmocka_unit_test(test_fits),
	};
	return RUN_IN_DIRECTORY("test_outbox_disk", tests);
}
