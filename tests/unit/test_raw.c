// SPDX-License-Identifier: MIT
/* test_raw: frames as they were, whose and which, for ever or for a while; what nobody recognised. */
#include "outputs_world.h"

#include "bridge/outputs/raw.h"

#define RAW "trackers/" IDENT "/raw"
#define UNKNOWN "trackers/bridge/here/unknown"

static struct raw *raw;

/* What the end of a hint says of the codecs. */
static const char *spoken(void)
{
	static char text[200];
	size_t n = (size_t)snprintf(text, sizeof(text), "; spoken here: ");
	for (size_t i = 0; codecs[i] != NULL; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", i > 0 ? ", " : "", codecs[i]->name);
	snprintf(text + n, sizeof(text) - n, "\"}");
	return text;
}

static int set_up(void **state)
{
	(void)state;
	world_open();
	use_units_file("");
	raw = raw_open(&config, publish, sessions);
	assert_non_null(raw);
	listen_to(raw_listener(raw));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	raw_free(raw);
	world_close();
	return 0;
}

/* --- frames --- */

static void show(const struct session *session, bool in, const char *error)
{
	events_frame(&events, session, in, span_text("*HQ,1,V1\r#"), error, now);
}

static void test_frames(void **state)
{
	struct session *session = on_line(IDENT);
	(void)state;
	show(session, true, NULL);
	expect_nothing();
	config.publish.raw = PUBLISH_RAW_YES;
	show(session, true, NULL);
	expect(RAW, false);
	assert_string_equal(
		got.text, "{\"direction\":\"in\",\"hex\":\"2A48512C312C56310D23\",\"text\":\"*HQ,1,V1\\r#\"}");
	show(session, false, NULL);
	expect(RAW, false);
	assert_true(says("\"direction\":\"out\""));
	show(NULL, true, "bad checksum");
	expect("trackers/unknown/raw", false);
	assert_true(says("\"error\":\"bad checksum\"}"));
	config.publish.raw = PUBLISH_RAW_NO;
	show(session, true, NULL);
	show(session, true, "bad checksum");
	expect_nothing();
}

/* Every combination of what is wanted and what comes: in, out, rejected, of a unit or of nobody. */
static void test_frames_that_were_rejected(void **state)
{
	struct session *session = on_line(IDENT);
	(void)state;
	config.publish.raw = PUBLISH_RAW_ERRORS;
	show(session, true, NULL);
	show(session, false, NULL);
	show(NULL, true, NULL);
	expect_nothing();
	show(session, true, "bad checksum");
	expect(RAW, false);
	assert_true(says("\"direction\":\"in\"") && says("\"error\":\"bad checksum\"}"));
	show(NULL, true, "bad checksum");
	expect("trackers/unknown/raw", false);
	expect_nothing();
}

/* What the units file says of a unit goes before what is said for all. */
static void test_frames_of_one_unit(void **state)
{
	static const char *const words[] = {"no", "errors", "yes"};
	struct session *session = on_line(IDENT), *other = on_line("77");
	char text[100];
	(void)state;
	for (int general = PUBLISH_RAW_NO; general <= PUBLISH_RAW_YES; general++) {
		for (int own = PUBLISH_RAW_NO; own <= PUBLISH_RAW_YES; own++) {
			config.publish.raw = general;
			snprintf(text, sizeof(text), "[" IDENT "]\nraw = %s\n", words[own]);
			use_units_file(text);
			show(session, true, NULL);
			show(session, true, "bad checksum");
			assert_int_equal(take_all(), own);
			show(other, true, NULL);
			show(other, true, "bad checksum");
			assert_int_equal(take_all(), general);
		}
	}
}

/* --- frames that somebody asks for --- */

static void ask_as(const char *topic, const char *text, size_t len, bool retained)
{
	const struct route_message m = {
		.topic = span_text(topic), .payload = span_of(text, len), .retained = retained, .expiry_s = -1};
	raw_message(raw, &m, now);
}

static void ask(const char *text)
{
	ask_as(RAW "/set", text, strlen(text), false);
}

static void test_frames_for_a_while(void **state)
{
	struct session *session = on_line(IDENT), *other = on_line("77");
	(void)state;
	ask("10m");
	expect(RAW, false);
	assert_string_equal(got.text, "{\"direction\":\"none\",\"until\":1800000600,\"instance\":\"here\"}");
	show(session, true, NULL);
	show(session, false, NULL);
	show(session, true, "bad checksum");
	assert_int_equal(take_all(), 3);
	show(other, true, NULL);
	show(NULL, true, NULL);
	expect_nothing();
	pass(10 * 60 * 1000 - 1);
	show(session, true, NULL);
	expect(RAW, false);
	pass(1);
	show(session, true, NULL);
	expect_nothing();
	ask("1h");
	ask("5s"); /* the newest word counts */
	assert_int_equal(take_all(), 2);
	pass(5000);
	show(session, true, NULL);
	expect_nothing();
	ask("1h");
	ask("0");
	assert_int_equal(take_all(), 2);
	assert_string_equal(got.text, "{\"direction\":\"none\",\"until\":0,\"instance\":\"here\"}");
	show(session, true, NULL);
	expect_nothing();
}

/* A unit may come later, under its name in topics, and with whatever the units file says of it. */
static void test_frames_of_who_comes_later(void **state)
{
	(void)state;
	use_units_file("[" IDENT "]\nraw = no\ntopic = van\n");
	ask_as("trackers/van/raw/set", "1m", 2, false);
	expect("trackers/van/raw", false);
	struct session *session = on_line(IDENT);
	use_units_file("[" IDENT "]\nraw = no\ntopic = van\n"); /* it has a session now */
	show(session, true, NULL);
	expect("trackers/van/raw", false);
	assert_true(says("\"hex\""));
}

static void test_what_is_no_request_for_frames(void **state)
{
	static const char *const bad[] = {"", "yes", "10", "61m", "2h", "-5s", "1d", "10 m", "10m ",
		"99999999999999999999h", "1m1m1m1m1m1m1m1m1m1m1m1m1m1m"};
	struct session *session = on_line(IDENT);
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ask(bad[i]);
		expect(RAW, false);
		assert_true(says("\"direction\":\"none\",\"error\":\""));
		assert_true(says("a duration from 0 to 1h with a unit: ms s m h d"));
	}
	ask_as(RAW "/set", "5m\0", 3, false);
	expect(RAW, false);
	assert_true(says("error"));
	ask_as(RAW "/set", "5m", 2, true);
	expect(RAW, false);
	assert_true(says("retained"));
	ask_as(RAW "/set", "", 0, true); /* somebody clears it */
	ask_as("trackers/unknown/raw/set", "5m", 2, false);
	ask_as("trackers/bridge/raw/set", "5m", 2, false);
	ask_as("trackers/a-b/raw/set", "5m", 2, false);
	ask_as("trackers//raw/set", "5m", 2, false);
	ask_as("trackers/123456789012345678901/raw/set", "5m", 2, false);
	ask_as("other/1/raw/set", "5m", 2, false);
	ask_as("trackers/1/raw", "5m", 2, false);
	show(session, true, NULL);
	expect_nothing();
}

