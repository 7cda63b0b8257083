// SPDX-License-Identifier: MIT
/* test_sending: what the broker refuses waits in order and comes again, while others go on; what it can never take is set aside and
 * can be seen; the message at which a broker closes the connection is found, and no other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bridge/base/clock.h"
#include "bridge/base/log.h"
#include "bridge/outbox/outbox.h"
#include "bridge/base/reason.h"
#include "bridge/outbox/store.h"
#include "bridge/broker/suspect.h"

static char directory[256];

static struct outbox *open_outbox(const char *name, size_t size)
{
	char path[300] = "", why[400];
	if (*name != '\0')
		snprintf(path, sizeof(path), "%s/%s", directory, name);
	const struct outbox_options options = {.path = path, .size = size, .sync = OUTBOX_SYNC_NEVER};
	struct outbox *o = outbox_open(&options, why, sizeof(why));
	if (o == NULL)
		fail_msg("%s", why);
	return o;
}

static uint64_t put(struct outbox *o, uint64_t order, size_t length)
{
	static uint8_t payload[100000];
	const struct outbox_message m = {
		.topic = span_text("t/x"), .payload = span_of(payload, length), .order = order, .put_ms = 1};
	return outbox_put(o, &m);
}

static void rest_ms(long ms)
{
	const struct timespec t = {ms / 1000, ms % 1000 * 1000000};
	nanosleep(&t, NULL);
}

/* --- lanes --- */

/* Gives out until the message of this number comes, or long enough; all others are taken. */
static bool comes(struct outbox *o, uint64_t number)
{
	struct outbox_message m;
	for (int i = 0; i < 4000; i++) {
		while (outbox_next(o, &m)) {
			if (m.seqnum == number)
				return true;
			outbox_taken(o, m.seqnum, m.order);
		}
		rest_ms(1);
	}
	return false;
}

static void refused_in(const char *name)
{
	enum { UNITS = 5, EACH = 40, BAD = 2 };
	struct outbox *o = open_outbox(name, 8 << 20);
	struct outbox_message m;
	uint64_t number[UNITS][EACH], last = 0;
	for (unsigned i = 0; i < EACH; i++)
		for (unsigned u = 0; u < UNITS; u++)
			number[u][i] = put(o, u, 50);
	assert_true(outbox_sync(o));
	unsigned taken = 0, seen = 0;
	while (outbox_next(o, &m)) { /* the bad one's are refused, those that were on their way, too */
		if (m.order == BAD) {
			assert_int_equal(m.seqnum, number[BAD][0]);
			outbox_refused(o, m.seqnum, m.order, false);
			seen++;
		} else {
			outbox_taken(o, m.seqnum, m.order);
			taken++;
		}
	}
	assert_int_equal(taken, (UNITS - 1) * EACH);
	assert_int_equal(seen, 1);
	assert_int_equal(outbox_held(o), EACH);
	outbox_rewind(o); /* a new connection changes nothing of that */
	assert_true(comes(o, number[BAD][0]));
	outbox_refused(o, number[BAD][0], BAD, false);
	uint64_t behind = put(o, BAD, 50); /* a new one waits behind them */
	assert_true(outbox_sync(o));
	assert_true(comes(o, number[BAD][0]));
	outbox_taken(o, number[BAD][0], BAD);
	for (unsigned i = 1; i < EACH; i++) { /* in order, each once */
		assert_true(outbox_next(o, &m));
		assert_int_equal(m.seqnum, number[BAD][i]);
		assert_true(m.seqnum > last);
		last = m.seqnum;
		outbox_taken(o, m.seqnum, m.order);
	}
	assert_true(outbox_next(o, &m));
	assert_int_equal(m.seqnum, behind);
	outbox_taken(o, behind, BAD);
	assert_false(outbox_next(o, &m));
	assert_int_equal(outbox_held(o), 0);
	assert_int_equal(outbox_count(o), 0);
	outbox_close(o);
}

static void test_refused(void **state)
{
	(void)state;
	refused_in("");
	refused_in("refused");
}

/* Refused in the midst of a sweep, and put off: it comes again, and nothing is lost or out of order. */
static void test_refused_again_and_again(void **state)
{
	(void)state;
	enum { UNITS = 50, EACH = 20 };
	struct outbox *o = open_outbox("again", 8 << 20);
	struct outbox_message m;
	static uint64_t newest[UNITS];
	unsigned taken = 0, rounds = 0;
	srandom(7);
	for (unsigned i = 0; i < UNITS * EACH; i++)
		assert_true(put(o, i % UNITS, 50) != 0);
	assert_true(outbox_sync(o));
	for (; taken < UNITS * EACH && rounds < 20000; rounds++) {
		if (!outbox_next(o, &m)) {
			rest_ms(2);
			continue;
		}
		if (random() % 5 == 0) {
			outbox_postpone(o, random() % 2 * 5);
		} else if (random() % 150 == 0) {
			outbox_refused(o, m.seqnum, m.order, false);
		} else {
			assert_true(m.seqnum > newest[m.order]);
			newest[m.order] = m.seqnum;
			outbox_taken(o, m.seqnum, m.order);
			taken++;
		}
		if (random() % 200 == 0)
			outbox_rewind(o);
	}
	assert_int_equal(taken, UNITS * EACH);
	assert_int_equal(outbox_count(o), 0);
	outbox_close(o);
}

