// SPDX-License-Identifier: MIT
/* test_requester: whoever may publish commands can fill neither memory nor outbox nor log, and nobody reads in the log what
 * a command carries. */
#include "downlink_world.h"

static char *log_text;
static size_t log_size;
static FILE *log_saved;

static void log_begin(enum log_level level)
{
	log_saved = stderr;
	stderr = open_memstream(&log_text, &log_size);
	assert_non_null(stderr);
	log_open(level);
}

/* The lines; free them. */
static char *log_end(void)
{
	fclose(stderr);
	stderr = log_saved;
	log_open(LOG_LEVEL_ERROR);
	return log_text;
}

static unsigned count_of(const char *text, const char *part)
{
	unsigned n = 0;
	for (const char *p = text; (p = strstr(p, part)) != NULL; p += strlen(part))
		n++;
	return n;
}

/* --- what whoever may command can do --- */

static void test_big_requests(void **state)
{
	char text[8192];
	const struct {
		const char *head, *part, *tail, *reason;
	} rows[] = {{"{\"command\":\"restart\",\"args\":{\"a\":1", ",\"a%u\":1", "}}", "at most 32"},
		{"{\"command\":\"restart\"", ",\"k%u\":1", "}", "at most 32"},
		{"{\"command\":\"restart\",\"args\":{\"a\":[0", ",%u", "]}}", "wrong type"},
		{"{\"command\":\"restart\",\"args\":{\"a\":{\"b\":0", ",\"b\":%u", "}}}", "wrong type"},
		{"{\"command\":\"report.interval\",\"args\":{\"interval\":1", "%1u", "}}", "wrong type"},
		{"{\"payload\":\"R7\",\"timeout\":1e40", "%1u", "}", "number of seconds"},
		{"{\"payload\":\"R7\",\"id\":\"", "%u", "\"}", "1 to 200 bytes"},
		{"{\"payload\":\"R7\",\"hold\":", "[", "}", "broken JSON"}};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t n = (size_t)snprintf(text, sizeof(text), "%s", rows[i].head);
		for (unsigned k = 0; n < 8000; k++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
			n += (size_t)snprintf(text + n, sizeof(text) - n, rows[i].part, k);
#pragma GCC diagnostic pop
		}
		snprintf(text + n, sizeof(text) - n, "%s", rows[i].tail);
		ask(text); /* the unit is absent, and its protocol known; and one that nobody knows: */
		if (!last_is("rejected") || strstr(last.json, rows[i].reason) == NULL)
			fail_msg("%.60s: %s", text, last.json);
		struct route_message r = request_of(text);
		r.topic = span_text("trackers/4711/cmd");
		downlink_message(downlink, &r, now);
		if (!last_is("rejected") && !last_is("offline"))
			fail_msg("%.60s: %s", text, last.json);
		assert_int_equal(queue_len, 0);
	}
}

/* Held for units that nobody knows, each as large as it may be. */
static void test_what_waits_is_bounded(void **state)
{
	static uint8_t data[1024];
	char text[8100], topic[60];
	unsigned held = 0;
	(void)state;
	size_t n = (size_t)snprintf(text, sizeof(text), "{\"hold\":900,\"command\":\"a\",\"args\":{\"a\":\"");
	memset(text + n, 'x', 8000);
	strcpy(text + n + 8000, "\"}}");
	do {
		struct route_message r = request_of(text);
		snprintf(topic, sizeof(topic), "trackers/%u/cmd", ++held);
		r.topic = span_text(topic);
		r.correlation = span_of(data, sizeof(data));
		downlink_message(downlink, &r, now);
		if (held % 5000 == 0)
			now.steady_ms += 10000; /* no flood */
	} while (last_is("held") && held < 50000);
	assert_true(last_is("rejected"));
	assert_non_null(strstr(last.json, "too many commands are waiting"));
	assert_in_range(held, 5000, 20000);
	pass(900000); /* all of it is over, and there is room again */
	assert_true(last_is("expired"));
	ask("{\"payload\":\"R7\",\"hold\":9}");
	assert_true(last_is("held"));
}

