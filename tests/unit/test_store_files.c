// SPDX-License-Identifier: MIT
/* test_store_files: the files of the outbox: damaged, in the way of others, taken away or cut while it is in use, and what the power
 * leaves of them: it says what is lost, and goes on. */
#include "outbox_harness.h"
#include "bridge/outbox/store_private.h"

static void expect_fine(const struct outbox *o)
{
	struct store_meta state;
	struct store_findings found;
	bool back;
	enum store_condition c = store_examine(path, &state, &back, &found);
	if (c != STORE_FINE)
		fail_msg("%s: %s", path, found.why);
	assert_false(back);
	if (o != NULL)
		assert_int_equal(found.messages, outbox_count(o));
}

/* Directories beside it that begin with its name and ".aside-". */
static int count_aside(void)
{
	char begin[40];
	int count = 0, length = snprintf(begin, sizeof(begin), "%d.aside-", counter);
	DIR *dir = opendir(directory);
	for (struct dirent *e; (e = readdir(dir)) != NULL;)
		count += strncmp(e->d_name, begin, (size_t)length) == 0;
	closedir(dir);
	return count;
}

static void works(struct outbox *o)
{
	struct outbox_message m;
	uint64_t number = put(o, 100, "unit", 1);
	assert_true(number != 0);
	for (int i = 0; i < 2000 && !outbox_sync(o); i++)
		usleep(2000);
	assert_true(outbox_sync(o));
	do
		assert_true(outbox_next(o, &m));
	while (m.seqnum != number);
}

/* A damaged one: refused, with nothing touched; or moved aside, and numbers go on behind all that were given. */
static void test_damaged_is_refused_or_moved_aside(void **state)
{
	(void)state;
	static uint8_t bytes[1 << 20], after[1 << 20];
	for (int kind = 0; kind < 3; kind++) {
		fresh_path();
		struct outbox *o = open_here(OUTBOX_SYNC_NEVER);
		for (unsigned i = 0; i < 100; i++)
			put(o, 2000, "unit", i);
		outbox_sync(o);
		uint64_t next = outbox_next_seqnum(o);
		outbox_close(o);
		size_t size = load(bytes, sizeof(bytes));
		if (kind == 0)
			size = 20 * 4096;
		else if (kind == 1)
			memset(bytes, 0x5a, size);
		else
			memset(bytes + 8192, 0, size - 8192);
		save(bytes, size);
		assert_null(try_open(8 << 20, OUTBOX_SYNC_NEVER, OUTBOX_DAMAGED_REFUSE));
		assert_int_equal(load(after, sizeof(after)), size);
		assert_memory_equal(bytes, after, size);
		assert_int_equal(count_aside(), 0);
		for (int again = 0; again < 2; again++) { /* also when it starts twice with nothing to store */
			o = try_open(8 << 20, OUTBOX_SYNC_NEVER, OUTBOX_DAMAGED_ASIDE);
			assert_non_null(o);
			assert_int_equal(outbox_count(o), 0);
			assert_true(outbox_next_seqnum(o) > next);
			next = outbox_next_seqnum(o) - 1;
			outbox_close(o);
		}
		o = try_open(8 << 20, OUTBOX_SYNC_NEVER, OUTBOX_DAMAGED_ASIDE);
		works(o);
		outbox_close(o);
		assert_int_equal(count_aside(), 1);
	}
}

static void in_the_way(const char *name, bool is_directory)
{
	char full[600];
	fresh_path();
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(full, sizeof(full), "%s/%s", path, name);
	assert_int_equal(is_directory ? mkdir(full, 0700) : mkfifo(full, 0600), 0);
	struct outbox *o = try_open(8 << 20, OUTBOX_SYNC_INTERVAL, OUTBOX_DAMAGED_ASIDE);
	if (o == NULL)
		fail_msg("%s in the way", name);
	works(o);
	outbox_close(o);
}

static void test_what_is_in_the_way(void **state)
{
	(void)state;
	static const char *const names[] = {"data.mdb", "lock.mdb", "flushed", "tracker2mqtt.lock"};
	for (size_t i = 0; i < 4; i++) {
		in_the_way(names[i], true);
		in_the_way(names[i], false);
	}
	fresh_path();
	FILE *f = fopen(path, "w"); /* where the directory should be */
	fclose(f);
	assert_null(try_open(8 << 20, OUTBOX_SYNC_NEVER, OUTBOX_DAMAGED_REFUSE));
	struct outbox *o = try_open(8 << 20, OUTBOX_SYNC_NEVER, OUTBOX_DAMAGED_ASIDE);
	assert_non_null(o);
	works(o);
	outbox_close(o);
}

/* LMDB's list of readers, full of nonsense. */
static void test_mutated_readers(void **state)
{
	(void)state;
	char name[400];
	uint8_t junk[9000];
	srand(6);
	fresh_path();
	for (int i = 0; i < 20; i++) {
		outbox_close(open_here(OUTBOX_SYNC_NEVER));
		snprintf(name, sizeof(name), "%s/lock.mdb", path);
		FILE *f = fopen(name, "wb");
		for (size_t k = 0; k < sizeof(junk); k++)
			junk[k] = (uint8_t)rand();
		fwrite(junk, 1, random_below(sizeof(junk)), f);
		fclose(f);
		struct outbox *o = open_here(OUTBOX_SYNC_NEVER);
		works(o);
		outbox_close(o);
	}
}

/* --- while it is in use --- */

static void run(const char *format, const char *a)
{
	char command[900];
	snprintf(command, sizeof(command), format, path, a);
	assert_int_equal(system(command), 0);
}

