// SPDX-License-Identifier: MIT
/* test_outbox: what is put comes out in order, once it is stored, until it is done; never more than the size; nothing
 * that was stored is lost when the process dies. In memory and on disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/outbox/outbox.h"

static char directory[256];
static const char *where; /* "" or the directory */
static int counter;

static struct outbox *open_at(const char *path, size_t size, char *why)
{
	const struct outbox_options options = {
		.path = path, .size = size, .sync = OUTBOX_SYNC_NEVER, .damaged = OUTBOX_DAMAGED_REFUSE};
	return outbox_open(&options, why, 400);
}

static struct outbox *reopen(size_t size)
{
	char why[400], path[300] = "";
	if (*where != '\0')
		snprintf(path, sizeof(path), "%s/%d", directory, counter);
	struct outbox *o = open_at(path, size, why);
	if (o == NULL)
		fail_msg("%s", why);
	return o;
}

static struct outbox *fresh(size_t size)
{
	counter++;
	return reopen(size);
}

static uint64_t put(struct outbox *o, unsigned n, size_t length, uint64_t order)
{
	char topic[32];
	static uint8_t payload[70000];
	memset(payload, (int)('a' + n % 26), sizeof(payload));
	struct outbox_message m = {
		.topic = span_of(topic, (size_t)snprintf(topic, sizeof(topic), "t/%u", n)),
		.payload = span_of(payload, length),
		.correlation = span_of("corr", n % 5 == 0 ? 4 : 0),
		.retain = n % 2 == 1,
		.content = n % 3 == 0 ? CONTENT_MSGPACK : CONTENT_JSON,
		.order = order,
		.memory_key = span_text("unit"),
		.memory_value = n,
	};
	return outbox_put(o, &m);
}

static void check(const struct outbox_message *m, unsigned n, size_t length)
{
	char topic[32];
	snprintf(topic, sizeof(topic), "t/%u", n);
	assert_true(span_is(m->topic, topic));
	assert_int_equal(m->payload.len, length);
	for (size_t i = 0; i < length; i++)
		assert_int_equal(m->payload.ptr[i], 'a' + n % 26);
	assert_int_equal(m->retain, n % 2 == 1);
	assert_int_equal(m->content, n % 3 == 0 ? CONTENT_MSGPACK : CONTENT_JSON);
	assert_true(span_is(m->correlation, n % 5 == 0 ? "corr" : ""));
}

static void order(void)
{
	enum { COUNT = 5000 };
	struct outbox *o = fresh(64 << 20);
	struct outbox_message m;
	static uint64_t number[COUNT];
	for (unsigned i = 0; i < COUNT; i++) {
		uint64_t next = outbox_next_seqnum(o);
		number[i] = put(o, i, i % 700, 1);
		assert_int_equal(number[i], next);
	}
	assert_false(outbox_next(o, &m)); /* not stored yet */
	assert_true(outbox_sync(o));
	for (unsigned i = 0; i < COUNT; i++) {
		assert_true(outbox_next(o, &m));
		assert_int_equal(m.seqnum, number[i]);
		check(&m, i, i % 700);
	}
	assert_false(outbox_next(o, &m));
	/* a connection breaks: from the start again, without what is done, in whatever order it was done */
	for (unsigned i = 0; i < COUNT; i += 2)
		outbox_done(o, number[i]);
	for (unsigned i = COUNT - 1; i > COUNT / 2; i -= 2)
		outbox_done(o, number[i]);
	outbox_rewind(o);
	for (unsigned i = 1; i < COUNT / 2; i += 2) {
		assert_true(outbox_next(o, &m));
		assert_int_equal(m.seqnum, number[i]);
	}
	assert_false(outbox_next(o, &m));
	for (unsigned i = 1; i < COUNT; i += 2)
		outbox_done(o, number[i]);
	assert_int_equal(outbox_count(o), 0);
	outbox_rewind(o);
	assert_false(outbox_next(o, &m));
	assert_int_equal(outbox_bytes(o), OUTBOX_MEMORY_BYTES); /* one key */
	assert_int_equal(outbox_next_seqnum(o), number[COUNT - 1] + 1);
	outbox_close(o);
}

