// SPDX-License-Identifier: MIT
/* test_outbox_disk: what the outbox promises when its disk refuses, is full, loses power, or when its files are taken away: what the
 * broker has never comes again, what is stored stays, it goes on by itself, and nothing ends the process. */
#include "outbox_harness.h"
#include "bridge/outbox/done.h"
#include "bridge/outbox/store_private.h"

#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static atomic_int disk_error;  /* what fdatasync says, also to LMDB; 0: the truth */
static atomic_bool disk_holds; /* fdatasync does not end */
static atomic_bool
	disk_drops; /* with an error, the kernel drops what was not written: the file is as it was at the last good one */
static struct {
	uint8_t bytes[8 << 20];
	ssize_t size;
} synced;
int fdatasync(int fd);

static void drop_what_was_not_written(int fd)
{
	static uint8_t now[sizeof(synced.bytes)];
	ssize_t size = pread(fd, now, sizeof(now), 0);
	for (ssize_t at = 0; at < size && at < synced.size; at += 4096)
		if (memcmp(now + at, synced.bytes + at, 4096) != 0)
			assert_int_equal(pwrite(fd, synced.bytes + at, 4096, at), 4096);
}

int fdatasync(int fd)
{
	while (disk_holds)
		usleep(500);
	errno = disk_error;
	if (disk_error != 0 && disk_drops)
		drop_what_was_not_written(fd);
	if (disk_error == 0 && disk_drops)
		synced.size = pread(fd, synced.bytes, sizeof(synced.bytes), 0);
	errno = disk_error;
	return disk_error != 0 ? -1 : (int)syscall(SYS_fdatasync, fd);
}

/* --- helpers --- */

static bool turns_until(struct outbox *o, bool (*condition)(struct outbox *))
{
	for (int i = 0; i < 3000; i++) {
		outbox_sync(o);
		if (condition(o))
			return true;
		usleep(5000);
	}
	return false;
}

static bool is_stored(struct outbox *o)
{
	return outbox_sync(o);
}

static bool is_empty(struct outbox *o)
{
	return outbox_count(o) == 0 && outbox_room(o);
}

static void file_name(char *out, size_t size, const char *name)
{
	snprintf(out, size, "%s/%s", path, name);
}

/* --- a slow disk --- */

static atomic_int wakes;

static void on_wake(void *ctx)
{
	(void)ctx;
	wakes++;
}

static struct outbox *open_beside(size_t size)
{
	fresh_path();
	struct outbox *o = open_sized(size, OUTBOX_SYNC_ALWAYS);
	outbox_use_wake(o, on_wake, NULL);
	return o;
}

static void keep(struct outbox *o, enum keep_of of, const char *key, const char *value)
{
	assert_true(outbox_keep(o, of, span_text(key), span_text(value)));
}

/* What is in the file, in whatever memory it stands: what a process that is killed leaves. */
static size_t messages_in_file(void)
{
	struct store_meta state;
	struct store_findings found;
	bool back;
	assert_int_equal(store_examine(path, &state, &back, &found), STORE_FINE);
	return found.messages;
}

/* What the disk surely has: what the power leaves. */
static size_t messages_in_mark(void)
{
	struct store_mark mark;
	struct store_findings found = {0};
	char name[400];
	assert_true(store_mark_read(path, &mark));
	file_name(name, sizeof(name), "data.mdb");
	int fd = open(name, O_RDONLY);
	assert_int_equal(store_check(fd, &mark.meta, false, &found), STORE_FINE);
	close(fd);
	return found.messages;
}

/* One flush is under way and one fills; each is safe when it has ended, and only that is given out. */
static void test_one_flush_under_way_and_one_fills(void **state)
{
	(void)state;
	struct outbox *o = open_beside(64 << 20);
	struct outbox_message m;
	assert_true(outbox_sync(o));
	uint64_t before = outbox_flushes(o).safe;
	disk_holds = true;
	put_many(o, 3, 100);
	assert_false(outbox_sync(o));
	uint64_t first = outbox_flushes(o).begun;
	assert_true(first > before);
	put_many(o, 4, 100);
	for (int i = 0; i < 3; i++) {
		assert_false(outbox_sync(o));
		assert_false(outbox_next(o, &m));
		assert_int_equal(outbox_flushes(o).begun, first);
		assert_int_equal(outbox_flushes(o).safe, before);
	}
	assert_int_equal(outbox_count(o), 7);
	assert_int_equal(messages_in_file(), 3); /* the others need no transaction yet */
	assert_int_equal(messages_in_mark(), 0);
	keep(o, KEEP_UNITS, "unit", "note");
	outbox_sync(o);
	assert_int_equal(messages_in_file(), 3);
	keep(o, KEEP_COMMANDS, "command", "held"); /* this one does: a command does not wait for the disk */
	assert_false(outbox_sync(o));
	assert_int_equal(messages_in_file(), 7);
	assert_int_equal(messages_in_mark(), 0);
	assert_false(outbox_next(o, &m));
	int woken = wakes;
	disk_holds = false;
	while (wakes == woken)
		usleep(500);
	disk_holds = true; /* the second one */
	assert_false(outbox_sync(o));
	assert_int_equal(outbox_flushes(o).safe, first);
	assert_int_equal(outbox_flushes(o).begun, first + 1);
	assert_int_equal(messages_in_mark(), 3);
	for (uint64_t n = 1; n <= 3; n++)
		assert_true(outbox_next(o, &m) && m.seqnum == n);
	assert_false(outbox_next(o, &m));
	disk_holds = false;
	assert_true(turns_until(o, is_stored));
	assert_int_equal(outbox_flushes(o).safe, first + 1);
	assert_int_equal(messages_in_mark(), 7);
	assert_int_equal(done_with_all(o), 4);
	outbox_close(o);
}