/* A broker that refuses everything, and 100,000 units: all waits in little memory, and little is asked. */
static void test_all_refused(void **state)
{
	(void)state;
	enum { UNITS = 100000 };
	struct outbox *o = open_outbox("all", 64 << 20);
	struct outbox_message m;
	unsigned asked = 0;
	for (unsigned i = 0; i < UNITS; i++)
		assert_true(put(o, i * 2654435761u, 20) != 0);
	assert_true(outbox_sync(o));
	while (outbox_next(o, &m) || outbox_more(o)) {
		outbox_refused(o, m.seqnum, m.order, false);
		asked++;
		if (asked > UNITS + 2000)
			break;
	}
	assert_in_range(asked, UNITS, UNITS + 2000);
	assert_int_equal(outbox_held(o), UNITS);
	clock_t cpu = clock();
	unsigned again = 0;
	int64_t began_ms = clock_steady_ms();
	for (int i = 0; i < 1000; i++) { /* two seconds of turns; more on a busy machine */
		while (outbox_next(o, &m)) {
			outbox_refused(o, m.seqnum, m.order, false);
			again++;
		}
		rest_ms(2);
	}
	assert_in_range(again, 1, (clock_steady_ms() - began_ms) / 5 + 20); /* 200 a second, and 20 at once */
	printf("asked again %u times, %.0f ms of CPU in 1000 turns\n", again,
		(double)(clock() - cpu) * 1000 / CLOCKS_PER_SEC);
	assert_int_equal(outbox_count(o), UNITS);
	outbox_close(o);
}

/* --- set aside --- */

static void test_set_aside_is_bounded(void **state)
{
	(void)state;
	enum { SIZE = 16 << 20, LENGTH = 50000, COUNT = 100 }; /* a sixteenth: 20 of them */
	struct outbox *o = open_outbox("aside", SIZE);
	struct outbox_message m;
	char path[300], line[400];
	for (unsigned i = 0; i < COUNT; i++)
		assert_true(put(o, i, LENGTH) != 0);
	assert_true(outbox_sync(o));
	unsigned count = 0;
	while (outbox_next(o, &m)) {
		outbox_set_aside(o, m.seqnum, m.order, REASON_TOO_LARGE, 1600000000000);
		count++;
	}
	outbox_settle(o);
	assert_int_equal(count, COUNT);
	assert_int_equal(outbox_count(o), 0);
	assert_int_equal(outbox_bytes(o), 0);
	outbox_rewind(o);
	assert_false(outbox_next(o, &m));
	outbox_close(o);
	o = open_outbox("aside", SIZE); /* and it opens again */
	assert_false(outbox_next(o, &m));
	outbox_close(o);
	snprintf(path, sizeof(path), "%s/aside", directory);
	snprintf(line, sizeof(line), "%s/status", directory);
	fflush(stdout);
	int out = dup(1);
	assert_non_null(freopen(line, "w", stdout));
	int rc = store_print_status(path);
	fflush(stdout);
	dup2(out, 1);
	close(out);
	assert_int_equal(rc, 0);
	FILE *f = fopen(line, "r");
	static char text[4096];
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	assert_non_null(strstr(text, "set aside: 20\n"));
	assert_non_null(strstr(text, "deleted for want of room: 80\n"));
	assert_non_null(strstr(text,
		"set aside: 2020-09-13T12:26:40Z, number 100, 50000 bytes for t/x: Packet too large (0x95)\n"));
}

/* --- retained --- */

static uint64_t put_position(struct outbox *o, int64_t when)
{
	const struct outbox_message m = {.topic = span_text("t/1/position"),
		.payload = span_text("{}"),
		.order = outbox_order(o, span_text("1")),
		.retain = true,
		.retain_if_newest = true,
		.memory_key = span_text("1"),
		.memory_value = when};
	return outbox_put(o, &m);
}

