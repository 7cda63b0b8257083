// SPDX-License-Identifier: MIT
/* test_outbox_slow: sync = always on a disk that takes long, hangs, fails, or is taken away meanwhile: only what is safe is given out,
 * memory has a bound, and what was not safe is written again. */
#include "outbox_harness.h"
#include "bridge/outbox/store_private.h"

#include <stdatomic.h>
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_flush_under_way_and_one_fills),
		cmocka_unit_test(test_a_disk_that_hangs),
		cmocka_unit_test(test_failed_flush),
		cmocka_unit_test(test_files_go_while_the_disk_works),
	};
	return RUN_IN_DIRECTORY("test_outbox_slow", tests);
}
