/* test_store: what is examined before LMDB opens it: every state that the outbox can write is found fine, whatever came before; what
 * is damaged is refused or moved aside and never ends the process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "outbox.h"
#include "store_private.h"

static char directory[256], path[300];
static int counter;

static unsigned random_below(unsigned n)
{
	return (unsigned)rand() % n;
}

static void fresh_path(void)
{
	snprintf(path, sizeof(path), "%s/%d", directory, ++counter);
}

static struct outbox *open_with(size_t size, enum outbox_sync sync, enum outbox_damaged damaged)
{
	char why[STORE_WHY_MAX] = "";
	const struct outbox_options options = {
		.path = path, .size = size, .sync = sync, .sync_interval_ms = 10, .damaged = damaged};
	return outbox_open(&options, why, sizeof(why));
}

static struct outbox *open_here(enum outbox_sync sync)
{
	struct outbox *o = open_with(64 << 20, sync, OUTBOX_DAMAGED_REFUSE);
	assert_non_null(o);
	return o;
}

static uint64_t put(struct outbox *o, size_t length, unsigned key, int64_t value)
{
	static uint8_t payload[70000];
	char text[20];
	struct outbox_message m = {
		.topic = span_text("trackers/1/position"),
		.payload = span_of(payload, length),
		.order = key,
		.put_ms = 1700000000000 + value,
		.memory_key = span_of(text, (size_t)snprintf(text, sizeof(text), "%010u", key)),
		.memory_value = value,
	};
	if (key == 0)
		m.memory_key.len = 0;
	return outbox_put(o, &m);
}

/* Small ones, some of 2 to 4 KiB, which take a page of their own, and a few long ones. */
static size_t random_length(void)
{
	unsigned kind = random_below(20);
	return kind == 0 ? random_below(70000) : kind < 5 ? 1900 + random_below(2500) : random_below(900);
}

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

static unsigned states_wanted(unsigned standard)
{
	const char *wanted = getenv("T2M_STATES");
	return wanted != NULL ? (unsigned)atoi(wanted) : standard;
}

/* --- no false alarm --- */

struct history {
	uint64_t given[5000];
	size_t count;
};

static void one_turn(struct outbox *o, struct history *h, unsigned burst)
{
	struct outbox_message m;
	for (unsigned n = random_below(burst); n > 0; n--) {
		unsigned key = random_below(3) ? 1 + random_below(3000) : 0;
		put(o, random_length(), key, random_below(5) ? 1000 + (int64_t)n : MESSAGE_FORGET);
	}
	outbox_sync(o);
	while (h->count < 5000 && outbox_next(o, &m))
		h->given[h->count++] = m.seqnum;
	for (unsigned n = random_below(burst); n > 0 && h->count > 0; n--) {
		size_t at = random_below(4) ? 0 : random_below((unsigned)h->count); /* mostly in order */
		outbox_done(o, h->given[at]);
		memmove(h->given + at, h->given + at + 1, (--h->count - at) * sizeof(h->given[0]));
	}
}

static void many_states(enum outbox_sync sync, unsigned states)
{
	static struct history h;
	h.count = 0;
	fresh_path();
	struct outbox *o = open_here(sync);
	for (unsigned i = 0; i < states; i++) {
		unsigned burst = (i / 200) % 3 == 0 ? 4 : (i / 200) % 3 == 1 ? 40 : 300;
		one_turn(o, &h, burst);
		outbox_rewind(o); /* what is done is not deleted yet */
		h.count = 0;
		expect_fine(NULL);
		if (random_below(40) == 0) {
			size_t count = outbox_count(o), bytes = outbox_bytes(o);
			outbox_close(o);
			expect_fine(NULL);
			o = open_here(sync);
			assert_int_equal(outbox_count(o), count);
			assert_int_equal(outbox_bytes(o), bytes);
			expect_fine(o);
		}
	}
	outbox_close(o);
	expect_fine(NULL);
}

static void test_every_state_is_fine(void **state)
{
	(void)state;
	srand(1);
	many_states(OUTBOX_SYNC_NEVER, states_wanted(1500));
	many_states(OUTBOX_SYNC_INTERVAL, states_wanted(600));
}