static void full(void)
{
	struct outbox *o = fresh(2 << 20);
	unsigned n = 0;
	uint64_t first = outbox_next_seqnum(o);
	while (outbox_room(o)) {
		assert_true(put(o, n++, 1000, 2) != 0);
		assert_true(outbox_sync(o));
	}
	assert_true(n > 1000);
	assert_true(put(o, n++, 1000, 1) != 0); /* the reserve */
	while (put(o, n, 1000, 1) != 0)
		n++;
	assert_true(outbox_bytes(o) <= 2 << 20);
	assert_true(outbox_sync(o));
	for (unsigned i = 0; i < n / 2; i++)
		outbox_done(o, first + i);
	outbox_rewind(o);
	assert_true(outbox_room(o));
	assert_true(put(o, n, 1000, 1) != 0);
	outbox_close(o);
}

/* Many wait: those of others go beside them, and nobody overtakes his own. */
static void lanes(void)
{
	enum { OLD = 6000, UNITS = 50 };
	struct outbox *o = fresh(64 << 20);
	struct outbox_message m;
	static unsigned last[UNITS + 200];
	unsigned sent = 0, live_at = 0;
	memset(last, 0, sizeof(last));
	for (unsigned i = 1; i <= OLD; i++) /* of units 0 to 49 */
		put(o, i, 50, i % UNITS);
	assert_true(outbox_sync(o));
	for (unsigned i = 0; i < 10; i++, sent++) {
		assert_true(outbox_next(o, &m));
		last[m.order] = (unsigned)m.seqnum;
	}
	for (unsigned i = 1; i <= 300;
		i++) /* new ones of units 0 to 49, and of 100 to 149 that have nothing waiting */
		put(o, OLD + i, 50, i % 2 ? i % UNITS : 100 + i % UNITS);
	assert_true(outbox_sync(o));
	while (outbox_next(o, &m)) {
		assert_true((unsigned)m.seqnum > last[m.order]);
		last[m.order] = (unsigned)m.seqnum;
		sent++;
		if (m.order >= 100)
			live_at = sent;
		outbox_done(o, m.seqnum);
	}
	assert_int_equal(sent, OLD + 300);
	assert_true(live_at < 400); /* the last of the live ones, long before the backlog's end */
	outbox_close(o);
}

static void mixed(void)
{
	struct outbox *o = fresh(64 << 20);
	struct outbox_message m;
	uint64_t base = outbox_next_seqnum(o) - 1, done = base, last = 0;
	srand(1);
	for (unsigned i = 0; i < 2000; i++) {
		last = put(o, i, (size_t)(rand() % 60000), 7);
		assert_true(last != 0 && outbox_sync(o));
		for (int k = outbox_count(o) > 500 ? 500 : rand() % 3; k > 0 && outbox_next(o, &m); k--) {
			assert_int_equal(m.seqnum, done + 1);
			done = m.seqnum;
			outbox_done(o, done);
		}
		assert_int_equal(outbox_count(o), last - done);
	}
	outbox_close(o);
}

static void in_both(void (*test)(void))
{
	where = "";
	test();
	where = directory;
	test();
}

static void test_order(void **state)
{
	(void)state;
	in_both(order);
}

static void test_full(void **state)
{
	(void)state;
	in_both(full);
}

static void test_lanes(void **state)
{
	(void)state;
	in_both(lanes);
}

static void test_mixed(void **state)
{
	(void)state;
	in_both(mixed);
}