/* Asking for invented units fills neither memory nor outbox, and ends. */
static void test_a_flood_of_requests_for_frames(void **state)
{
	char topic[100];
	struct session *session = on_line(IDENT);
	unsigned taken = 0;
	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		snprintf(topic, sizeof(topic), "trackers/x%u/raw/set", i);
		ask_as(topic, "1h", 2, false);
		taken += take_all();
		pass(10);
	}
	assert_in_range(taken, 600, 600 * 18);
	assert_true(says("1000 units are asked for already"));
	pass(60000);
	ask("1m");
	expect(RAW, false);
	assert_true(says("error")); /* no place is left */
	pass(HOUR);
	ask("1m"); /* and all have ended */
	expect(RAW, false);
	assert_true(says("until"));
	show(session, true, NULL);
	expect(RAW, false);
}

/* The longest frames of all codecs go out whole. */
static void test_a_long_frame(void **state)
{
	static uint8_t frame[2300];
	struct session *session = on_line(IDENT);
	(void)state;
	config.publish.raw = PUBLISH_RAW_YES;
	memset(frame, 0xff, sizeof(frame));
	events_frame(&events, session, true, span_of(frame, sizeof(frame)), NULL, now);
	expect(RAW, false);
	const char *hex = strstr(got.text, "FFFF");
	assert_non_null(hex);
	assert_int_equal(strspn(hex, "F"), 2 * sizeof(frame));
}

static void stranger_says(struct span head)
{
	events_unknown(
		&events, conn_at(1), &(struct stranger){.head = head, .looks_like = foreign_find(head)}, now);
}

static void test_unknown(void **state)
{
	char head[200];
	(void)state;
	memset(head, 'A', sizeof(head));
	stranger_says(span_text("HELO"));
	expect(UNKNOWN, false);
	assert_string_equal(got.text, "{\"peer\":\"203.0.113.1:50112\",\"transport\":\"udp\","
				      "\"hex\":\"48454C4F\",\"text\":\"HELO\"}");
	stranger_says(span_of(head, sizeof(head)));
	expect(UNKNOWN, false);
	assert_int_equal(strspn(strstr(got.text, "4141"), "41"), 128); /* the first 64 bytes */
	stranger_says(span_text("GET / HTTP/1.1"));
	expect(UNKNOWN, false);
	assert_true(says("\"text\":\"GET / HTTP/1.1\",\"looks.like\":\"HTTP\",\"hint\":\"a browser"));
	stranger_says(span_text("imei:359586015829802,tracker,"));
	expect(UNKNOWN, false);
	assert_true(says("\"looks.like\":\"GPS103\"") && says(spoken()));
	events_unknown(&events, conn_at(1),
		&(struct stranger){.head = span_text("~"), .ident = "1", .protocol = "jt808", .why = "is not"},
		now);
	expect(UNKNOWN, false);
	assert_true(says(
		"\"ident\":\"1\",\"protocol\":\"jt808\",\"reason\":\"not_admitted\",\"hint\":\"is not\"}"));
	no_lines = true; /* the address has had its lines */
	stranger_says(span_text("HELO"));
	expect_nothing();
	no_lines = false;
	config.publish.unknown = false;
	stranger_says(span_text("HELO"));
	expect_nothing();
}

static void test_unknown_is_limited(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 60; i++) {
		stranger_says(span_text("HELO"));
		expect(UNKNOWN, false);
	}
	stranger_says(span_text("HELO"));
	expect_nothing();
	pass(60000);
	stranger_says(span_text("HELO"));
	expect(UNKNOWN, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_frames, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_frames_that_were_rejected, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_frames_of_one_unit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_frames_for_a_while, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_frames_of_who_comes_later, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_no_request_for_frames, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_flood_of_requests_for_frames, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_long_frame, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_unknown, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_unknown_is_limited, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