/* A writer is killed at any moment; its file has a long list of free pages. */
static void test_killed_at_any_moment(void **state)
{
	(void)state;
	static struct history h;
	srand(2);
	fresh_path();
	for (int round = 0; round < 40; round++) {
		pid_t pid = fork();
		if (pid == 0) {
			struct outbox *o = open_here(round % 2 ? OUTBOX_SYNC_NEVER : OUTBOX_SYNC_INTERVAL);
			srand((unsigned)round);
			for (;;)
				one_turn(o, &h, 200);
		}
		usleep(2000 + (useconds_t)random_below(40000));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		struct store_meta meta;
		struct store_findings found;
		bool back;
		enum store_condition c = store_examine(path, &meta, &back, &found);
		if (c != STORE_FINE && c != STORE_NEW)
			fail_msg("round %d: %s", round, found.why);
	}
	outbox_close(open_here(OUTBOX_SYNC_NEVER));
}

/* --- damage --- */

static void make_file(void)
{
	static struct history h;
	h.count = 0;
	struct outbox *o = open_here(OUTBOX_SYNC_NEVER);
	for (unsigned i = 0; i < 30; i++)
		one_turn(o, &h, 60);
	outbox_close(o);
}

static size_t load(uint8_t *to, size_t most)
{
	char name[400];
	snprintf(name, sizeof(name), "%s/data.mdb", path);
	FILE *f = fopen(name, "rb");
	assert_non_null(f);
	size_t n = fread(to, 1, most, f);
	fclose(f);
	return n;
}