/* Numbers, messages and memory survive; numbers never go back, even when nothing waits. */
static void test_restart(void **state)
{
	(void)state;
	struct outbox_message m;
	int64_t value = 0;
	where = directory;
	struct outbox *o = fresh(8 << 20);
	for (unsigned i = 0; i < 10; i++)
		put(o, i, 100, 1);
	outbox_sync(o);
	for (unsigned i = 0; i < 4; i++) {
		assert_true(outbox_next(o, &m));
		outbox_done(o, m.seqnum);
	}
	outbox_close(o);
	o = reopen(8 << 20);
	assert_int_equal(outbox_count(o), 6);
	assert_int_equal(outbox_next_seqnum(o), 11);
	assert_true(outbox_recall(o, span_text("unit"), &value));
	assert_int_equal(value, 9);
	assert_false(outbox_recall(o, span_text("nobody"), &value));
	for (unsigned i = 4; i < 10; i++) {
		assert_true(outbox_next(o, &m));
		check(&m, i, 100);
		outbox_done(o, m.seqnum);
	}
	outbox_close(o);
	o = reopen(8 << 20);
	assert_int_equal(outbox_count(o), 0);
	assert_int_equal(outbox_next_seqnum(o), 11);
	outbox_close(o);
}

/* The writer says on a pipe what it was told is stored, and is killed at any moment. */
static void writer(int pipe_out)
{
	struct outbox *o = reopen(64 << 20);
	struct outbox_message m;
	for (unsigned i = 0;; i++) {
		uint64_t number = put(o, i, i % 3000, i % 7);
		if (i % 5 == 0 && outbox_sync(o) && write(pipe_out, &number, sizeof(number)) < 0)
			_exit(1);
		if (i % 3 == 0 && outbox_next(o, &m))
			outbox_done(o, m.seqnum);
	}
}

static void test_kill(void **state)
{
	(void)state;
	where = directory;
	counter++;
	uint64_t stored = 0, highest = 0;
	srand(2);
	for (int round = 0; round < 20; round++) {
		int fd[2];
		assert_int_equal(pipe(fd), 0);
		pid_t pid = fork();
		if (pid == 0) {
			close(fd[0]);
			writer(fd[1]);
		}
		close(fd[1]);
		uint64_t number = 0;
		for (int left = 20 + rand() % 400;
			left > 0 && read(fd[0], &number, sizeof(number)) == sizeof(number); left--)
			stored = number;
		kill(pid, SIGKILL);
		while (read(fd[0], &number, sizeof(number)) == sizeof(number))
			stored = number;
		close(fd[0]);
		waitpid(pid, NULL, 0);
		struct outbox *o = reopen(64 << 20);
		struct outbox_message m;
		uint64_t before = 0, last = outbox_next_seqnum(o) - 1;
		assert_true(last >= stored && last >= highest);
		highest = last;
		/* without gaps up to the last one: only what was done is missing, and that is a beginning */
		while (outbox_next(o, &m)) {
			assert_true(before == 0 || m.seqnum == before + 1);
			before = m.seqnum;
			outbox_done(o, m.seqnum);
		}
		assert_true(before == last || before == 0);
		outbox_close(o);
	}
	assert_true(highest > 1000);
}

static void expect_refusal(const char *part)
{
	char why[400] = "", path[300];
	snprintf(path, sizeof(path), "%s/%d", directory, counter);
	struct outbox *o = open_at(path, 8 << 20, why);
	assert_null(o);
	if (strstr(why, part) == NULL)
		fail_msg("want %s in: %s", part, why);
}