static void test_taken_away_while_in_use(void **state)
{
	(void)state;
	static const char *const ways[] = {"rm -rf '%s'", "mv '%s' '%s-elsewhere'", "rm -f '%s'/data.mdb",
		"rm -f '%s'/tracker2mqtt.lock",
		"mv '%s' '%s-elsewhere' && mkdir '%s' && echo x > '%s'/data.mdb"};
	for (size_t i = 0; i < 5; i++) {
		struct outbox_message m;
		char command[2000];
		fresh_path();
		struct outbox *o = try_open(
			64 << 20, i % 2 ? OUTBOX_SYNC_INTERVAL : OUTBOX_SYNC_ALWAYS, OUTBOX_DAMAGED_ASIDE);
		for (unsigned n = 0; n < 500; n++)
			put(o, random_length(), "unit", n);
		assert_true(outbox_sync(o));
		snprintf(command, sizeof(command), ways[i], path, path, path, path);
		assert_int_equal(system(command), 0);
		usleep(1100000); /* it is looked for once a second */
		put(o, 10, "", 0);
		for (int k = 0; k < 1000 && !outbox_sync(o); k++)
			usleep(5000);
		assert_true(outbox_sync(o));
		outbox_close(o);
		o = try_open(64 << 20, OUTBOX_SYNC_NEVER, OUTBOX_DAMAGED_REFUSE); /* all of it is there */
		assert_non_null(o);
		assert_int_equal(outbox_count(o), 501);
		for (unsigned n = 1; n <= 501; n++) {
			assert_true(outbox_next(o, &m));
			assert_int_equal(m.seqnum, n);
		}
		outbox_close(o);
	}
}

/* Cut at any moment: what is read next is not there. Nothing crashes, it says what it lost, and goes on. */
static void test_cut_while_in_use(void **state)
{
	(void)state;
	for (int kind = 0; kind < 6; kind++) {
		struct outbox_message m;
		char name[400];
		unsigned given = 0;
		fresh_path();
		struct outbox *o = try_open(
			64 << 20, kind % 2 ? OUTBOX_SYNC_NEVER : OUTBOX_SYNC_INTERVAL, OUTBOX_DAMAGED_ASIDE);
		for (unsigned n = 0; n < 3000; n++)
			put(o, random_length(), "unit", n);
		assert_true(outbox_sync(o));
		for (; given < 100 && outbox_next(o, &m); given++)
			if (kind > 2)
				outbox_done(o, m.seqnum);
		snprintf(name, sizeof(name), "%s/data.mdb", path);
		assert_int_equal(truncate(name, kind % 3 == 0 ? 0 : kind % 3 == 1 ? 8192 : 1 << 20), 0);
		while (outbox_next(o, &m)) /* in the middle of what is read */
			outbox_done(o, m.seqnum);
		works(o);
		assert_true(outbox_count(o) < 3000);
		if (kind % 3 > 0)
			assert_int_equal(count_aside(), 1);
		outbox_close(o);
		expect_fine(NULL);
	}
}

/* --- power --- */

/* What is there is safe when it is open; nothing more is made so. */
static struct outbox *open_slow(void)
{
	char why[STORE_WHY_MAX];
	const struct outbox_options options = {
		.path = path, .size = 64 << 20, .sync = OUTBOX_SYNC_INTERVAL, .sync_interval_ms = 3600000};
	struct outbox *o = outbox_open(&options, why, sizeof(why));
	assert_non_null(o);
	return o;
}

/* The power goes: of what was written after the last flush, the disk has any part. Where the kernel does not tell its boot id, it counts as
 * another one. */
static void test_power_cut(void **state)
{
	(void)state;
	static uint8_t flushed[32 << 20], later[32 << 20];
	srand(7);
	for (int round = 0; round < 12; round++) {
		struct outbox_message m;
		static struct history h;
		h.count = 0;
		fresh_path();
		setenv("T2M_BOOT_ID", round % 3 == 2 ? "" : "before", 1);
		struct outbox *o = open_here(OUTBOX_SYNC_NEVER);
		for (unsigned i = 0; i < 40; i++)
			one_turn(o, &h, 30);
		outbox_close(o);
		o = open_slow();
		size_t count = outbox_count(o), size = load(flushed, sizeof(flushed));
		uint64_t next = outbox_next_seqnum(o);
		for (unsigned i = 0; i < 30; i++)
			one_turn(o, &h, 30);
		size_t more = load(later, sizeof(later));
		run("cp '%s'/flushed '%s-mark'", path);
		outbox_close(o);
		run("cp '%2$s-mark' '%1$s'/flushed", path);
		for (size_t at = 0; at < more; at += 4096)
			if (at < size && random_below(2))
				memcpy(later + at, flushed + at, 4096);
		save(later, more);
		setenv("T2M_BOOT_ID", round % 3 == 2 ? "" : "after", 1);
		o = try_open(64 << 20, OUTBOX_SYNC_INTERVAL, OUTBOX_DAMAGED_REFUSE);
		assert_non_null(o);
		assert_true(outbox_next_seqnum(o) > next);
		size_t found = 0;
		while (outbox_next(o, &m))
			found++;
		assert_int_equal(found, outbox_count(o));
		assert_int_equal(found, count);
		outbox_close(o);
		expect_fine(NULL);
	}
	unsetenv("T2M_BOOT_ID");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_damaged_is_refused_or_moved_aside),
		cmocka_unit_test(test_what_is_in_the_way),
		cmocka_unit_test(test_mutated_readers),
		cmocka_unit_test(test_taken_away_while_in_use),
		cmocka_unit_test(test_cut_while_in_use),
		cmocka_unit_test(test_power_cut),
	};
	return RUN_IN_DIRECTORY("test_store_files", tests);
}
