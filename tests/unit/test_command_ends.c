// SPDX-License-Identifier: MIT
/* test_command_ends: each life of a command, and each reason for which one is rejected, with a clock of the test's own. */
#include "downlink_world.h"

static struct command_reply reply_to(const char *word, const char *time, const char *frame)
{
	struct command_reply reply = {.token = {.serial = -1}, .frame = span_text(frame)};
	strcpy(reply.token.word, word);
	strcpy(reply.token.time, time);
	return reply;
}

static void unit_answers(const struct command_reply *reply)
{
	downlink_listener(downlink)->reply(downlink, &world.unit, reply, now);
}

static void comes_online(void)
{
	world.here = true;
	downlink_listener(downlink)->ready(downlink, &world.unit, now);
}

static void goes_offline(const char *reason)
{
	world.here = false;
	downlink_listener(downlink)->offline(downlink, &world.unit, reason, now);
}

static void set(const char *name, const char *value)
{
	char why[200];
	struct option_at at;
	assert_true(option_find("commands", name, &at));
	assert_true(option_set(at.row, at.row->key, value, &config, why, sizeof(why)));
}

#define CHECK_LAST(status, reason) check_last(__LINE__, status, reason)

/* reason: a part of it; NULL: there is none. */
static void check_last(int line, const char *status, const char *reason)
{
	const char *told = strstr(last.json, "\"reason\":");
	if (!last_is(status) || (told == NULL) != (reason == NULL) ||
		(reason != NULL && strstr(told, reason) == NULL))
		fail_msg("line %d: wanted %s (%s), got %s", line, status, reason ? reason : "no reason",
			last.json);
}

static uint64_t counted(enum counter c)
{
	return stats.count[c];
}

/* --- the lives --- */

static void test_sent_and_answered(void **state)
{
	(void)state;
	world.here = true;
	ask("{\"payload\":\"R7,130305\",\"id\":\"x1\"}");
	assert_int_equal(replies, 0);
	unit_reads();
	CHECK_LAST("sent", NULL);
	assert_non_null(strstr(last.json, "\"id\":\"x1\""));
	assert_non_null(strstr(last.json, "\"frame\":\"*HQ," IDENT ",R7,130305"));
	pass(250);
	struct command_reply reply = reply_to("R7", "130305", "*HQ," IDENT ",V4,R7,130305,OK#");
	reply.result = span_text("OK");
	unit_answers(&reply);
	CHECK_LAST("answered", NULL);
	assert_non_null(strstr(last.json, "\"reply\":\"*HQ," IDENT ",V4,R7,130305,OK#\""));
	assert_non_null(strstr(last.json, "\"result\":\"OK\""));
	assert_non_null(strstr(last.json, "\"elapsed\":0.25,"));
	unsigned before = replies;
	unit_answers(&reply); /* once more: nobody waits */
	pass(DAY);
	assert_int_equal(replies, before);
	assert_int_equal(counted(STAT_COMMANDS), 1);
	assert_int_equal(counted(STAT_COMMANDS_SENT), 1);
	assert_int_equal(counted(STAT_COMMANDS_ANSWERED), 1);
	assert_int_equal(counted(STAT_COMMANDS_TIMEOUT), 0);
}

static void test_binary_frames_are_told_as_hex(void **state)
{
	(void)state;
	world.here = true;
	world.unit.codec = codec_find(span_text("jt808"));
	ask("{\"command\":\"position.request\"}");
	unit_reads();
	CHECK_LAST("sent", NULL);
	assert_non_null(strstr(last.json, "\"frame\":\"7E8201"));
	assert_non_null(strstr(last.json, "\"command\":\"position.request\""));
}

