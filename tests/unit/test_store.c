// SPDX-License-Identifier: MIT
/* test_store: what is examined before LMDB opens it: every state that the outbox can write is found fine, whatever came before; what
 * is damaged is refused or moved aside and never ends the process. */
#include "outbox_harness.h"
#include "bridge/outbox/store_private.h"

#include <sys/wait.h>

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
	many_states(OUTBOX_SYNC_NEVER, states_wanted(600));
	many_states(OUTBOX_SYNC_INTERVAL, states_wanted(300));
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
		put(o, random_length(), "unit", i);
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
		struct outbox *o = try_open(64 << 20, OUTBOX_SYNC_NEVER, OUTBOX_DAMAGED_REFUSE);
		*(o != NULL ? &opened : &refused) += 1;
		if (o != NULL)
			use(o);
	}
	print_message("%u opened, %u refused\n", opened, refused);
	assert_true(refused > rounds / 4 && opened > 0);
	free(good);
	free(bad);
}

/* --- room --- */

/* A size that leaves no number for the map, or no address space, does not fit; nothing is left mapped by the question. */
static void test_which_sizes_fit(void **state)
{
	(void)state;
	static const uint64_t too_much[] = {UINT64_C(1) << 47, UINT64_C(1) << 61, UINT64_C(1) << 62,
		(UINT64_C(1) << 63) - (64u << 20), UINT64_C(1) << 63, UINT64_MAX};
	assert_true(store_fits(0));
	for (unsigned i = 0; i < 1000; i++)
		assert_true(store_fits(UINT64_C(256) << 20));
	for (size_t i = 0; i < sizeof(too_much) / sizeof(too_much[0]); i++)
		assert_false(store_fits(too_much[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_state_is_fine),
		cmocka_unit_test(test_killed_at_any_moment),
		cmocka_unit_test(test_mutated_files),
		cmocka_unit_test(test_which_sizes_fit),
	};
	return RUN_IN_DIRECTORY("test_store", tests);
}
