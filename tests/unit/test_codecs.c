// SPDX-License-Identifier: MIT
/* test_codecs: what the vectors do not show: quiet, bounds, commands, formats, the tables. */
#include "harness.h"

#include "codecs/record/calendar.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const struct span nothing;
static const char BINARY_45[] =
	"\x24\x41\x06\x00\x08\x26\x21\x53\x21\x31\x08\x15\x04\x41\x93\x90\x06\x07\x40\x41\x83\x06"
	"\x00\x00\x00\xff\xff\xfb\xfd\xff\x00\x15\x06\x00\x00\x00\x2c\x02\xdc\x0c\x00\x00\x00\x00\x1f";

/* A frame that may be whole waits until the unit is quiet, however it is cut. */
static void test_quiet(void **state)
{
	(void)state;
	struct player *p = player_new(nothing);
	player_feed(p, span_of(BINARY_45, 45), 0);
	assert_int_equal(p->got.records, 0);
	player_feed(p, nothing, CODEC_QUIET_SHORT_MS);
	assert_int_equal(p->got.records, 1);
	player_feed(p, span_of(BINARY_45, 32), CODEC_QUIET_SHORT_MS); /* shorter than is known of it */
	assert_int_equal(p->got.records, 1);
	player_feed(p, span_of(BINARY_45 + 32, 13), CODEC_QUIET_SHORT_MS);
	assert_int_equal(p->got.records, 2);
	player_feed(p, span_of(BINARY_45, 20), CODEC_QUIET_SHORT_MS);
	assert_int_equal(p->len, 20);
	player_feed(p, nothing, CODEC_QUIET_LONG_MS);
	assert_int_equal(p->len, 0);
	assert_int_equal(p->got.by_status[CODEC_TRUNCATED], 1);
	player_free(p);
}

/* Ten satellites are a line feed, thirteen a carriage return: no reason to cut a frame there. */
static void test_newline_inside_of_a_frame(void **state)
{
	(void)state;
	for (uint8_t satellites = 0; satellites <= 24; satellites++) {
		uint8_t frame[45];
		char want[40];
		memcpy(frame, BINARY_45, 45);
		frame[32] = satellites;
		struct player *p = player_new(nothing);
		for (int i = 0; i < 3; i++)
			player_feed(p, span_of(frame, 45), 0);
		player_feed(p, span_text("\r\n"), 0);
		player_feed(p, nothing, CODEC_QUIET_FINAL);
		assert_int_equal(p->got.records, 3);
		snprintf(want, sizeof(want), "\"position.satellites\":%d,", satellites);
		for (int i = 0; i < 3; i++)
			assert_non_null(strstr(p->got.json[i], want));
		player_free(p);
	}
}

static void test_text_without_end(void **state)
{
	(void)state;
	struct player *p = player_new(nothing);
	player_feed(p, span_text("*HQ,1234567890,SMS,"), 0);
	for (int i = 0; i < 10000; i++)
		player_feed(p, span_text("xxxxxxxxxx"), 0);
	assert_int_equal(p->got.by_status[CODEC_OVERSIZE], 1);
	assert_true(p->most_kept <= p->stream.codec->max_frame);
	player_feed(p, span_text("*HQ,1234567890,HTBT#"), 0);
	assert_int_equal(p->got.records, 1);
	player_free(p);
}

static void test_long_numbers_are_refused(void **state)
{
	(void)state;
	static const char *const frames[] = {
		"*HQ,1234567890,V1,123506,A,99999999999999999999.6,N,11355.7,E,0,0,131216,FFFFFBFF#",
		"*HQ,1234567890,V1,123506,A,2232.6,N,11355.7,E,12345678901,0,131216,FFFFFBFF#",
		"*HQ,1234567890,NBR,160128,99999999999,3,0,1,2006,12943,21,241016,FFFFFBFF,6#",
		"*HQ,123456789012345678901,HTBT#",
	};
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		struct player *p = player_new(nothing);
		player_feed(p, span_text(frames[i]), 0);
		assert_int_equal(p->got.records, 0);
		assert_int_equal(p->got.errors, 1);
		player_free(p);
	}
}

static const char *first_json(struct player *p, const char *frame)
{
	player_feed(p, span_text(frame), CODEC_QUIET_FINAL);
	assert_int_equal(p->got.records, 1);
	return p->got.json[0];
}