static void test_damaged(void **state)
{
	(void)state;
	char file[400];
	where = directory;
	for (int kind = 0; kind < 3; kind++) {
		struct outbox *o = fresh(8 << 20);
		for (unsigned i = 0; i < 1000; i++) {
			put(o, i, 900, 1);
			outbox_sync(o);
		}
		outbox_close(o);
		snprintf(file, sizeof(file), "%s/%d/data.mdb", directory, counter);
		struct stat st, after;
		assert_int_equal(stat(file, &st), 0);
		if (kind == 0) {
			assert_int_equal(truncate(file, st.st_size / 2), 0);
		} else if (kind == 1) {
			assert_int_equal(truncate(file, 100), 0);
		} else {
			uint8_t junk[8192];
			srand(3);
			for (size_t i = 0; i < sizeof(junk); i++)
				junk[i] = (uint8_t)rand();
			int fd = open(file, O_WRONLY);
			assert_true(fd >= 0 && write(fd, junk, sizeof(junk)) == (ssize_t)sizeof(junk));
			close(fd);
		}
		assert_int_equal(stat(file, &st), 0);
		expect_refusal("--outbox-aside");
		assert_int_equal(stat(file, &after), 0);
		assert_int_equal(st.st_size, after.st_size);
	}
}

static void test_one_process(void **state)
{
	(void)state;
	where = directory;
	struct outbox *o = fresh(8 << 20);
	expect_refusal("in use by another");
	outbox_close(o);
	outbox_close(reopen(8 << 20));
}

static atomic_int disk_error; /* what fdatasync says; 0: the truth */
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

int __wrap_fdatasync(int fd)
{
	errno = disk_error;
	return disk_error != 0 ? -1 : __real_fdatasync(fd);
}

static bool no_threads;
int __real_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
int __wrap_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
	return no_threads ? EAGAIN : __real_pthread_create(thread, attr, run, arg);
}

static void turn(struct outbox *o, bool stored)
{
	for (int i = 0; i < 5000 && outbox_sync(o) != stored; i++)
		usleep(1000);
	assert_int_equal(outbox_sync(o), stored);
}

/* The disk refuses behind the loop's back: nothing may be acknowledged until it takes what it has. */
static void flush_fails(const char *name)
{
	char path[300], why[400];
	struct outbox_message m;
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	const struct outbox_options options = {
		.path = path, .size = 1 << 20, .sync = OUTBOX_SYNC_INTERVAL, .sync_interval_ms = 10};
	struct outbox *o = outbox_open(&options, why, sizeof(why));
	assert_non_null(o);
	put(o, 1, 100, 1);
	assert_true(outbox_sync(o));
	assert_true(outbox_room(o));
	disk_error = EIO;
	put(o, 2, 100, 1);
	turn(o, false);
	assert_false(outbox_room(o));
	assert_true(outbox_next(o, &m)); /* the broker may have it all the same */
	disk_error = 0;
	turn(o, true);
	assert_true(outbox_room(o));
	assert_int_equal(outbox_count(o), 2);
	outbox_close(o);
}

static void test_flush_fails(void **state)
{
	(void)state;
	flush_fails("flush");
	no_threads = true; /* then the loop has to wait for the disk */
	flush_fails("flush-here");
	no_threads = false;
}

static void on_wake(void *ctx)
{
	(void)ctx;
}

/* Nobody would wake the loop: what the flush made safe counts at once. */
static void test_no_thread_to_flush(void **state)
{
	(void)state;
	char path[300], why[400];
	snprintf(path, sizeof(path), "%s/no-thread", directory);
	const struct outbox_options options = {.path = path, .size = 1 << 20, .sync = OUTBOX_SYNC_ALWAYS};
	struct outbox *o = outbox_open(&options, why, sizeof(why));
	assert_non_null(o);
	outbox_use_wake(o, on_wake, NULL);
	no_threads = true;
	put(o, 1, 100, 1);
	assert_true(outbox_sync(o));
	no_threads = false;
	outbox_close(o);
}

int main(void)
{
	snprintf(directory, sizeof(directory), "%s/test_outbox.XXXXXX",
		getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (mkdtemp(directory) == NULL)
		return 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_lanes),
		cmocka_unit_test(test_mixed),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_kill),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_one_process),
		cmocka_unit_test(test_flush_fails),
		cmocka_unit_test(test_no_thread_to_flush),
	};
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	char command[300];
	snprintf(command, sizeof(command), "rm -rf '%s'", directory);
	return system(command) != 0 ? 1 : rc;
}
