// SPDX-License-Identifier: MIT
/* test_assembly: messages in parts: what belongs together, what is given up, who pays. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>

#define MEMORY (1u << 20)

static const uint8_t home[16] = {10}, abroad[16] = {20};

struct bench {
	struct assembly *assembly;
	struct codec_parts out;
	const uint8_t *address;
	bool known;
	int64_t now_ms;
};

static struct bench bench(void)
{
	return (struct bench){.assembly = assembly_open(MEMORY), .address = home, .now_ms = 1000};
}

static void done(struct bench *b)
{
	assembly_tidy(b->assembly, INT64_MAX);
	assert_int_equal(assembly_bytes(b->assembly), 0);
	assembly_free(b->assembly);
}

/* Part `number` of `total` of message 0x0900 of this unit. */
static enum codec_status add(
	struct bench *b, const char *ident, uint16_t number, uint16_t total, uint16_t serial, struct span body)
{
	const struct assembly_from from = {ident, b->address, b->known};
	const struct codec_part part = {0x0900, total, number, serial, body};
	return assembly_add(b->assembly, &from, 32, &part, b->now_ms, &b->out);
}

static enum codec_status text(
	struct bench *b, const char *ident, uint16_t number, uint16_t total, uint16_t serial, const char *body)
{
	return add(b, ident, number, total, serial, span_text(body));
}

static void expect_whole(struct bench *b, const char *want)
{
	if (!span_is(b->out.whole, want))
		fail_msg("want %s, got %.*s", want, (int)b->out.whole.len, (const char *)b->out.whole.ptr);
}

static void test_any_order(void **state)
{
	(void)state;
	struct bench b = bench();
	assert_int_equal(text(&b, "1", 3, 3, 12, "cc"), CODEC_MORE);
	assert_int_equal(text(&b, "1", 1, 3, 10, "aa"), CODEC_MORE);
	assert_int_equal(text(&b, "2", 2, 3, 99, "of another unit"), CODEC_MORE);
	assert_int_equal(text(&b, "1", 2, 4, 99, "of another total"), CODEC_MORE);
	assert_int_equal(text(&b, "1", 2, 3, 11, "bb"), CODEC_OK);
	expect_whole(&b, "aabbcc");
	for (uint16_t i = 0; i < 3; i++)
		assert_int_equal(b.out.serials[i], 10 + i);
	assembly_settle(b.assembly, CODEC_OK);
	done(&b);
}

static void test_numbers_that_lie(void **state)
{
	(void)state;
	struct bench b = bench();
	assert_int_equal(text(&b, "1", 0, 3, 1, "x"), CODEC_BAD_LENGTH);
	assert_int_equal(text(&b, "1", 4, 3, 1, "x"), CODEC_BAD_LENGTH);
	assert_int_equal(text(&b, "1", 1, 33, 1, "x"), CODEC_OVERSIZE);
	assert_int_equal(text(&b, "1", 65535, 65535, 1, "x"), CODEC_OVERSIZE);
	assert_int_equal(assembly_bytes(b.assembly), 0);
	done(&b);
}