/* Nothing a unit says is lost: what has no name of its own is under custom., what is out of range is named. */
static void test_nothing_is_lost(void **state)
{
	(void)state;
	static const struct {
		const char *frame, *part;
	} rows[] = {
		{"*HQ,1234567890,V1,123506,A,2232.6,N,11355.7,E,0,361,131216,FFFFFBFF#",
			"\"rejected\":[\"position.direction\"]"},
		{"*HQ,1234567890,V1,123506,V,9132.6,N,11355.7,E,0,0,131216,FFFFFBFF#",
			"\"rejected\":[\"position.latitude\"]"},
		{"*HQ,1234567890,V1,123506,A,2232.6,N,11355.7,E,0,0,131216,FFFFFBFF,1,2#",
			"\"custom.tail\":\"1,2\""},
		{"*HQ,1234567890,V1,123506,A,2232.6,N,11355.7,E,0,0,131216,7FFFFBFE#",
			"\"custom.low.level.sensor.1.status\":true"},
		{"*HQ,1234567890,V1,123506,A,2232.6,N,11355.7,E,0,0,131216,7FFFFBFE#",
			"\"custom.theft.alarm\":true"},
		{"*HQ,1234567890,V8,213945,A,3542.2043,N,38.6508,W,0.00,170,221025,FBFFF9FF,262,2,3,4,aa:bb,1e,"
		 "cc,14,dd,0a,22,"
		 "31,126,55#",
			"\"custom.wifi.bssid.1\":\"aa:bb\",\"custom.wifi.signal.dbm.1\":-80"},
		{"*HQ,1234567890,V8,213945,A,3542.2043,N,38.6508,W,0.00,170,221025,FBFFF9FF,262,2,3,4,aa:bb,1e,"
		 "cc,14,dd,0a,22,"
		 "31,126,55#",
			"\"battery.level\":55"},
		{"*HQ,1234567890,FOO,a, b,c#", "\"custom.payload\":\"a, b,c\""},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct player *p = player_new(nothing);
		if (strstr(first_json(p, rows[i].frame), rows[i].part) == NULL)
			fail_msg("%s: want %s in %s", rows[i].frame, rows[i].part, p->got.json[0]);
		player_free(p);
	}
}

/* Command -> encode -> frame: the bytes that the specification shows, and back through our own framing. */
static void test_encode(void **state)
{
	(void)state;
	struct codec_unit unit = {.ident = "9170503816"};
	struct codec_link link = {.now_ms = TEST_NOW_MS, .unit = &unit};
	uint8_t buf[1024];
	struct writer w = writer_of(buf, sizeof(buf));
	struct command_token token;
	char why[200];
	struct command command = {.text = span_text("S20,130305,1,1")};
	const struct codec *h02 = codec_find(span_text("h02"));
	assert_non_null(h02);
	assert_null(command_check_text(command.text, h02->max_command, &h02->marks, why, sizeof(why)));
	assert_int_equal(h02->encode(&link, &command, &w, &token), CODEC_OK);
	assert_true(span_is(writer_span(&w), "*HQ,9170503816,S20,130305,1,1#"));
	assert_string_equal(token.word, "S20");
	assert_string_equal(token.time, "130305");
	w = writer_of(buf, 10);
	assert_int_equal(h02->encode(&link, &command, &w, &token), CODEC_NO_ROOM);
	for (int c = 0; c < 256; c++) {
		uint8_t text[] = {'S', (uint8_t)c, '1'};
		command.text = span_of(text, 3);
		bool bad = c < 0x20 || c > 0x7e, mark = c != 0 && strchr("*#$", c) != NULL;
		const struct command_marks *jt808 = &codec_find(span_text("jt808"))->marks;
		assert_true((command_check_text(command.text, 900, &h02->marks, why, sizeof(why)) != NULL) ==
			    (bad || mark));
		assert_true((command_check_text(command.text, 900, jt808, why, sizeof(why)) != NULL) == bad);
		assert_true((command_check_text(command.text, 900, NULL, why, sizeof(why)) != NULL) == bad);
	}
}