static void save(const uint8_t *bytes, size_t n)
{
	char name[400];
	snprintf(name, sizeof(name), "%s/data.mdb", path);
	FILE *f = fopen(name, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	fclose(f);
}

static size_t mutate(uint8_t *bytes, size_t n)
{
	for (unsigned k = 1 + random_below(4); k > 0; k--) {
		size_t page = random_below(3) ? random_below((unsigned)(n / 4096)) : random_below(2);
		uint8_t *p = bytes + page * 4096, *from = bytes + random_below((unsigned)(n / 4096)) * 4096;
		switch (random_below(6)) {
		case 0: /* the head of a page */
			p[random_below(24)] = (uint8_t)rand();
			break;
		case 1: /* where the roots are */
			p[16 + random_below(140)] ^= (uint8_t)(1u << random_below(8));
			break;
		case 2:
			p[random_below(4096)] = (uint8_t)rand();
			break;
		case 3:
			memcpy(p, from, 4096); /* an older page */
			break;
		case 4:
			memset(p + random_below(8) * 512, random_below(2) ? 0 : 0xff, 512);
			break;
		default:
			n = random_below(4) == 0 ? random_below((unsigned)n) : n;
			if (n < 8192)
				return n;
		}
	}
	return n;
}

/* What opens is used as a bridge would. */
static void use(struct outbox *o)
{
	struct outbox_message m;
	for (unsigned i = 0; i < 20; i++)
		put(o, random_length(), i, i);
	outbox_sync(o);
	while (outbox_next(o, &m)) {
		outbox_done(o, m.seqnum);
		outbox_sync(o);
	}
	outbox_sync(o);
	outbox_close(o);
}

static int quiet_status(void)
{
	int out = dup(1), err = dup(2), null = open("/dev/null", O_WRONLY);
	fflush(stdout);
	dup2(null, 1);
	dup2(null, 2);
	int rc = store_print_status(path);
	fflush(stdout);
	dup2(out, 1);
	dup2(err, 2);
	close(out);
	close(err);
	close(null);
	return rc;
}

static void test_mutated_files(void **state)
{
	(void)state;
	enum { MOST = 16 << 20 };
	uint8_t *good = malloc(MOST), *bad = malloc(MOST);
	unsigned opened = 0, refused = 0, rounds = states_wanted(400);
	srand(3);
	fresh_path();
	make_file();
	size_t size = load(good, MOST);
	for (unsigned i = 0; i < rounds; i++) {
		memcpy(bad, good, size);
		save(bad, mutate(bad, size));
		assert_true(quiet_status() <= 1);
		struct outbox *o = open_with(64 << 20, OUTBOX_SYNC_NEVER, OUTBOX_DAMAGED_REFUSE);
		*(o != NULL ? &opened : &refused) += 1;
		if (o != NULL)
			use(o);
	}
	print_message("%u opened, %u refused\n", opened, refused);
	assert_true(refused > rounds / 4 && opened > 0);
	free(good);
	free(bad);
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
	uint64_t number = put(o, 100, 1, 1);
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
			put(o, 2000, i, i);
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
		assert_null(open_with(8 << 20, OUTBOX_SYNC_NEVER, OUTBOX_DAMAGED_REFUSE));
		assert_int_equal(load(after, sizeof(after)), size);
		assert_memory_equal(bytes, after, size);
		assert_int_equal(count_aside(), 0);
		for (int again = 0; again < 2; again++) { /* also when it starts twice with nothing to store */
			o = open_with(8 << 20, OUTBOX_SYNC_NEVER, OUTBOX_DAMAGED_ASIDE);
			assert_non_null(o);
			assert_int_equal(outbox_count(o), 0);
			assert_true(outbox_next_seqnum(o) > next);
			next = outbox_next_seqnum(o) - 1;
			outbox_close(o);
		}
		o = open_with(8 << 20, OUTBOX_SYNC_NEVER, OUTBOX_DAMAGED_ASIDE);
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
	struct outbox *o = open_with(8 << 20, OUTBOX_SYNC_INTERVAL, OUTBOX_DAMAGED_ASIDE);
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
	assert_null(open_with(8 << 20, OUTBOX_SYNC_NEVER, OUTBOX_DAMAGED_REFUSE));
	struct outbox *o = open_with(8 << 20, OUTBOX_SYNC_NEVER, OUTBOX_DAMAGED_ASIDE);
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
		struct outbox *o = open_with(
			64 << 20, i % 2 ? OUTBOX_SYNC_INTERVAL : OUTBOX_SYNC_ALWAYS, OUTBOX_DAMAGED_ASIDE);
		for (unsigned n = 0; n < 500; n++)
			put(o, random_length(), n, n);
		assert_true(outbox_sync(o));
		snprintf(command, sizeof(command), ways[i], path, path, path, path);
		assert_int_equal(system(command), 0);
		usleep(1100000); /* it is looked for once a second */
		put(o, 10, 0, 0);
		for (int k = 0; k < 1000 && !outbox_sync(o); k++)
			usleep(5000);
		assert_true(outbox_sync(o));
		outbox_close(o);
		o = open_with(64 << 20, OUTBOX_SYNC_NEVER, OUTBOX_DAMAGED_REFUSE); /* all of it is there */
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
		struct outbox *o = open_with(
			64 << 20, kind % 2 ? OUTBOX_SYNC_NEVER : OUTBOX_SYNC_INTERVAL, OUTBOX_DAMAGED_ASIDE);
		for (unsigned n = 0; n < 3000; n++)
			put(o, random_length(), n, n);
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

/* The power goes: of what was written after the last flush, the disk has any part. */
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
		setenv("T2M_BOOT_ID", "before", 1);
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
		setenv("T2M_BOOT_ID", "after", 1);
		o = open_with(64 << 20, OUTBOX_SYNC_INTERVAL, OUTBOX_DAMAGED_REFUSE);
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
	snprintf(directory, sizeof(directory), "%s/test_store.XXXXXX",
		getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (mkdtemp(directory) == NULL)
		return 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_state_is_fine),
		cmocka_unit_test(test_killed_at_any_moment),
		cmocka_unit_test(test_mutated_files),
		cmocka_unit_test(test_damaged_is_refused_or_moved_aside),
		cmocka_unit_test(test_what_is_in_the_way),
		cmocka_unit_test(test_mutated_readers),
		cmocka_unit_test(test_taken_away_while_in_use),
		cmocka_unit_test(test_cut_while_in_use),
		cmocka_unit_test(test_power_cut),
	};
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	char command[300];
	snprintf(command, sizeof(command), "rm -rf '%s'", directory);
	return system(command) != 0 ? 1 : rc;
}