/* Parts of an older message are never mixed with those of a newer one. */
static void test_a_contradiction_starts_anew(void **state)
{
	(void)state;
	struct bench b = bench();
	text(&b, "1", 1, 3, 10, "a1");
	text(&b, "1", 2, 3, 11, "a2");
	assert_int_equal(text(&b, "1", 1, 3, 20, "b1"), CODEC_MORE);
	assert_int_equal(text(&b, "1", 3, 3, 22, "b3"), CODEC_MORE);
	assert_int_equal(b.out.missing_count, 1);
	assert_int_equal(b.out.missing[0], 2);
	assert_int_equal(text(&b, "1", 2, 3, 23, "b2"), CODEC_OK);
	expect_whole(&b, "b1b2b3");
	assembly_settle(b.assembly, CODEC_OK);
	/* another body under a later number, its part 1 being lost */
	text(&b, "1", 1, 4, 30, "c1");
	text(&b, "1", 2, 4, 31, "c2");
	text(&b, "1", 3, 4, 32, "c3");
	assert_int_equal(text(&b, "1", 2, 4, 41, "d2"), CODEC_MORE);
	assert_int_equal(text(&b, "1", 4, 4, 44, "d4"), CODEC_MORE);
	assert_int_equal(b.out.missing_count, 2);
	assert_int_equal(b.out.missing[0], 1);
	assert_int_equal(b.out.missing[1], 3);
	assert_int_equal(b.out.first_serial, 40);
	assert_int_equal(text(&b, "1", 3, 4, 42, "d3"), CODEC_MORE);
	assert_int_equal(text(&b, "1", 1, 4, 45, "d1"), CODEC_OK);
	expect_whole(&b, "d1d2d3d4");
	assembly_settle(b.assembly, CODEC_OK);
	/* a single part of an older message, before a whole newer one */
	text(&b, "1", 2, 3, 49, "old");
	assert_int_equal(text(&b, "1", 1, 3, 45, "g1"), CODEC_MORE);
	assert_int_equal(text(&b, "1", 2, 3, 46, "g2"), CODEC_MORE);
	assert_int_equal(text(&b, "1", 3, 3, 47, "g3"), CODEC_OK);
	expect_whole(&b, "g1g2g3");
	assembly_settle(b.assembly, CODEC_OK);
	/* part 1 that nobody asked for, sent later than a part that is kept */
	text(&b, "1", 2, 3, 51, "e2");
	assert_int_equal(text(&b, "1", 1, 3, 60, "f1"), CODEC_MORE);
	assert_int_equal(text(&b, "1", 3, 3, 62, "f3"), CODEC_MORE);
	assert_int_equal(b.out.missing[0], 2);
	assert_int_equal(assembly_tidy(b.assembly, b.now_ms), 4);
	done(&b);
}

static void test_what_is_missing_is_asked_for(void **state)
{
	(void)state;
	struct bench b = bench();
	assert_int_equal(text(&b, "1", 4, 4, 13, "d"), CODEC_MORE); /* the last part */
	assert_int_equal(b.out.missing_count, 3);
	assert_int_equal(b.out.first_serial, 10);
	b.now_ms += 999; /* not at once again */
	text(&b, "1", 4, 4, 13, "d");
	assert_int_equal(b.out.missing_count, 0);
	b.now_ms += 1;
	text(&b, "1", 1, 4, 20, "a");
	assert_int_equal(b.out.missing_count, 0);
	text(&b, "1", 1, 4, 20, "a"); /* it comes again: the unit waits */
	assert_int_equal(b.out.missing_count, 2);
	assert_int_equal(b.out.first_serial, 20);
	assert_int_equal(text(&b, "1", 2, 4, 21, "b"), CODEC_MORE);
	assert_int_equal(text(&b, "1", 3, 4, 22, "c"), CODEC_OK);
	expect_whole(&b, "abcd");
	assembly_settle(b.assembly, CODEC_OK);
	done(&b);
}

static void test_a_known_part_comes_again(void **state)
{
	(void)state;
	struct bench b = bench();
	text(&b, "1", 1, 2, 10, "a");
	assert_int_equal(text(&b, "1", 2, 2, 11, "b"), CODEC_OK);
	assembly_settle(b.assembly, CODEC_BAD_LATITUDE);
	size_t held = assembly_bytes(b.assembly);
	b.address = abroad;
	assert_int_equal(text(&b, "1", 2, 2, 11, "b"), CODEC_FRAGMENT);
	assert_int_equal(b.out.ended, CODEC_BAD_LATITUDE);
	assert_int_equal(assembly_bytes(b.assembly), held);
	/* neither another unit's, nor another message's with the same body or the same serial number */
	assert_int_equal(text(&b, "2", 2, 2, 11, "b"), CODEC_MORE);
	assert_int_equal(text(&b, "1", 2, 2, 12, "b"), CODEC_MORE);
	assert_int_equal(text(&b, "1", 2, 2, 11, "c"), CODEC_MORE);
	/* and not for ever */
	b.now_ms += 5 * 60 * 1000 + 1;
	assembly_tidy(b.assembly, b.now_ms);
	assert_int_equal(assembly_bytes(b.assembly), 0);
	assert_int_equal(text(&b, "1", 2, 2, 11, "b"), CODEC_MORE);
	done(&b);
}