/* A character that ends texts may only be the last one, and stands in no value; a blank is an ordinary one. */
static void test_an_end_that_belongs_to_the_text(void **state)
{
	(void)state;
	const struct command_marks marks = {.frame = "", .field = ",", .end = "#"};
	const struct command_arg arg = COMMAND_TEXT("host", 0, 20, "name", NULL, "example.com");
	static const struct {
		const char *text;
		bool text_allowed, value_allowed;
	} rows[] = {
		{"STATUS", true, true},
		{"STATUS#", true, false},
		{"#", true, false},
		{"STATUS##", false, false},
		{"#STATUS", false, false},
		{"A#B", false, false},
		{"IN or OUT", true, true},
		{"RELAY,1#", true, false},
		{"RELAY,1", true, false},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char why[200] = "";
		const struct command_value value = {.given = true, .text = span_text(rows[i].text)};
		const char *fault = command_check_text(value.text, 200, &marks, why, sizeof(why));
		assert_int_equal(fault == NULL, rows[i].text_allowed);
		assert_true(fault == NULL || strstr(fault, "the character # ends a command") != NULL);
		assert_int_equal(command_check_value(&arg, &value, &marks, why, sizeof(why)) == NULL,
			rows[i].value_allowed);
	}
}

/* A reply with the serial number of no command: it belongs to none, unless its number may be any. */
static void test_a_serial_number_that_may_be_any(void **state)
{
	(void)state;
	const struct command_token command = {.word = "RELAY", .serial = 5};
	struct command_token reply = {.serial = 6};
	assert_int_equal(command_matches(&command, &reply), 0);
	reply.any_serial = true;
	assert_int_equal(command_matches(&command, &reply), 1);
	reply.serial = 5;
	assert_int_equal(command_matches(&command, &reply), 2);
	reply.serial = -1;
	assert_int_equal(command_matches(&command, &reply), 1);
}

/* What looks like a damaged H02 frame is one, unless another codec recognises what follows: then it is noise. */
static void test_a_damaged_start(void **state)
{
	(void)state;
	static const char jt808[] = "\x7e\x00\x02\x00\x00\x01\x39\x12\x34\x03\x20\x01\x40\x7d\x02\x7e";
	uint8_t bytes[256];
	memcpy(bytes, BINARY_45, 45);
	bytes[1] = 0x4f; /* no BCD: a damaged id */
	memcpy(bytes + 45, BINARY_45, 45);
	struct player *p = player_new(nothing);
	player_feed(p, span_of(bytes, 90), CODEC_QUIET_FINAL);
	assert_ptr_equal(p->stream.codec, codec_find(span_text("h02")));
	assert_int_equal(p->got.by_status[CODEC_BAD_ID], 1);
	assert_int_equal(p->got.records, 1);
	player_free(p);
	p = player_new(nothing);
	player_feed(p, span_of(bytes, 45), CODEC_QUIET_FINAL);
	assert_ptr_equal(p->stream.codec, codec_find(span_text("h02")));
	player_free(p);
	memcpy(bytes + 40, jt808, sizeof(jt808) - 1);
	p = player_new(nothing);
	player_feed(p, span_of(bytes, 40 + sizeof(jt808) - 1), CODEC_QUIET_FINAL);
	assert_ptr_equal(p->stream.codec, codec_find(span_text("jt808")));
	assert_int_equal(p->got.records, 1);
	player_free(p);
}

static void test_calendar(void **state)
{
	(void)state;
	int64_t back;
	for (int64_t day = 10957; day < 10957 + 80 * 365; day++) {
		struct calendar c = calendar_of(day * 86400 + 86399);
		assert_true(calendar_unix(&c, &back));
		assert_int_equal(back, day * 86400 + 86399);
		struct tm tm;
		gmtime_r(&back, &tm);
		assert_true(c.year == tm.tm_year + 1900 && c.month == tm.tm_mon + 1 && c.day == tm.tm_mday &&
			    c.hour == tm.tm_hour && c.minute == tm.tm_min && c.second == tm.tm_sec);
	}
	static const struct calendar bad[] = {{2023, 2, 29, 0, 0, 0}, {2024, 4, 31, 0, 0, 0},
		{2024, 0, 1, 0, 0, 0}, {2024, 13, 1, 0, 0, 0}, {2024, 1, 0, 0, 0, 0}, {2024, 1, 1, 24, 0, 0},
		{2024, 1, 1, 0, 60, 0}, {2024, 1, 1, 0, 0, 60}, {2080, 1, 1, 0, 0, 0},
		{1999, 12, 31, 23, 59, 59}, {2024, 2, 30, 0, 0, 0}, {2024, 1, 1, -1, 0, 0},
		{2024, 1, -1, 0, 0, 0}};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(calendar_unix(&bad[i], &back));
}