static void test_only_the_newest_is_retained(void **state)
{
	(void)state;
	struct outbox *o = open_outbox("newest", 1 << 20);
	struct outbox_message m;
	for (int64_t i = 1; i <= 5; i++)
		put_position(o, i * 1000);
	assert_true(outbox_sync(o));
	for (int round = 0; round < 2; round++, outbox_rewind(o))
		for (unsigned i = 1; i <= 5; i++) {
			assert_true(outbox_next(o, &m));
			assert_int_equal(m.retain, i == 5);
		}
	uint64_t order = outbox_order(o, span_text("1"));
	outbox_close(o);
	o = open_outbox("newest", 1 << 20);
	assert_true(outbox_order(o, span_text("1")) == order); /* the same over restarts */
	assert_true(outbox_order(o, span_text("2")) != order);
	for (unsigned i = 1; i <= 5; i++) {
		assert_true(outbox_next(o, &m));
		assert_int_equal(m.retain, i == 5);
	}
	/* the newest one has gone; an older one that was forgotten by the broker comes later */
	for (uint64_t i = 2; i <= 5; i++)
		outbox_taken(o, i, order);
	outbox_rewind(o);
	assert_true(outbox_next(o, &m));
	assert_int_equal(m.seqnum, 1);
	assert_false(m.retain);
	outbox_close(o);
	struct outbox *other = open_outbox("other", 1 << 20);
	assert_true(outbox_order(other, span_text("1")) != order); /* a key of its own */
	outbox_close(other);
}

/* --- suspects --- */

static enum suspect_verdict broke(
	struct suspects *s, bool sure, uint64_t *which, size_t count, const uint64_t *numbers)
{
	uint64_t copy[8];
	memcpy(copy, numbers, count * sizeof(*copy));
	return suspects_broke(s, copy, count, sure, which);
}

static void test_suspects(void **state)
{
	(void)state;
	struct suspects s = {0};
	uint64_t which = 0;
	/* in the midst of others, which are not the same each time */
	assert_int_equal(broke(&s, true, &which, 4, (uint64_t[]){9, 3, 7, 5}), SUSPECT_UNKNOWN);
	assert_false(suspects_alone(&s, 7));
	assert_int_equal(broke(&s, true, &which, 3, (uint64_t[]){12, 7, 11}), SUSPECT_UNKNOWN);
	assert_true(suspects_alone(&s, 7));
	assert_false(suspects_alone(&s, 12));
	assert_int_equal(broke(&s, true, &which, 1, (uint64_t[]){7}), SUSPECT_UNKNOWN);
	assert_int_equal(broke(&s, true, &which, 1, (uint64_t[]){7}), SUSPECT_FOUND);
	assert_int_equal(which, 7);
	assert_false(suspects_alone(&s, 7));
	/* an answer clears it */
	suspects_answered(&s, 3, true);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(broke(&s, true, &which, 1, (uint64_t[]){9}), SUSPECT_UNKNOWN);
		suspects_answered(&s, 9, true);
	}
	suspects_clear(&s);
}

static void test_suspects_of_a_bad_broker(void **state)
{
	(void)state;
	struct suspects s = {0};
	uint64_t which = 0;
	/* nothing was taken before on those connections: it is not found, others are tried */
	for (int i = 0; i < 2; i++)
		assert_int_equal(broke(&s, false, &which, 1, (uint64_t[]){5}), SUSPECT_UNKNOWN);
	for (int i = 0; i < 20; i++)
		assert_int_equal(broke(&s, false, &which, 1, (uint64_t[]){5}), SUSPECT_WAITS);
	suspects_clear(&s);
	/* all messages seem bad: after some it is the broker */
	unsigned found = 0;
	for (uint64_t n = 1; n < 100; n++)
		for (int i = 0; i < 3; i++)
			found += broke(&s, true, &which, 1, &n) == SUSPECT_FOUND;
	assert_int_equal(found, SUSPECT_ROW);
	suspects_answered(&s, 1000, true); /* one was taken: they may be found again */
	assert_int_equal(broke(&s, true, &which, 1, (uint64_t[]){99}), SUSPECT_FOUND);
	suspects_clear(&s);
}

/* --- reasons --- */

static void test_reasons(void **state)
{
	(void)state;
	char text[100];
	for (int code = 0; code < 0x100; code++) {
		enum reason_verdict v = reason_find(code)->verdict;
		assert_int_equal(v == REASON_TAKEN, code < 0x80);
		assert_int_equal(v == REASON_NEVER, code == 0x90 || code == 0x95 || code == 0x99);
	}
	reason_text(0x87, text, sizeof(text));
	assert_string_equal(text, "Not authorized (0x87)");
	reason_cure("allow {user} to write {topic}!", "joe", "t/#", text, sizeof(text));
	assert_string_equal(text, "allow joe to write t/#!");
	reason_cure("{user}{user}", "0123456789", "", text, 15);
	assert_string_equal(text, "01234567890123");
}

static int remove_directory(void **state)
{
	(void)state;
	char command[300];
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	return system(command);
}

int main(void)
{
	log_open(LOG_LEVEL_ERROR);
	snprintf(directory, sizeof(directory), "%s/test_sending.XXXXXX",
		getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (mkdtemp(directory) == NULL)
		return 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_refused_again_and_again),
		cmocka_unit_test(test_all_refused),
		cmocka_unit_test(test_set_aside_is_bounded),
		cmocka_unit_test(test_only_the_newest_is_retained),
		cmocka_unit_test(test_suspects),
		cmocka_unit_test(test_suspects_of_a_bad_broker),
		cmocka_unit_test(test_reasons),
	};
	return cmocka_run_group_tests(tests, NULL, remove_directory);
}