static void test_what_was_refused_stays(void **state)
{
	(void)state;
	struct bench b = bench();
	text(&b, "1", 1, 2, 10, "a");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(text(&b, "1", 2, 2, 11, "b"), CODEC_OK);
		expect_whole(&b, "ab");
		assembly_settle(b.assembly, CODEC_REFUSED);
	}
	assert_int_equal(text(&b, "1", 1, 2, 10, "a"), CODEC_OK);
	assembly_settle(b.assembly, CODEC_OK);
	assert_int_equal(text(&b, "1", 1, 2, 10, "a"), CODEC_FRAGMENT);
	done(&b);
}

static void test_nothing_stays_for_ever(void **state)
{
	(void)state;
	struct bench b = bench();
	char ident[16];
	for (int i = 0; i < 100; i++) {
		snprintf(ident, sizeof(ident), "%d", i);
		text(&b, ident, 1, 2, 10, "a");
		b.now_ms += 1000;
	}
	assert_int_equal(assembly_tidy(b.assembly, b.now_ms), 0);
	b.now_ms += 5 * 60 * 1000 - 50 * 1000;
	assert_int_equal(assembly_tidy(b.assembly, b.now_ms), 50);
	assert_int_equal(assembly_tidy(b.assembly, b.now_ms + 50 * 1000), 50);
	assert_int_equal(assembly_bytes(b.assembly), 0);
	done(&b);
}

/* Fills the share of the address at hand with unfinished messages. */
static void fill(struct bench *b, unsigned first_ident)
{
	static uint8_t body[1000];
	char ident[16];
	for (unsigned i = 0; i < 50; i++)
		for (uint16_t n = 1; n < 32; n++) {
			snprintf(ident, sizeof(ident), "%u", first_ident + i);
			enum codec_status status = add(b, ident, n, 32, n, span_of(body, sizeof(body)));
			assert_true(status == CODEC_MORE || status == CODEC_NO_ROOM);
			assert_true(assembly_bytes(b->assembly) <= MEMORY);
		}
}

static void expect_long_message(struct bench *b, const char *ident)
{
	static const uint8_t body[1000];
	for (uint16_t n = 1; n < 32; n++)
		assert_int_equal(add(b, ident, n, 32, n, span_of(body, sizeof(body))), CODEC_MORE);
	assert_int_equal(add(b, ident, 32, 32, 32, span_of(body, sizeof(body))), CODEC_OK);
	assert_int_equal(b->out.whole.len, 32000);
	assembly_settle(b->assembly, CODEC_OK);
}

static void test_the_memory_is_shared_by_address(void **state)
{
	(void)state;
	struct bench b = bench();
	assert_int_equal(text(&b, "1", 1, 2, 10, "before"), CODEC_MORE);
	uint8_t stranger[16] = {1};
	for (uint8_t n = 1; n <= 14; n++) {
		stranger[15] = n;
		b.address = stranger;
		fill(&b, 1000 + n * 100u);
		assert_true(assembly_bytes(b.assembly) < MEMORY * 3 / 4);
		if (n == 1)
			assert_true(assembly_bytes(b.assembly) <= MEMORY * 3 / 8);
	}
	assert_true(assembly_bytes(b.assembly) > MEMORY / 2);
	b.address = home;
	assert_int_equal(text(&b, "1", 2, 2, 11, "after"), CODEC_OK);
	expect_whole(&b, "beforeafter");
	assembly_settle(b.assembly, CODEC_OK);
	expect_long_message(&b, "1");
	/* a unit of the units file has its place although its address is that of a stranger, and full */
	b.address = stranger;
	b.known = true;
	expect_long_message(&b, "2");
	done(&b);
}