/* Held for a moment only, again and again. */
static void test_short_holds_are_no_way_around(void **state)
{
	char topic[60];
	unsigned before = replies;
	(void)state;
	for (unsigned n = 0; n < 36000; n++) {
		struct route_message r = request_of("{\"payload\":\"R7\",\"hold\":0.1}");
		snprintf(topic, sizeof(topic), "trackers/%u/cmd", n);
		r.topic = span_text(topic);
		downlink_message(downlink, &r, now);
		if (n % 1000 == 999)
			pass(250);
	}
	pass(250);
	assert_int_equal(replies - before, 2 * 10000); /* held, expired */
	assert_int_equal(stats.count[STAT_COMMANDS_UNTOLD], 26000);
}

static void test_a_flood_fills_neither_log_nor_outbox(void **state)
{
	static const char *const floods[] = {"*", "R7", "{\"x\\ny\":1}"}; /* rejected, absent, rejected */
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		unsigned before = replies;
		uint64_t untold = stats.count[STAT_COMMANDS_UNTOLD];
		log_begin(LOG_LEVEL_INFO);
		for (unsigned n = 0; n < 50000; n++)
			ask(floods[i]);
		pass(60000);
		char *lines = log_end();
		assert_in_range(count_of(lines, "\n"), 10, 50);
		assert_int_equal(count_of(lines, "more commands were"), 1);
		assert_non_null(strstr(lines, "and 49970 more commands were"));
		free(lines);
		assert_int_equal(replies - before, 10000);
		assert_int_equal(stats.count[STAT_COMMANDS_UNTOLD] - untold, 40000);
		ask("R7"); /* and then as before */
		assert_int_equal(replies - before, 10001);
		pass(60000);
	}
	log_begin(LOG_LEVEL_INFO);
	for (unsigned n = 0; n < 1000; n++) {
		struct route_message r = request_of("R7");
		r.topic = span_text("trackers/no.ident/cmd");
		downlink_message(downlink, &r, now);
	}
	char *lines = log_end();
	assert_in_range(count_of(lines, "\n"), 1, 5);
	free(lines);
}

/* Words of a request that nobody else may read: no line above debug has them. */
static void test_secrets_are_not_logged(void **state)
{
	static const char *const requests[] = {"8040000 net user hunter2", "S23,000000,net,user,hunter2",
		"APN123456 hunter2", "hunter2", "hunter2#", "{\"command\":\"hunter2\"}",
		"{\"command\":\"apn.set\",\"args\":{\"name\":\"hunter2\"}}",
		"{\"command\":\"apn.set\",\"args\":{\"hunter2\":\"x\"}}", "{\"hunter2\":1}",
		"{\"payload\":\"S23,hunter2\",\"hunter2\":1}", "{\"hunter2\":1,\"hunter2\":2}",
		"{\"payload\":\"hunter2\",\"id\":\"hunter2\",\"hold\":1}"};
	(void)state;
	for (unsigned here = 0; here < 2; here++) {
		log_begin(LOG_LEVEL_INFO);
		for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
			world.here = here == 1;
			ask(requests[i]);
			if (i % 2 == 0)
				unit_reads();
			pass(31000);
		}
		char *lines = log_end();
		assert_in_range(count_of(lines, "command for unit " IDENT), 12, 12);
		const char *told = strstr(lines, "hunter2");
		if (told != NULL)
			fail_msg("...%.100s", told - 60);
		free(lines);
	}
	log_begin(LOG_LEVEL_DEBUG);
	ask(requests[1]);
	unit_reads();
	char *lines = log_end();
	assert_non_null(strstr(lines, "hunter2"));
	free(lines);
}

static void test_one_line_says_how_a_command_ended(void **state)
{
	struct command_reply reply = {.token = {.word = "S20", .serial = -1}};
	(void)state;
	world.here = true;
	log_begin(LOG_LEVEL_NOTICE);
	ask("{\"command\":\"engine.stop\"}");
	unit_reads();
	downlink_listener(downlink)->reply(downlink, &world.unit, &reply, now);
	world.here = false;
	ask("S20,1");
	char *lines = log_end();
	assert_int_equal(count_of(lines, "\n"), 2);
	assert_non_null(strstr(lines, "notice: command for unit " IDENT ": engine.stop: answered\n"));
	assert_non_null(strstr(
		lines, "notice: command for unit " IDENT ": a text: offline: the unit is not connected\n"));
	free(lines);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(test_big_requests),
		TEST(test_what_waits_is_bounded),
		TEST(test_short_holds_are_no_way_around),
		TEST(test_a_flood_fills_neither_log_nor_outbox),
		TEST(test_secrets_are_not_logged),
		TEST(test_one_line_says_how_a_command_ended),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
