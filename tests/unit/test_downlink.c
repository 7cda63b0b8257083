// SPDX-License-Identifier: MIT
/* test_downlink: the life of a command with a clock, a unit and a broker of the test's own: what the wall clock does changes
 * nothing, each request ends once, what has ended is never sent, and its end is told only where that is allowed. */
#include "downlink_world.h"

/* --- the clock --- */

/* Held for 60 s, queued or sent with 60 s of time: nothing happens before, whatever the wall clock does meanwhile. */
static void test_wall_clock_jumps(void **state)
{
	static const int64_t jumps[] = {-20 * 365 * DAY, -DAY, -1000, 1000, DAY, 20 * 365 * DAY};
	static const char *const ends[] = {"expired", "timeout", "timeout"};
	(void)state;
	for (size_t j = 0; j < sizeof(jumps) / sizeof(jumps[0]); j++) {
		for (unsigned stage = 0; stage < 3; stage++) { /* held, queued, sent */
			world.here = stage > 0;
			ask("{\"payload\":\"R7,130305\",\"hold\":60,\"timeout\":60}");
			if (stage == 2)
				unit_reads();
			unsigned before = replies;
			pass(1000);
			now.unix_ms += jumps[j];
			pass(58000);
			assert_int_equal(replies, before);
			pass(1000);
			assert_int_equal(replies, before + 1);
			assert_true(last_is(ends[stage]));
			assert_int_equal(queue_len, 0);
		}
	}
}

static void test_held_is_sent_after_a_jump_and_elapsed_is_right(void **state)
{
	struct command_reply reply = {.token = {.word = "R7", .time = "130305", .serial = -1}};
	(void)state;
	ask("{\"payload\":\"R7,130305\",\"hold\":60}");
	pass(1000);
	now.unix_ms += 365 * DAY;
	world.here = true;
	downlink_listener(downlink)->ready(downlink, &world.unit, now);
	assert_int_equal(queue_len, 1);
	now.unix_ms -= 700 * DAY;
	unit_reads();
	assert_true(last_is("sent"));
	now.unix_ms += 5 * DAY;
	pass(1500);
	downlink_listener(downlink)->reply(downlink, &world.unit, &reply, now);
	assert_true(last_is("answered"));
	assert_non_null(strstr(last.json, "\"elapsed\":1.5,"));
}

static void test_all_that_is_over_ends_at_its_own_time(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 8; n++) {
		char text[80];
		snprintf(text, sizeof(text), "{\"payload\":\"R7\",\"hold\":%u}", n * 10);
		ask(text);
	}
	for (unsigned n = 1; n <= 8; n++) {
		unsigned before = replies;
		pass(9750);
		assert_int_equal(replies, before);
		pass(250);
		assert_int_equal(replies, before + 1);
	}
}

/* --- the queue --- */

static void test_a_unit_that_does_not_read(void **state)
{
	(void)state;
	world.here = true;
	ask("{\"payload\":\"S20,000000,1,1\",\"id\":\"a\",\"timeout\":5}");
	assert_int_equal(queue_len, 1);
	uint64_t number = queue[0];
	pass(4999);
	assert_int_equal(replies, 0);
	pass(1);
	assert_int_equal(replies, 1);
	assert_true(last_is("timeout"));
	assert_non_null(strstr(last.json, "not sent in time"));
	unit_reads();
	assert_int_equal(on_wire, 0);
	queue_sent(downlink, number, true, now); /* nobody waits for it */
	pass(3600 * 1000);
	assert_int_equal(replies, 1);
}

static void test_the_wait_for_the_answer_begins_when_it_is_sent(void **state)
{
	(void)state;
	world.here = true;
	ask("{\"payload\":\"R7\",\"timeout\":5}");
	pass(4000);
	unit_reads();
	pass(4999);
	assert_true(last_is("sent"));
	pass(1);
	assert_true(last_is("timeout"));
}

/* --- where the end is told --- */

