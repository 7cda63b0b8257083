// SPDX-License-Identifier: MIT
/* test_parts: what a JT/T 808 unit is answered to the parts of a message, and to batches. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>

static size_t put_part(
	uint8_t out[1200], uint16_t id, uint16_t serial, uint16_t number, uint16_t total, struct span body)
{
	uint8_t raw[1100], check = 0;
	struct writer w = writer_of(raw, sizeof(raw)), o = writer_of(out, 1200);
	writer_u16(&w, id);
	writer_u16(&w, (uint16_t)(body.len | 0x2000));
	writer_bytes(&w, "\x01\x39\x12\x34\x56\x78", 6);
	writer_u16(&w, serial);
	writer_u16(&w, total);
	writer_u16(&w, number);
	writer_span_put(&w, body);
	for (size_t i = 0; i < w.len; i++)
		check ^= raw[i];
	writer_u8(&w, check);
	writer_u8(&o, 0x7e);
	for (size_t i = 0; i < w.len; i++) {
		bool escape = raw[i] == 0x7e || raw[i] == 0x7d;
		writer_u8(&o, escape ? 0x7d : raw[i]);
		if (escape)
			writer_u8(&o, raw[i] == 0x7d ? 1 : 2);
	}
	writer_u8(&o, 0x7e);
	assert_false(o.full);
	return o.len;
}

static void play(
	struct player *p, uint16_t id, uint16_t serial, uint16_t number, uint16_t total, struct span body)
{
	uint8_t frame[1200];
	player_feed(p, span_of(frame, put_part(frame, id, serial, number, total, body)), 0);
}

/* The last answer but `back`, from its message id to the check code, without the phone and our serial number. */
static void expect_answer(const struct player *p, size_t back, const char *id, const char *body)
{
	char got[200];
	assert_true(p->got.sends > back);
	const char *hex = p->got.sent[p->got.sends - 1 - back];
	snprintf(got, sizeof(got), "%.4s %.*s", hex + 2, (int)strlen(hex) - 26 - 4, hex + 26);
	char want[200];
	snprintf(want, sizeof(want), "%s %s", id, body);
	assert_string_equal(got, want);
}

static const struct span nothing;

/* Batches: whole items in each part, or cut anywhere. */
static struct span batch_of(uint8_t *buf, size_t items)
{
	struct writer w = writer_of(buf, 4096);
	writer_u16(&w, (uint16_t)items);
	writer_u8(&w, 1);
	for (size_t i = 0; i < items; i++) {
		writer_u16(&w, 28);
		writer_u32(&w, 0);
		writer_u32(&w, 3);
		writer_u32(&w, 22500000);
		writer_u32(&w, 114000000);
		writer_bytes(&w, "\0\0\0\0\0\0\x26\x01\x02\x03\x04\x05", 12);
	}
	assert_false(w.full);
	return writer_span(&w);
}

static void test_answers_come_with_the_whole(void **state)
{
	(void)state;
	uint8_t buf[4096];
	struct span whole = batch_of(buf, 9);
	struct player *p = player_new(nothing);
	play(p, 0x0704, 21, 1, 3, span_of(buf, 100));
	play(p, 0x0704, 22, 2, 3, span_of(buf + 100, 100));
	play(p, 0x0704, 22, 2, 3, span_of(buf + 100, 100)); /* it waits: what is missing is asked for */
	assert_int_equal(p->got.sends, 1);
	expect_answer(p, 0, "8003", "0015010003");
	play(p, 0x0704, 25, 3, 3, span_after(whole, 200));
	assert_int_equal(p->got.records, 9);
	assert_int_equal(p->got.sends, 4);
	expect_answer(p, 2, "8001", "0015070400");
	expect_answer(p, 1, "8001", "0016070400");
	expect_answer(p, 0, "8001", "0019070400");
	/* its answers were lost */
	play(p, 0x0704, 25, 3, 3, span_after(whole, 200));
	assert_int_equal(p->got.records, 9);
	assert_int_equal(p->got.sends, 5);
	expect_answer(p, 0, "8001", "0019070400");
	player_free(p);
}

static void test_what_is_refused_for_good_says_so(void **state)
{
	(void)state;
	static const uint8_t zeros[1000];
	uint8_t buf[4096];
	struct player *p = player_new(nothing);
	play(p, 0x0801, 1, 1, 33, span_of(zeros, 10)); /* too many parts */
	expect_answer(p, 0, "8001", "0001080103");
	play(p, 0x0801, 2, 4, 3, span_of(zeros, 10)); /* a number that makes no sense */
	expect_answer(p, 0, "8001", "0002080102");
	struct span whole = batch_of(buf, 2); /* impossible latitudes */
	memset(buf + 3 + 2 + 8, 0x7f, 4);
	memset(buf + 3 + 30 + 2 + 8, 0x7f, 4);
	play(p, 0x0704, 3, 1, 2, span_of(buf, 40));
	play(p, 0x0704, 4, 2, 2, span_after(whole, 40));
	assert_int_equal(p->got.records, 0);
	expect_answer(p, 1, "8001", "0003070402");
	expect_answer(p, 0, "8001", "0004070402");
	play(p, 0x0704, 4, 2, 2, span_after(whole, 40));
	expect_answer(p, 0, "8001", "0004070402");
	play(p, 0x0f42, 5, 1, 2, span_of(zeros, 10)); /* nobody knows it: kept as it is */
	play(p, 0x0f42, 6, 2, 2, span_of(zeros, 10));
	assert_int_equal(p->got.records, 1);
	expect_answer(p, 1, "8001", "00050F4203");
	expect_answer(p, 0, "8001", "00060F4203");
	player_free(p);
}