/* Names are unique, ranges are ranges, every status has a name. */
static void test_tables(void **state)
{
	(void)state;
	for (size_t i = 0; i < TM_FIELD_COUNT; i++) {
		const struct param *p = &telemetry_params[i];
		assert_non_null(p->key);
		assert_true(p->min <= p->max && p->decimals <= EMIT_DECIMALS_MAX && *p->help != '\0');
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(p->key, telemetry_params[k].key);
	}
	for (size_t i = 0; i < CODEC_STATUS_COUNT; i++)
		assert_non_null(codec_status_names[i]);
	for (const struct codec *const *c = codecs; *c != NULL; c++)
		assert_ptr_equal(codec_find(span_text((*c)->name)), *c);
	assert_null(codec_find(span_text("nothing")));
}

/* telemetry_reset makes an empty record of any memory: nothing is present, and no boolean is left that could raise an alarm later. */
static void test_a_record_of_any_memory(void **state)
{
	(void)state;
	static struct telemetry t;
	static struct telemetry_keys keys;
	uint64_t before[TM_WORDS] = {0}, none[TM_WORDS] = {0};
	char buf[256];
	struct writer w = writer_of(buf, sizeof(buf));
	telemetry_keys_make(&keys, &emit_json, CUSTOM_ALL);
	memset(&t, 0xff, sizeof(t));
	telemetry_reset(&t);
	telemetry_emit(&t, &keys, &w);
	assert_true(span_is(writer_span(&w), "{}"));
	for (size_t field = 0; field < TM_FIELD_COUNT; field++)
		if (telemetry_params[field].type == PARAM_INTEGER)
			telemetry_set(&t, (enum telemetry_field)field, telemetry_params[field].max);
		else if (telemetry_params[field].type != PARAM_TEXT)
			telemetry_set(&t, (enum telemetry_field)field, false);
	assert_false(telemetry_raise(&t, before));
	assert_memory_equal(before, none, sizeof(none));
	telemetry_set(&t, TM_SOS_ALARM, true);
	assert_true(telemetry_raise(&t, before));
	assert_false(telemetry_raise(&t, before));
}

/* Every set of booleans in a status word, also those in the last word of the sets. */
static void test_flags_of_every_word(void **state)
{
	(void)state;
#define LAST ((enum telemetry_field)(TM_FIELD_COUNT - 1))
#define ROWS(X) X(0, TM_IDENT) X(7, TM_SOS_ALARM) X(31, TM_FIELD_COUNT - 1)
	static const struct telemetry_flags flags = TM_FLAGS(ROWS);
	static struct telemetry t;
	telemetry_reset(&t);
	telemetry_set_flags(&t, 0x80000001, &flags);
	for (size_t field = 0; field < TM_FIELD_COUNT; field++) {
		bool truth = t.truth[field / 64] >> field % 64 & 1;
		bool one_of_them = field == TM_IDENT || field == TM_SOS_ALARM || field == LAST;
		assert_int_equal(telemetry_has(&t, (enum telemetry_field)field), one_of_them);
		assert_int_equal(truth, one_of_them && field != TM_SOS_ALARM);
	}
}

/* A text frame is answered as the options say; a binary one has no word for V4, so always R12. */
static void test_a_binary_frame_is_answered_r12(void **state)
{
	(void)state;
	static const char text[] = "*HQ,4106000826,V3,215321,A,0441.9390,N,07404.1836,W,0,0,310815,FFFFFBFF#";
	static const struct {
		const char *ack, *text, *binary;
	} rows[] = {{"auto", "*HQ,4106000826,R12,", "*HQ,4106000826,R12,"},
		{"v4", "*HQ,4106000826,V4,V3,", "*HQ,4106000826,R12,"},
		{"r12", "*HQ,4106000826,R12,", "*HQ,4106000826,R12,"}, {"off", NULL, NULL}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct player *p = player_new(nothing);
		uint8_t odometer[32];
		memcpy(odometer, BINARY_45, sizeof(odometer));
		odometer[0] = 'X';
		player_set(p, "h02", "ack", rows[i].ack);
		player_feed(p, span_of(text, sizeof(text) - 1), 0);
		player_feed(p, span_of(BINARY_45, 45), CODEC_QUIET_FINAL);
		player_feed(p, span_of(odometer, sizeof(odometer)), CODEC_QUIET_FINAL);
		assert_int_equal(p->got.records, 3);
		assert_int_equal(p->got.sends, rows[i].text != NULL ? 3 : 0);
		for (size_t k = 0; k < p->got.sends; k++) {
			const char *want = k == 0 ? rows[i].text : rows[i].binary;
			assert_memory_equal(p->got.sent[k], want, strlen(want));
		}
		player_free(p);
	}
}