static void test_an_answer_belongs_to_the_oldest_of_the_surest(void **state)
{
	(void)state;
	struct command_reply exact = reply_to("R7", "130306", "*1#"), any = reply_to("R7", "", "*2#"),
			     other = reply_to("S20", "", "*3#");
	world.here = true;
	ask("{\"payload\":\"R7,130305\",\"id\":\"first\"}");
	unit_reads();
	ask("{\"payload\":\"R7,130306\",\"id\":\"second\"}");
	unit_reads();
	ask("{\"payload\":\"R7,130307\",\"id\":\"queued\"}"); /* not sent: nothing answers it */
	unsigned before = replies;
	unit_answers(&other);
	assert_int_equal(replies, before);
	unit_answers(&exact);
	assert_non_null(strstr(last.json, "\"id\":\"second\""));
	unit_answers(&any);
	assert_non_null(strstr(last.json, "\"id\":\"first\""));
	before = replies;
	unit_answers(&any);
	assert_int_equal(replies, before);
	assert_int_equal(counted(STAT_COMMANDS_ANSWERED), 2);
}

static void test_timeout(void **state)
{
	(void)state;
	world.here = true;
	set("timeout", "7s");
	ask("R7,130305");
	unit_reads();
	pass(6999);
	CHECK_LAST("sent", NULL);
	pass(1);
	CHECK_LAST("timeout", "the unit did not answer in time");
	ask("{\"payload\":\"R7,130305\",\"timeout\":0.1}"); /* its own goes before the configuration's */
	pass(100);
	CHECK_LAST("timeout", "not sent in time");
	assert_int_equal(counted(STAT_COMMANDS_TIMEOUT), 2);
}

static void test_held_sent_and_expired(void **state)
{
	(void)state;
	set("hold", "20s");
	ask("R7,130305");
	CHECK_LAST("held", NULL);
	pass(19999);
	comes_online();
	assert_int_equal(queue_len, 1);
	unit_reads();
	CHECK_LAST("sent", NULL);
	goes_offline("test");
	ask("R7,130305");
	pass(20000);
	CHECK_LAST("expired", "the unit did not come in time");
	unsigned before = replies;
	comes_online();
	assert_int_equal(queue_len, 0); /* what has ended is never sent */
	assert_int_equal(replies, before);
	assert_int_equal(counted(STAT_COMMANDS_EXPIRED), 1);
}

/* The message expiry of MQTT 5 shortens the hold, and never makes it longer. */
static void test_message_expiry(void **state)
{
	static const struct {
		int64_t expiry_s, ends_ms; /* 0: at once */
	} rows[] = {{5, 5000}, {0, 0}, {100, 20000}, {-1, 20000}};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct route_message r = request_of("{\"payload\":\"R7\",\"hold\":20}");
		r.expiry_s = rows[i].expiry_s;
		downlink_message(downlink, &r, now);
		if (rows[i].ends_ms == 0) {
			CHECK_LAST("offline", "the unit is not connected");
			continue;
		}
		pass(rows[i].ends_ms - 1);
		CHECK_LAST("held", NULL);
		pass(1);
		CHECK_LAST("expired", "did not come in time");
	}
}

static void test_offline(void **state)
{
	(void)state;
	ask("R7");
	CHECK_LAST("offline", "the unit is not connected");
	world.here = true;
	ask("R7,130305");
	unit_reads();
	ask("{\"payload\":\"S20,1\",\"id\":\"queued\"}");
	unsigned before = replies;
	goes_offline("silent");
	assert_int_equal(replies, before + 1); /* the queued one ends when its bytes cannot go */
	CHECK_LAST("offline", "sent, but the unit went off line before it answered: silent");
	queue_sent(downlink, queue[0], false, now);
	CHECK_LAST("offline", "the unit's connection ended before the command was sent");
	assert_non_null(strstr(last.json, "\"id\":\"queued\""));
	queue_sent(downlink, queue[0], false, now);
	pass(DAY);
	assert_int_equal(replies, before + 2);
	assert_int_equal(counted(STAT_COMMANDS_OFFLINE), 3);
}