/* However many come: those that hold much give way to those that hold little. */
static void test_no_number_of_addresses_takes_all(void **state)
{
	(void)state;
	struct bench b = bench();
	uint8_t stranger[16] = {1};
	char ident[16];
	for (unsigned n = 1; n <= 5000; n++) {
		memcpy(stranger + 8, &n, sizeof(n));
		b.address = stranger;
		snprintf(ident, sizeof(ident), "%u", 1000 + n);
		text(&b, ident, 1, 2, 10, "a");
		text(&b, ident, 1, 3, 10, "a");
		text(&b, ident, 1, 4, 10, "a");
		assert_true(assembly_bytes(b.assembly) <= MEMORY);
	}
	b.address = home;
	b.known = true;
	expect_long_message(&b, "1");
	b.known = false;
	b.now_ms += 10000; /* one that has been left alone gives way */
	assert_int_equal(text(&b, "2", 1, 2, 10, "a"), CODEC_MORE);
	assert_int_equal(text(&b, "2", 2, 2, 11, "b"), CODEC_OK);
	expect_whole(&b, "ab");
	assembly_settle(b.assembly, CODEC_OK);
	done(&b);
}

/* Behind one address the newest message gets its place, at the cost of the oldest. */
static void test_within_an_address_the_oldest_goes(void **state)
{
	(void)state;
	struct bench b = bench();
	text(&b, "1", 1, 2, 10, "a");
	fill(&b, 1000);
	assert_int_equal(text(&b, "2", 1, 2, 10, "c"), CODEC_MORE);
	assert_int_equal(text(&b, "2", 2, 2, 11, "d"), CODEC_OK);
	expect_whole(&b, "cd");
	assembly_settle(b.assembly, CODEC_OK);
	assert_int_equal(text(&b, "1", 2, 2, 11, "b"), CODEC_MORE); /* its first part has gone */
	assert_true(assembly_tidy(b.assembly, b.now_ms) > 0);
	done(&b);
}

/* Who names another's unit can neither throw out its parts nor make it pay. */
static void test_a_stranger_with_the_same_ident(void **state)
{
	(void)state;
	struct bench b = bench();
	static const uint8_t body[1000];
	text(&b, "1", 1, 3, 10, "a");
	text(&b, "1", 2, 3, 11, "b");
	b.address = abroad;
	for (uint16_t n = 0; n < 1000; n++) {
		assert_int_equal(text(&b, "1", 1, 3, (uint16_t)(500 + n), n % 2 ? "x" : "y"), CODEC_MORE);
		assert_true(add(&b, "1", (uint16_t)(1 + n % 20), (uint16_t)(21 + n % 11), n,
				    span_of(body, sizeof(body))) == CODEC_MORE);
	}
	fill(&b, 1000);
	b.address = home;
	assert_int_equal(text(&b, "1", 3, 3, 12, "c"), CODEC_OK);
	expect_whole(&b, "abc");
	assembly_settle(b.assembly, CODEC_OK);
	done(&b);
}

static void test_a_unit_that_moves_goes_on(void **state)
{
	(void)state;
	struct bench b = bench();
	text(&b, "1", 1, 3, 10, "a");
	b.address = abroad;
	assert_int_equal(text(&b, "1", 2, 3, 11, "b"), CODEC_MORE);
	b.address = home;
	fill(&b, 1000); /* the message has moved as well */
	b.address = abroad;
	assert_int_equal(text(&b, "1", 3, 3, 12, "c"), CODEC_OK);
	expect_whole(&b, "abc");
	assembly_settle(b.assembly, CODEC_OK);
	done(&b);
}

/* --- messages of which the rest does not come --- */

struct asked {
	unsigned times, missing;
	uint16_t first_serial, number[8];
	char ident[CODEC_IDENT_MAX + 1];
	uint8_t address;
	bool refuse;
};