static enum codec_room room;
static size_t asked_for;

static enum codec_room on_batch(void *ctx, size_t records)
{
	(void)ctx;
	asked_for = records;
	return room;
}

/* The others of a batch are neither lost nor repeated for ever because one is impossible. */
static void test_one_bad_item_of_many(void **state)
{
	(void)state;
	uint8_t buf[4096];
	struct player *p = player_new(nothing);
	p->sink.batch = on_batch;
	room = CODEC_ROOM_YES;
	struct span whole = batch_of(buf, 9);
	memset(buf + 3 + 4 * 30 + 2 + 8, 0x7f, 4);
	play(p, 0x0704, 3, 1, 2, span_of(buf, 100));
	play(p, 0x0704, 4, 2, 2, span_after(whole, 100));
	assert_int_equal(asked_for, 8);
	assert_int_equal(p->got.records, 8);
	assert_int_equal(p->got.by_status[CODEC_BAD_LATITUDE], 1);
	assert_int_equal(p->got.sends, 2);
	expect_answer(p, 1, "8001", "0003070400");
	expect_answer(p, 0, "8001", "0004070400");
	player_free(p);
}

/* Pictures: the general answers to all parts, then what says that all is here. */
static void test_media_are_confirmed(void **state)
{
	(void)state;
	static const uint8_t body[1000] = {0, 0, 0, 77};
	struct player *p = player_new(nothing);
	play(p, 0x0801, 7, 2, 3, span_of(body, sizeof(body)));
	play(p, 0x0801, 6, 1, 3, span_of(body, sizeof(body)));
	assert_int_equal(p->got.sends, 0);
	play(p, 0x0801, 8, 3, 3, span_of(body, 10));
	assert_int_equal(p->got.records, 1);
	assert_int_equal(p->got.sends, 4);
	expect_answer(p, 3, "8001", "0006080100");
	expect_answer(p, 2, "8001", "0007080100");
	expect_answer(p, 1, "8001", "0008080100");
	expect_answer(p, 0, "8800", "0000004D");
	player_free(p);
}

/* Larger than any record: the unit is told so, once all of it is there. */
static void test_what_no_record_holds(void **state)
{
	(void)state;
	static uint8_t body[1000];
	struct player *p = player_new(nothing);
	for (uint16_t n = 1; n <= 32; n++)
		play(p, 0x0801, n, n, 32, span_of(body, sizeof(body)));
	assert_int_equal(p->got.records, 1); /* 32,000 bytes: one record */
	struct telemetry *t = &p->scratch;
	assert_int_equal(t->item_count, 32);
	player_free(p);
}

static void test_a_batch_is_taken_whole_or_not_at_all(void **state)
{
	(void)state;
	uint8_t buf[4096];
	struct span whole = batch_of(buf, 9);
	struct player *p = player_new(nothing);
	p->sink.batch = on_batch;
	room = CODEC_ROOM_NOT_NOW;
	play(p, 0x0704, 21, 1, 2, span_of(buf, 100));
	play(p, 0x0704, 22, 2, 2, span_after(whole, 100));
	assert_int_equal(asked_for, 9);
	assert_int_equal(p->got.records + p->got.sends, 0);
	assert_int_equal(p->got.by_status[CODEC_REFUSED], 1);
	room = CODEC_ROOM_YES;
	play(p, 0x0704, 21, 1, 2, span_of(buf, 100)); /* one of them is enough: both are here */
	assert_int_equal(p->got.records, 9);
	assert_int_equal(p->got.sends, 2);
	room = CODEC_ROOM_NEVER;
	play(p, 0x0704, 31, 1, 2, span_of(buf, 100));
	play(p, 0x0704, 32, 2, 2, span_after(whole, 100));
	assert_int_equal(p->got.records, 9);
	expect_answer(p, 1, "8001", "001F070403");
	expect_answer(p, 0, "8001", "0020070403");
	player_free(p);
}

/* A count that is too small would acknowledge and lose what stands behind; one that is too large would never be taken. */
static void test_a_batch_with_a_wrong_count(void **state)
{
	(void)state;
	uint8_t buf[4096], frame[1200];
	for (uint8_t count = 0; count < 5; count++) {
		struct span whole = batch_of(buf, 3);
		buf[1] = count;
		struct player *p = player_new(nothing);
		player_feed(p, span_of(frame, put_part(frame, 0x0704, 1, 1, 1, whole)), 0);
		assert_int_equal(p->got.records, 3);
		expect_answer(p, 0, "8001", "0001070400");
		player_free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers_come_with_the_whole),
		cmocka_unit_test(test_what_is_refused_for_good_says_so),
		cmocka_unit_test(test_one_bad_item_of_many),
		cmocka_unit_test(test_media_are_confirmed),
		cmocka_unit_test(test_what_no_record_holds),
		cmocka_unit_test(test_a_batch_is_taken_whole_or_not_at_all),
		cmocka_unit_test(test_a_batch_with_a_wrong_count),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