/* A frame of a JT/T 808 unit of 2013; no byte of it may need an escape. */
static size_t unit_frame(uint8_t *out, uint16_t id, struct span body)
{
	static const uint8_t phone[] = {0, 0x91, 0x70, 0x50, 0x38, 0x16};
	struct writer w = writer_of(out, 256);
	uint8_t check = 0;
	writer_u8(&w, 0x7e);
	writer_u16(&w, id);
	writer_u16(&w, (uint16_t)body.len);
	writer_bytes(&w, phone, sizeof(phone));
	writer_u16(&w, 1);
	writer_span_put(&w, body);
	for (size_t i = 1; i < w.len; i++)
		check ^= out[i];
	writer_u8(&w, check);
	writer_u8(&w, 0x7e);
	return w.len;
}

/* Which messages are replies, to which command; a general "ok" is a receipt where the command has an answer of its own. */
static void test_replies_of_jt808(void **state)
{
	(void)state;
	static const struct {
		uint16_t id, general; /* general: the command that 0x0001 answers */
		uint8_t result;
		const char *word; /* NULL: no reply */
		int32_t serial;
		bool receipt;
	} rows[] = {
		{0x0001, 0x8103, 0, "0x8103", 0x0102, false},
		{0x0001, 0x8300, 1, "0x8300", 0x0102, false},
		{0x0001, 0x8104, 0, "0x8104", 0x0102, true},
		{0x0001, 0x8106, 0, "0x8106", 0x0102, true},
		{0x0001, 0x8107, 0, "0x8107", 0x0102, true},
		{0x0001, 0x8201, 0, "0x8201", 0x0102, true},
		{0x0001, 0x8500, 0, "0x8500", 0x0102, true},
		{0x0001, 0x8104, 1, "0x8104", 0x0102, false},
		{0x0001, 0x8106, 3, "0x8106", 0x0102, false},
		{0x0001, 0x8107, 2, "0x8107", 0x0102, false},
		{0x0001, 0x8201, 1, "0x8201", 0x0102, false},
		{0x0001, 0x8500, 1, "0x8500", 0x0102, false},
		{0x0104, 0, 0, "0x8104", 0x0102, false},
		{0x0107, 0, 0, "0x8107", -1, false},
		{0x0201, 0, 0, "0x8201", 0x0102, false},
		{0x0500, 0, 0, "0x8500", 0x0102, false},
		{0x0002, 0, 0, NULL, 0, false},
		{0x0200, 0, 0, NULL, 0, false},
		{0x0f00, 0, 0, NULL, 0, false},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct player *p = player_new(nothing);
		uint8_t frame[256], body[40] = {1, 2, (uint8_t)(rows[i].general >> 8), (uint8_t)rows[i].general,
					    rows[i].result};
		size_t len = unit_frame(frame, rows[i].id, span_of(body, rows[i].id == 1 ? 5 : 30));
		player_feed(p, span_of(frame, len), CODEC_QUIET_FINAL);
		assert_int_equal(p->got.records, 1);
		assert_int_equal(p->got.replies, rows[i].word != NULL ? 1 : 0);
		if (rows[i].word != NULL) {
			assert_string_equal(p->got.token.word, rows[i].word);
			assert_int_equal(p->got.token.serial, rows[i].serial);
			assert_int_equal(p->got.receipt, rows[i].receipt);
		}
		player_free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quiet),
		cmocka_unit_test(test_newline_inside_of_a_frame),
		cmocka_unit_test(test_text_without_end),
		cmocka_unit_test(test_long_numbers_are_refused),
		cmocka_unit_test(test_nothing_is_lost),
		cmocka_unit_test(test_encode),
		cmocka_unit_test(test_an_end_that_belongs_to_the_text),
		cmocka_unit_test(test_a_serial_number_that_may_be_any),
		cmocka_unit_test(test_a_damaged_start),
		cmocka_unit_test(test_calendar),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_a_record_of_any_memory),
		cmocka_unit_test(test_flags_of_every_word),
		cmocka_unit_test(test_a_binary_frame_is_answered_r12),
		cmocka_unit_test(test_replies_of_jt808),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
