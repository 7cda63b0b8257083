// SPDX-License-Identifier: MIT
/* test_kept: requests that wait when the bridge ends go on after it starts anew: held ones for the rest of their time; one that was sent,
 * or may have been, is never sent again and ends as answered or timeout. Its end and its being forgotten are stored together. */
#include "downlink_world.h"

#include <unistd.h>

static char path[] = "/tmp/t2m-kept-XXXXXX";
static struct outbox *outbox;

static void open_all(void)
{
	char why[300];
	const struct outbox_options store = {path, 4 << 20, OUTBOX_SYNC_NEVER, 1000, OUTBOX_DAMAGED_REFUSE};
	outbox = outbox_open(&store, why, sizeof(why));
	if (outbox == NULL)
		fail_msg("%s", why);
	downlink_free(downlink);
	downlink = downlink_open(&config, &world, NULL, outbox, &stats);
	assert_non_null(downlink);
	queue_len = 0;
	downlink_restore(downlink, now);
}

/* The process ends; `lost`: what was not stored before is lost with it. */
static void start_anew(int64_t away_ms)
{
	outbox_close(outbox);
	now.unix_ms += away_ms;
	now.steady_ms = 77; /* another machine's steady clock, or after a boot */
	open_all();
}

static void open_clean(void)
{
	char command[100];
	snprintf(command, sizeof(command), "rm -rf %s", path);
	assert_int_equal(system(command), 0);
	open_all();
}

static void comes_online(void)
{
	world.here = true;
	downlink_listener(downlink)->ready(downlink, &world.unit, now);
}

static struct command_reply answer(const char *word, const char *time)
{
	struct command_reply reply = {.token = {.serial = -1}, .frame = span_text("*the unit's words#")};
	strcpy(reply.token.word, word);
	strcpy(reply.token.time, time);
	return reply;
}

static void test_held_goes_on(void **state)
{
	(void)state;
	open_clean();
	ask("{\"payload\":\"R7,130305\",\"id\":\"a\",\"hold\":\"1m\"}");
	ask("{\"command\":\"engine.stop\",\"id\":\"b\",\"hold\":3600,\"timeout\":7}");
	assert_true(last_is("held"));
	start_anew(20000);
	unsigned before = replies;
	pass(39999);
	assert_int_equal(replies, before);
	pass(1);
	assert_true(last_is("expired"));
	assert_non_null(strstr(last.json, "\"id\":\"a\""));
	start_anew(1000);
	comes_online();
	assert_int_equal(queue_len, 1);
	unit_reads();
	assert_true(last_is("sent"));
	assert_non_null(strstr(last.json, "\"id\":\"b\""));
	assert_non_null(strstr(last.json, "\"command\":\"engine.stop\""));
	pass(7000);
	assert_true(last_is("timeout"));
	before = replies;
	start_anew(0);
	comes_online();
	pass(DAY);
	assert_int_equal(replies, before);
	outbox_close(outbox);
}

/* A clock that was set while the bridge was away makes no command wait longer than it was to wait. */
static void test_the_clock_was_set(void **state)
{
	(void)state;
	const int64_t jumps[] = {-30 * DAY, 30 * DAY};
	for (size_t i = 0; i < 2; i++) {
		world.here = false;
		open_clean();
		ask("{\"payload\":\"R7,130305\",\"hold\":60}");
		start_anew(jumps[i]);
		pass(60000);
		assert_true(last_is("expired"));
		outbox_close(outbox);
	}
}

static void test_sent_is_not_sent_again(void **state)
{
	(void)state;
	static const char *const ends[] = {"timeout", "answered"};
	for (unsigned queued = 0; queued < 2; queued++) {
		for (unsigned answers = 0; answers < 2; answers++) {
			open_clean();
			world.here = true;
			ask("{\"payload\":\"S20,130305,1,1\",\"id\":\"a\",\"timeout\":30}");
			if (!queued)
				unit_reads();
			unsigned before = replies;
			world.here = false;
			start_anew(5000);
			comes_online();
			assert_int_equal(queue_len, 0);
			downlink_listener(downlink)->offline(downlink, &world.unit, "again", now);
			comes_online();
			pass(24000);
			assert_int_equal(replies, before);
			const struct command_reply reply = answer("S20", "130305");
			if (answers)
				downlink_listener(downlink)->reply(downlink, &world.unit, &reply, now);
			else
				pass(1000);
			assert_int_equal(replies, before + 1);
			assert_true(last_is(ends[answers]));
			assert_non_null(strstr(last.json, "\"id\":\"a\""));
			assert_non_null(strstr(last.json, ",S20,130305,1,1#"));
			pass(DAY);
			start_anew(0);
			pass(DAY);
			assert_int_equal(replies, before + 1);
			outbox_close(outbox);
		}
	}
}