static void test_response_topics(void **state)
{
	char longest[255 + 1] = "answers/", too_long[256 + 1] = "answers/";
	(void)state;
	memset(longest + 8, 'a', sizeof(longest) - 9);
	memset(too_long + 8, 'a', sizeof(too_long) - 9);
	const struct {
		const char *topic, *fault; /* NULL: allowed */
	} rows[] = {{"answers/here", NULL}, {"replies/a/b", NULL}, {"responses/x", NULL}, {"reply/x", NULL},
		{"response/x", NULL}, {TOPIC "/reply", NULL}, {longest, NULL}, {"answers/Z\xc3\xbcrich", NULL},
		{too_long, "255 bytes"}, {"", "empty"}, {"answers/+/x", "wildcard"}, {"answers/#", "wildcard"},
		{"$SYS/answers/", "begins with $"}, {"trackers/7000/position", "[publish] prefix"},
		{"trackers/9170503817/cmd/reply", "[publish] prefix"}, {"trackers", "[publish] prefix"},
		{TOPIC "/reply/x", "[publish] prefix"}, {"homeassistant/device/evil/config", "[homeassistant]"},
		{"elsewhere/x", "none of them"}, {"answers", "none of them"}, {"/answers/x", "none of them"},
		{"answers/\xff", "UTF-8"}, {"answers/\xed\xa0\x80", "UTF-8"}, {"answers/\x01", "control"},
		{"answers/\xc2\x85", "control"}, {"answers/\xef\xbf\xbf", "control"}};
	world.here = true;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct route_message r = request_of("R7,130305");
		r.response_topic = span_text(rows[i].topic);
		r.correlation = span_text("abc");
		downlink_message(downlink, &r, now);
		assert_int_equal(queue_len, rows[i].fault == NULL);
		if (rows[i].fault == NULL) {
			unit_reads();
			assert_string_equal(last.response, "");
			pass(31000);
			assert_true(last_is("timeout"));
			assert_string_equal(last.response, rows[i].topic);
			assert_int_equal(last.correlation, 3);
			continue;
		}
		assert_true(last_is("rejected"));
		assert_string_equal(last.response, "");
		assert_non_null(strstr(last.json, "[commands] response_topics"));
		if (strstr(last.json, rows[i].fault) == NULL)
			fail_msg("%s: %s", rows[i].topic, last.json);
	}
	struct route_message r = request_of("R7");
	r.response_topic = span_of("answers/a\0b", 11);
	downlink_message(downlink, &r, now);
	assert_true(last_is("rejected") && queue_len == 0);
}

static void test_no_response_topics(void **state)
{
	char why[200];
	(void)state;
	world.here = true;
	struct option_at at;
	assert_true(option_find("commands", "response_topics", &at));
	assert_true(option_set(at.row, at.row->key, "", &config, why, sizeof(why)));
	struct route_message r = request_of("R7");
	r.response_topic = span_text("answers/here");
	downlink_message(downlink, &r, now);
	assert_true(last_is("rejected") && queue_len == 0);
	r.response_topic = span_text(TOPIC "/reply");
	downlink_message(downlink, &r, now);
	assert_int_equal(queue_len, 1);
}

static void test_correlation_data_has_a_bound(void **state)
{
	static uint8_t data[60000];
	(void)state;
	world.here = true;
	for (size_t len = 1024; len <= sizeof(data); len += sizeof(data) - 1024) {
		struct route_message r = request_of("R7");
		r.response_topic = span_text("answers/here");
		r.correlation = span_of(data, len);
		downlink_message(downlink, &r, now);
		assert_int_equal(queue_len, 1); /* only the first */
	}
	assert_true(last_is("rejected"));
	assert_string_equal(last.response, "");
	assert_non_null(strstr(last.json, "1024 bytes"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(test_wall_clock_jumps),
		TEST(test_held_is_sent_after_a_jump_and_elapsed_is_right),
		TEST(test_all_that_is_over_ends_at_its_own_time),
		TEST(test_a_unit_that_does_not_read),
		TEST(test_the_wait_for_the_answer_begins_when_it_is_sent),
		TEST(test_response_topics),
		TEST(test_no_response_topics),
		TEST(test_correlation_data_has_a_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