/* The disk does not answer for as long as it likes: memory has a bound, and what is in it is stored afterwards. */
static void test_a_disk_that_hangs(void **state)
{
	(void)state;
	struct outbox *o = open_beside(256 << 20);
	size_t count = 0;
	disk_holds = true;
	while (outbox_room(o)) {
		count += put_many(o, 100, 10000);
		outbox_sync(o);
	}
	assert_in_range(outbox_bytes(o), 16 << 20, 40 << 20);
	disk_holds = false;
	assert_true(turns_until(o, is_stored));
	assert_true(outbox_room(o));
	assert_int_equal(outbox_count(o), count);
	assert_int_equal(done_with_all(o), count);
	outbox_close(o);
}

static bool has_trouble(struct outbox *o)
{
	return !outbox_room(o);
}

static void count_kept(void *ctx, struct span key, struct span value)
{
	(void)value;
	*(unsigned *)ctx += 1u << (key.ptr[0] - '0');
}

/* After a failed fdatasync the kernel has dropped what was not written, and the next one says that all is well. What was stored is written
 * again, what was deleted stays so, and what is kept is as it was said last. */
static void failed_flush(bool beside, bool held)
{
	disk_drops = true;
	fresh_path();
	struct outbox *o = open_sized(1 << 20, OUTBOX_SYNC_ALWAYS);
	struct outbox_message m;
	int64_t value = 0;
	unsigned kept = 0;
	if (beside)
		outbox_use_wake(o, on_wake, NULL);
	put_many(o, 20, 500);
	keep(o, KEEP_COMMANDS, "0", "first");
	keep(o, KEEP_COMMANDS, "1", "first");
	assert_true(outbox_sync_within(o, OUTBOX_HOWEVER_LONG));
	for (int i = 0; i < 10; i++) {
		assert_true(outbox_next(o, &m));
		outbox_done(o, m.seqnum);
	}
	disk_holds = held;
	put(o, 500, "unit", 7);
	put_many(o, 4, 500);
	keep(o, KEEP_COMMANDS, "1", "");
	keep(o, KEEP_COMMANDS, "2", "second");
	if (held)
		assert_false(outbox_sync(o));
	disk_error = EIO;
	disk_holds = false;
	assert_true(turns_until(o, has_trouble));
	assert_false(outbox_sync(o));
	assert_int_equal(outbox_count(o), 15);
	put_many(o, 5, 500);
	for (int i = 0; i < 300; i++) { /* again and again */
		assert_false(outbox_sync(o));
		usleep(1000);
	}
	for (unsigned n = 11; n <= 20; n++)
		assert_true(outbox_next(o, &m) && m.seqnum == n);
	assert_false(outbox_next(o, &m));
	disk_error = 0;
	assert_true(turns_until(o, is_stored));
	assert_int_equal(outbox_count(o), 20);
	assert_int_equal(messages_in_mark(), 20);
	assert_true(outbox_recall(o, span_text("unit"), &value));
	assert_int_equal(value, 7);
	for (unsigned n = 21; n <= 30; n++)
		assert_true(outbox_next(o, &m) && m.seqnum == n);
	disk_drops = false;
	outbox_close(o);
	o = open_sized(1 << 20, OUTBOX_SYNC_ALWAYS);
	outbox_kept(o, KEEP_COMMANDS, count_kept, &kept);
	assert_int_equal(kept, 1u << 0 | 1u << 2);
	assert_int_equal(done_with_all(o), 20);
	outbox_close(o);
}

static void test_failed_flush(void **state)
{
	(void)state;
	failed_flush(false, false);
	failed_flush(true, false);
	failed_flush(true, true);
}

/* The files are taken away while the disk works: all that was put is there, in new ones. */
static void test_files_go_while_the_disk_works(void **state)
{
	(void)state;
	struct outbox *o = open_beside(16 << 20);
	char command[900];
	put_many(o, 5, 500);
	assert_true(outbox_sync_within(o, OUTBOX_HOWEVER_LONG));
	disk_holds = true;
	put_many(o, 5, 500);
	assert_false(outbox_sync(o));
	put_many(o, 5, 500);
	snprintf(command, sizeof(command), "mv '%s' '%s-away'", path, path);
	assert_int_equal(system(command), 0);
	disk_holds = false;
	assert_true(turns_until(o, is_stored));
	for (int i = 0; i < 400; i++) { /* it is noticed within a second or so */
		outbox_sync(o);
		usleep(5000);
	}
	assert_true(turns_until(o, is_stored));
	assert_int_equal(messages_in_mark(), 15);
	assert_int_equal(done_with_all(o), 15);
	outbox_close(o);
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
	full_disk(OUTBOX_SYNC_ALWAYS, 900);
	full_disk(OUTBOX_SYNC_ALWAYS, 30000);
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
		cmocka_unit_test(test_one_flush_under_way_and_one_fills),
		cmocka_unit_test(test_a_disk_that_hangs),
		cmocka_unit_test(test_failed_flush),
		cmocka_unit_test(test_files_go_while_the_disk_works),
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