static void test_a_clean_stop_ends_nothing_that_is_kept(void **state)
{
	(void)state;
	open_clean();
	ask("{\"payload\":\"R7,130305\",\"id\":\"held\",\"hold\":60}");
	world.here = true;
	ask("{\"payload\":\"R7,130306\",\"id\":\"sent\"}");
	unit_reads();
	unsigned before = replies;
	downlink_stop(downlink, now);
	downlink_listener(downlink)->offline(downlink, &world.unit, "the bridge stops", now);
	assert_int_equal(replies, before);
	world.here = false;
	start_anew(1000);
	pass(60000);
	assert_int_equal(replies, before + 2);
	outbox_close(outbox);
}

static void test_what_is_no_longer_allowed(void **state)
{
	(void)state;
	open_clean();
	ask("{\"payload\":\"R7,130305\",\"id\":\"held\",\"hold\":60}");
	config.commands.enabled = false;
	start_anew(1000);
	assert_true(last_is("rejected"));
	unsigned before = replies;
	start_anew(0);
	comes_online();
	assert_int_equal(queue_len, 0);
	assert_int_equal(replies, before);
	outbox_close(outbox);
}

/* Response topic and correlation data come back, and a number for each end. */
static void test_where_the_end_goes(void **state)
{
	(void)state;
	open_clean();
	struct route_message r = request_of("{\"payload\":\"R7,130305\",\"hold\":60}");
	r.response_topic = span_text("answers/here");
	r.correlation = span_text("abc");
	downlink_message(downlink, &r, now);
	assert_string_equal(last.response, "");
	start_anew(1000);
	pass(60000);
	assert_true(last_is("expired"));
	assert_string_equal(last.response, "answers/here");
	assert_int_equal(last.correlation, 3);
	outbox_close(outbox);
}

/* One that takes pages of its own in the store. */
static void test_a_long_request(void **state)
{
	(void)state;
	char text[8000];
	open_clean();
	snprintf(text, sizeof(text), "{\"payload\":\"R7,130305\",\"hold\":60,%*s\"id\":\"long\"}", 7800, "");
	ask(text);
	assert_true(last_is("held"));
	start_anew(1000);
	comes_online();
	unit_reads();
	assert_true(last_is("sent"));
	assert_non_null(strstr(last.json, "\"id\":\"long\""));
	start_anew(1000);
	pass(DAY);
	assert_true(last_is("timeout"));
	start_anew(0);
	unsigned before = replies;
	pass(DAY);
	assert_int_equal(replies, before);
	outbox_close(outbox);
}

/* More than an eighth of the outbox is rejected, and nothing that was taken is lost. */
static void test_room(void **state)
{
	(void)state;
	char text[400] = "{\"payload\":\"R7,";
	open_clean();
	config.commands.max_held_per_unit = 1000000;
	memset(text + strlen(text), 'x', 300);
	strcat(text, "\",\"hold\":60}");
	unsigned held = 0;
	for (ask(text); last_is("held"); ask(text))
		held++;
	assert_true(last_is("rejected"));
	assert_non_null(strstr(last.json, "no room to keep"));
	assert_in_range(held, 500, 2000);
	unsigned before = replies;
	start_anew(1000);
	pass(60000);
	assert_int_equal(replies, before + held);
	assert_true(outbox_sync(outbox));
	ask(text);
	assert_true(last_is("held"));
	outbox_close(outbox);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_held_goes_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_clock_was_set, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sent_is_not_sent_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_clean_stop_ends_nothing_that_is_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_no_longer_allowed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_where_the_end_goes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_long_request, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_room, set_up, tear_down),
	};
	int failed = mkdtemp(path) == NULL || cmocka_run_group_tests(tests, NULL, NULL) != 0;
	char command[100];
	snprintf(command, sizeof(command), "rm -rf %s", path);
	return system(command) != 0 || failed;
}