static bool on_ask(void *ctx, const char *ident, const uint8_t *address, const struct codec_parts *missing)
{
	struct asked *got = ctx;
	if (got->refuse)
		return false;
	got->times++;
	got->missing = (unsigned)missing->missing_count;
	got->first_serial = missing->first_serial;
	for (unsigned i = 0; i < got->missing && i < 8; i++)
		got->number[i] = missing->missing[i];
	strcpy(got->ident, ident);
	got->address = address[0];
	return true;
}

/* So many seconds go by, one after the other. */
static void seconds(struct bench *b, struct asked *got, unsigned count)
{
	while (count-- > 0) {
		b->now_ms += 1000;
		assembly_ask_late(b->assembly, on_ask, got, b->now_ms);
	}
}

static void test_the_rest_is_asked_for(void **state)
{
	(void)state;
	struct bench b = bench();
	struct asked got = {0};
	assert_int_equal(text(&b, "1", 1, 4, 10, "aa"), CODEC_MORE);
	assert_int_equal(text(&b, "1", 3, 4, 12, "cc"), CODEC_MORE);
	seconds(&b, &got, 9);
	assert_int_equal(got.times, 0);
	assert_int_equal(text(&b, "1", 1, 4, 10, "aa"), CODEC_MORE); /* it is still sending */
	seconds(&b, &got, 9);
	assert_int_equal(got.times, 0);
	seconds(&b, &got, 1);
	assert_int_equal(got.times, 1);
	assert_int_equal(got.missing, 2);
	assert_int_equal(got.number[0], 2);
	assert_int_equal(got.number[1], 4);
	assert_int_equal(got.first_serial, 10);
	assert_string_equal(got.ident, "1");
	assert_int_equal(got.address, home[0]);
	assert_int_equal(text(&b, "1", 2, 4, 11, "bb"), CODEC_MORE);
	assert_int_equal(text(&b, "1", 4, 4, 13, "dd"), CODEC_OK);
	expect_whole(&b, "aabbccdd");
	assembly_settle(b.assembly, CODEC_OK);
	seconds(&b, &got, 200);
	assert_int_equal(got.times, 1);
	done(&b);
}

static void test_the_rest_is_asked_for_a_few_times(void **state)
{
	(void)state;
	for (unsigned known = 0; known < 2; known++) {
		struct bench b = bench();
		struct asked got = {.refuse = true};
		b.known = known;
		assert_int_equal(text(&b, "1", 1, 3, 10, "aa"), CODEC_MORE);
		seconds(&b, &got, 60); /* the unit is not there */
		assert_int_equal(got.times, 0);
		got.refuse = false;
		seconds(&b, &got, 10);
		assert_int_equal(got.times, 1);
		seconds(&b, &got, 200);
		assert_int_equal(got.times, 3);
		assert_int_equal(
			text(&b, "1", 2, 3, 11, "bb"), CODEC_MORE); /* no more because of another part */
		seconds(&b, &got, 200);
		assert_int_equal(got.times, 3);
		done(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_order),
		cmocka_unit_test(test_numbers_that_lie),
		cmocka_unit_test(test_a_contradiction_starts_anew),
		cmocka_unit_test(test_what_is_missing_is_asked_for),
		cmocka_unit_test(test_a_known_part_comes_again),
		cmocka_unit_test(test_what_was_refused_stays),
		cmocka_unit_test(test_nothing_stays_for_ever),
		cmocka_unit_test(test_the_memory_is_shared_by_address),
		cmocka_unit_test(test_no_number_of_addresses_takes_all),
		cmocka_unit_test(test_within_an_address_the_oldest_goes),
		cmocka_unit_test(test_a_stranger_with_the_same_ident),
		cmocka_unit_test(test_a_unit_that_moves_goes_on),
		cmocka_unit_test(test_the_rest_is_asked_for),
		cmocka_unit_test(test_the_rest_is_asked_for_a_few_times),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
