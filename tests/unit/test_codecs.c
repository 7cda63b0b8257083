/* test_codecs: what the vectors do not show: quiet, bounds, commands, formats, the tables. */
#include "harness.h"

#include "codecs/record/calendar.h"
#include "codecs/h02/h02_number.h"

#include <stdio.h>
#include <stdlib.h>

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
	struct command command = {.text = span_text("S20,130305,1,1")};
	const struct codec *h02 = codec_find("h02");
	assert_non_null(h02);
	assert_null(command_check_text(command.text, h02->max_command));
	assert_int_equal(h02->encode(&link, &command, &w, &token), CODEC_OK);
	assert_true(span_is(writer_span(&w), "*HQ,9170503816,S20,130305,1,1#"));
	assert_string_equal(token.word, "S20");
	assert_string_equal(token.time, "130305");
	w = writer_of(buf, 10);
	assert_int_equal(h02->encode(&link, &command, &w, &token), CODEC_NO_ROOM);
	for (int c = 0; c < 256; c++) {
		uint8_t text[] = {'S', (uint8_t)c, '1'};
		command.text = span_of(text, 3);
		bool bad = c < 0x20 || c > 0x7e || strchr("*#$", c) != NULL;
		assert_true((command_check_text(command.text, 900) != NULL) == bad);
	}
}

static void test_calendar(void **state)
{
	(void)state;
	int64_t back;
	for (int64_t day = 10957; day < 10957 + 80 * 365; day++) {
		struct calendar c = calendar_of(day * 86400 + 86399);
		assert_true(calendar_unix(&c, &back));
		assert_int_equal(back, day * 86400 + 86399);
	}
	static const struct calendar bad[] = {{2023, 2, 29, 0, 0, 0}, {2024, 4, 31, 0, 0, 0},
		{2024, 0, 1, 0, 0, 0}, {2024, 13, 1, 0, 0, 0}, {2024, 1, 0, 0, 0, 0}, {2024, 1, 1, 24, 0, 0},
		{2024, 1, 1, 0, 60, 0}, {2024, 1, 1, 0, 0, 60}, {2080, 1, 1, 0, 0, 0}};
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
		assert_true(p->min <= p->max && p->decimals <= 9 && *p->help != '\0');
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(p->key, telemetry_params[k].key);
	}
	for (size_t i = 0; i < CODEC_STATUS_COUNT; i++)
		assert_non_null(codec_status_names[i]);
	for (const struct codec *const *c = codecs; *c != NULL; c++)
		assert_ptr_equal(codec_find((*c)->name), *c);
	assert_null(codec_find("nothing"));
}

static void test_numbers_are_exact(void **state)
{
	(void)state;
	static const struct {
		int64_t number;
		unsigned decimals;
		const char *json;
	} rows[] = {{0, 0, "0"}, {0, 7, "0"}, {-5, 1, "-0.5"}, {1234567890, 7, "123.456789"}, {100, 2, "1"},
		{INT64_MAX, 0, "9223372036854775807"}, {INT64_MIN, 0, "-9223372036854775808"},
		{1, 9, "0.000000001"}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char buf[64];
		struct writer w = writer_of(buf, sizeof(buf));
		struct emitter e = emitter_of(&emit_json, &w);
		emit_fixed(&e, rows[i].number, rows[i].decimals);
		assert_true(span_is(writer_span(&w), rows[i].json));
	}
}

/* Also where a product of 64 bits is too small. */
static void test_scaled_numbers_are_exact(void **state)
{
	(void)state;
	static const struct {
		struct h02_decimal d;
		int64_t mul, div;
		unsigned decimals;
		int64_t want;
	} rows[] = {
		{{1, 0}, 1, 1, 0, 1},
		{{15, 1}, 1, 1, 0, 2},
		{{25, 1}, 1, 1, 0, 3},
		{{5, 1}, 1852, 1000, 3, 926},
		{{999999999, 0}, 1852, 1000, 3, 1851999998148},
		{{999999999999999999, 9}, 1852, 1000, 3, 1852000000000},
		{{999999999999999999, 9}, 1852, 3600 * 1000, 3, 514444444},
		{{123456789123456789, 9}, 1852, 3600 * 1000, 3, 63511659},
		{{59999999999, 9}, 1, 60, 7, 10000000},
		{{59123456789, 9}, 1, 60, 7, 9853909},
		{{599999, 0}, 1, 600000, 7, 9999983},
		{{999999999999999999, 9}, 1, 1, 7, 9999999999999999LL + 1},
		{{999999999999999999, 9}, 1, 10, 3, 100000000000},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(
			h02_scaled(rows[i].d, rows[i].mul, rows[i].div, rows[i].decimals), rows[i].want);
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
		cmocka_unit_test(test_calendar),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_numbers_are_exact),
		cmocka_unit_test(test_scaled_numbers_are_exact),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