/* What went to the connection before cannot be answered on the new one; what is queued is not sent twice. */
static void test_the_unit_comes_back_on_a_new_connection(void **state)
{
	(void)state;
	world.here = true;
	ask("R7,130305");
	unit_reads();
	ask("{\"payload\":\"S20,1\",\"id\":\"queued\"}");
	unsigned before = replies;
	comes_online();
	assert_int_equal(replies, before + 1);
	CHECK_LAST("offline", "the unit came back on a new connection before it answered");
	assert_int_equal(queue_len, 1);
	struct command_reply reply = reply_to("R7", "130305", "*1#");
	unit_answers(&reply);
	assert_int_equal(replies, before + 1);
	unit_reads();
	CHECK_LAST("sent", NULL);
	assert_non_null(strstr(last.json, "\"id\":\"queued\""));
}

static void test_the_bridge_stops(void **state)
{
	(void)state;
	ask("{\"payload\":\"R7\",\"hold\":60}");
	world.here = true;
	ask("{\"payload\":\"R7,130305\"}");
	unit_reads();
	ask("{\"payload\":\"S20,1\"}");
	unsigned before = replies;
	downlink_stop(downlink, now);
	assert_int_equal(replies, before + 3);
	CHECK_LAST("offline", "the bridge stops");
	uint64_t number = queue[0];
	queue_sent(downlink, number, true, now);
	pass(DAY);
	assert_int_equal(replies, before + 3);
}

/* --- rejected --- */

static void test_a_retained_command_is_never_executed(void **state)
{
	(void)state;
	world.here = true;
	struct route_message r = request_of("R7");
	r.retained = true;
	downlink_message(downlink, &r, now);
	CHECK_LAST("rejected", "a retained command is never executed");
	assert_int_equal(queue_len, 0);
	r.payload = span_of(NULL, 0); /* somebody clears it: that is no command */
	downlink_message(downlink, &r, now);
	assert_int_equal(replies, 1);
	assert_int_equal(counted(STAT_COMMANDS), 1);
}

static void test_the_allow_list(void **state)
{
	static const struct {
		const char *payload;
		bool allowed;
	} rows[] = {{"R7,130305", true}, {"R7", true}, {"R70", false}, {"R", false}, {"S20,1", false},
		{"{\"command\":\"engine.stop\"}", true}, {"{\"command\":\"engine.resume\"}", false},
		{"{\"command\":\"engine\"}", false}};
	(void)state;
	world.here = true;
	set("allow", "R7 , engine.stop");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		queue_len = 0;
		ask(rows[i].payload);
		if (queue_len != rows[i].allowed)
			fail_msg("%s: %s", rows[i].payload, last.json);
		if (!rows[i].allowed)
			CHECK_LAST("rejected", "allow list");
	}
}

static void test_too_many_for_a_unit(void **state)
{
	(void)state;
	set("max_held_per_unit", "2");
	ask("{\"payload\":\"R7\",\"hold\":60,\"id\":\"a\"}");
	ask("{\"payload\":\"R7\",\"hold\":60,\"id\":\"a\"}");
	CHECK_LAST("rejected", "a request with this id is waiting already");
	ask("{\"payload\":\"R7\",\"hold\":60,\"id\":\"b\"}");
	CHECK_LAST("held", NULL);
	ask("{\"payload\":\"R7\",\"hold\":60,\"id\":\"c\"}");
	CHECK_LAST("rejected", "max_held_per_unit");
	pass(60000);
	ask("{\"payload\":\"R7\",\"hold\":60,\"id\":\"a\"}");
	CHECK_LAST("held", NULL);
}

static void test_too_long_for_the_protocol(void **state)
{
	(void)state;
	char text[1400];
	size_t most = world.unit.codec->max_command;
	world.here = true;
	assert_in_range(most, 1, sizeof(text) - 2);
	memset(text, 'A', sizeof(text));
	text[most + 1] = '\0';
	ask(text);
	assert_true(last_is("rejected"));
	assert_int_equal(queue_len, 0);
	text[most] = '\0';
	ask(text);
	assert_int_equal(queue_len, 1);
}

static void test_faulty_requests(void **state)
{
	static const struct {
		const char *payload, *reason;
	} rows[] = {
		{"{\"command\":1}", "command must be a string"},
		{"{\"command\":\"\"}", "command must be a string"},
		{"{\"payload\":1}", "payload must be a string"},
		{"{\"id\":\"\"}", "1 to 200 bytes"},
		{"{\"command\":\"restart\",\"args\":1}", "args must be an object"},
		{"{\"payload\":\"R7\",\"command\":\"restart\"}", "exactly one of payload and command"},
		{"{}", "exactly one of payload and command"},
		{"{\"payload\":\"R7\",\"args\":{}}", "args go with command"},
		{"{\"payload\":\"R7\",\"payload\":\"R7\"}", "is there twice"},
		{"{\"x\":1}", "unknown key x"},
		{"{\"payload\":\"R7\"", "broken JSON"},
		{"{\"payload\":\"\xff\"}", "not valid UTF-8"},
		{"{\"payload\":\"R7\",\"timeout\":0}", "timeout must be a number"},
		{"{\"payload\":\"R7\",\"hold\":-1}", "hold must be a number"},
		{"{\"command\":\"no.such\"}", "h02 has no command no.such; allowed: engine.stop"},
		{"{\"command\":\"report.interval\"}", "needs the argument interval"},
		{"{\"command\":\"report.interval\",\"args\":{\"interval\":0}}", "argument interval is"},
		{"{\"command\":\"report.interval\",\"args\":{\"interval\":\"x\"}}",
			"of the wrong type; allowed: a whole number"},
		{"{\"command\":\"report.interval\",\"args\":{\"x\":1}}",
			"has no argument x; allowed: interval"},
		{"{\"command\":\"alarm.arm\",\"args\":{\"x\":1}}", "has no argument x; allowed: none"},
	};
	(void)state;
	world.here = true;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ask(rows[i].payload);
		if (!last_is("rejected") || strstr(last.json, rows[i].reason) == NULL)
			fail_msg("%s: %s", rows[i].payload, last.json);
		assert_int_equal(queue_len, 0);
	}
	static char big[9000];
	memset(big, 'R', sizeof(big) - 1);
	ask(big);
	CHECK_LAST("rejected", "longer than 8192 bytes");
	struct route_message r = request_of("");
	r.payload = span_of("{\"payload\":\"R7\"}\0", 17);
	downlink_message(downlink, &r, now);
	CHECK_LAST("rejected", "NUL byte");
}

/* What somebody copied from a manual, and is no text for a unit; the reason says what to publish. */
static void test_what_is_no_text(void **state)
{
	static const struct {
		const char *payload, *reason;
	} rows[] = {
		{"*HQ," IDENT ",S20,130305,1,1#", "publish what stands behind its ident alone: S20,130305,1,1"},
		{"  \"*HQ," IDENT ",S20,130305,1,1#\"  ", "publish what stands behind its ident alone"},
		{"engine.stop", "is a named command, not a text; publish {\\\"command\\\":\\\"engine.stop\\\""},
		{"Engine.Stop", "is a named command"},
		{"engine.stop now", "is a named command"},
		{"[\"payload\"]", "JSON is no command text"},
		{" {\"payload\":\"R7\"}", "JSON is no command text"},
		{"D1,000000,0,0", NULL},
		{"engine.stopped", NULL},
		{"7e 82 01 00 00 00 91 70 50 38 16 00 00 1c 7e", "{\\\"command\\\":\\\"position.request\\\"}"},
		{"0x7E8201000000917050381600001C7E", "publish a named command"},
		{"2a48512c393137303530333831362c5332302c3133303330352c312c3123", "alone: S20,130305,1,1"},
	};
	(void)state;
	world.here = true;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		queue_len = 0;
		ask(rows[i].payload);
		if (rows[i].reason == NULL ? queue_len != 1
					   : !last_is("rejected") || strstr(last.json, rows[i].reason) == NULL)
			fail_msg("%s: %s", rows[i].payload, last.json);
	}
}

static void test_topics_of_no_unit_are_ignored(void **state)
{
	static const char *const topics[] = {"trackers/bridge/cmd", "trackers/a+b/cmd", "trackers//cmd",
		"other/1/cmd", "trackers/123456789012345678901/cmd", "trackers/1/cmd/reply"};
	(void)state;
	for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++) {
		struct route_message r = request_of("R7");
		r.topic = span_text(topics[i]);
		downlink_message(downlink, &r, now);
	}
	assert_int_equal(replies, 0);
	assert_int_equal(counted(STAT_COMMANDS), 0);
}

/* A reply for which the outbox has no room is lost; the command itself goes on. */
static void test_a_lost_reply_does_not_end_the_command(void **state)
{
	(void)state;
	world.here = true;
	no_room = true;
	ask("R7,130305");
	unit_reads();
	assert_int_equal(on_wire, 1);
	no_room = false;
	pass(30000);
	CHECK_LAST("timeout", "did not answer in time");
}

static void test_durations(void **state)
{
	(void)state;
	static const struct {
		const char *timeout;
		int64_t ms; /* 0: rejected */
	} rows[] = {{"7", 7000}, {"0.5", 500}, {"\"7s\"", 7000}, {"\"1h\"", 3600000}, {"\"2m\"", 120000},
		{"\"7\"", 0}, {"\"150ms\"", 150}, {"\"30d\"", 30 * DAY}, {"\"31d\"", 0}, {"\"1w\"", 0},
		{"\"1 h\"", 0}, {"\"\"", 0}, {"\"-1s\"", 0}, {"\"1.5h\"", 0}, {"\"0\"", 0}, {"true", 0},
		{"\"99999999999999999999s\"", 0}};
	world.here = true;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[100];
		snprintf(text, sizeof(text), "{\"payload\":\"R7\",\"timeout\":%s}", rows[i].timeout);
		ask(text);
		if (rows[i].ms == 0) {
			CHECK_LAST("rejected", "timeout must be");
			continue;
		}
		unit_reads();
		pass(rows[i].ms - 1);
		CHECK_LAST("sent", NULL);
		pass(1);
		CHECK_LAST("timeout", "did not answer in time");
	}
	world.here = false;
	ask("{\"payload\":\"R7\",\"hold\":\"1m\"}");
	pass(59999);
	CHECK_LAST("held", NULL);
	pass(1);
	CHECK_LAST("expired", "did not come in time");
}

/* A text of a protocol without delimiters may end with #; behind a # nobody has allowed anything. */
static void test_allow_and_texts_with_a_hash(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool allowed;
	} rows[] = {{"WHERE#", true}, {"WHERE,1#", true}, {"WHERE", true}, {"WHERE#RELAY,1#", false},
		{"WHERE,1#RELAY,1", false}, {"RELAY,1#", false}, {"WHERE##", false}, {"#", false}};
	world.here = true;
	world.unit.codec = codec_find(span_text("jt808"));
	free(config.commands.allow);
	config.commands.allow = strdup("D1, WHERE");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ask(rows[i].text);
		unit_reads();
		if (last_is("sent") != rows[i].allowed || last_is("rejected") == rows[i].allowed)
			fail_msg("%s: %s", rows[i].text, last.json);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_durations, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_allow_and_texts_with_a_hash, set_up, tear_down),
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(test_sent_and_answered),
		TEST(test_binary_frames_are_told_as_hex),
		TEST(test_an_answer_belongs_to_the_oldest_of_the_surest),
		TEST(test_timeout),
		TEST(test_held_sent_and_expired),
		TEST(test_message_expiry),
		TEST(test_offline),
		TEST(test_the_unit_comes_back_on_a_new_connection),
		TEST(test_the_bridge_stops),
		TEST(test_a_retained_command_is_never_executed),
		TEST(test_the_allow_list),
		TEST(test_too_many_for_a_unit),
		TEST(test_too_long_for_the_protocol),
		TEST(test_faulty_requests),
		TEST(test_what_is_no_text),
		TEST(test_topics_of_no_unit_are_ignored),
		TEST(test_a_lost_reply_does_not_end_the_command),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
