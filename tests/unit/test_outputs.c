// SPDX-License-Identifier: MIT
/* test_outputs: the status of a unit, now or later, and cleared; what an address may fill of the outbox; what became of a command. */
#include "outputs_world.h"

#include "bridge/outputs/records.h"
#include "bridge/outputs/status.h"

#define STATUS "trackers/" IDENT "/status"

static struct status *status;
static struct records *records;

static int set_up(void **state)
{
	(void)state;
	world_open();
	status = status_open(&config, publish);
	records = records_open(&config, publish, sessions, &stats);
	assert_true(status != NULL && records != NULL);
	listen_to(status_listener(status));
	listen_to(records_listener(records));
	listen_to(records_alarm_listener(records));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	records_free(records);
	status_free(status);
	world_close();
	return 0;
}

static unsigned tell(struct session *session)
{
	return events_tell(&events, events.presence, session, now);
}

/* --- status --- */

static void test_status(void **state)
{
	struct session *session = remembered(IDENT, 0);
	(void)state;
	goes_off_line(session, NULL);
	assert_int_equal(tell(session), 0);
	expect(STATUS, true);
	assert_string_equal(got.text, "{\"state\":\"offline\",\"since\":1799996400,\"instance\":\"here\","
				      "\"session\":0,\"reason\":\"\"}");
	comes_on_line(session, 1);
	assert_int_equal(tell(session), 0);
	expect(STATUS, true);
	assert_string_equal(got.text, "{\"state\":\"online\",\"since\":1800000000,\"instance\":\"here\","
				      "\"session\":7,\"protocol\":\"h02\",\"transport\":\"udp\","
				      "\"peer\":\"203.0.113.1:50112\"}");
	goes_off_line(session, "closed by the unit");
	distrust(session);
	assert_int_equal(tell(session), 0);
	expect(STATUS, false);
	assert_true(says("\"protocol\":\"h02\",\"reason\":\"closed by the unit\"}"));
	expect_nothing();
}

/* What is retained of a unit keeps the time of its newest position. */
static void test_status_keeps_the_newest(void **state)
{
	struct session *session = remembered(IDENT, 12345);
	int64_t value = 0;
	(void)state;
	assert_int_equal(tell(session), 0);
	assert_true(outbox_recall(outbox, span_text(IDENT), &value));
	assert_int_equal(value, 12345);
	session = remembered("1001", 0);
	distrust(session);
	assert_int_equal(tell(session), 0);
	assert_false(outbox_recall(outbox, span_text("1001"), &value));
}

static void test_status_that_finds_no_room_is_told_later(void **state)
{
	struct session *session = on_line(IDENT);
	(void)state;
	fill_outbox();
	assert_int_equal(tell(session), events_bit(&events, status_listener(status)));
	session_tell_later(sessions, session, status_listener(status));
	assert_false(sessions_catch_up(sessions, false, now));
	take_all();
	goes_off_line(session, "meanwhile");
	catch_up();
	expect(STATUS, true);
	assert_true(says("\"reason\":\"meanwhile\"")); /* as it is then */
	catch_up();
	expect_nothing();
}

/* At the stop there is no later time: the room that is kept for what is no record may be used. */
static void test_status_at_the_stop(void **state)
{
	static uint8_t bytes[1000];
	struct session *session = on_line(IDENT);
	const struct outbox_message m = {.topic = span_text("filler"), .payload = span_of(bytes, 1000)};
	(void)state;
	while (outbox_room(outbox))
		assert_true(outbox_put(outbox, &m) != 0);
	session_tell_later(sessions, session, status_listener(status));
	assert_false(sessions_catch_up(sessions, false, now));
	assert_int_equal(session->due, events_bit(&events, status_listener(status)));
	assert_false(sessions_catch_up(sessions, true, now));
	assert_int_equal(session->due, 0);
}

/* --- cleared --- */

static void test_forgotten(void **state)
{
	struct session *session = remembered(IDENT, 0);
	int64_t value;
	(void)state;
	session->codec = codec_find(span_text("h02"));
	fix(NOW_MS);
	assert_true(give(session));
	assert_int_equal(tell(session), 0);
	assert_true(outbox_recall(outbox, span_text(IDENT), &value));
	take_all();
	session->since_ms = now.unix_ms - config.units.remember - 1;
	refuse = 2; /* the second message */
	sessions_tick(sessions, now);
	expect_empty("trackers/" IDENT "/position");
	expect_nothing();
	assert_true(outbox_recall(
		outbox, span_text(IDENT), &value)); /* else nothing would clear the status after a restart */
	sessions_tick(sessions, now);
	expect_empty("trackers/" IDENT "/position");
	expect_empty(STATUS);
	expect_nothing();
	assert_false(outbox_recall(outbox, span_text(IDENT), &value));
	assert_null(session_codec(sessions, span_text(IDENT)));
}

static void test_a_name_that_is_no_longer_one(void **state)
{
	int64_t value;
	(void)state;
	assert_int_equal(tell(remembered(IDENT, 77)), 0);
	take_all();
	use_units_file("[" IDENT "]\ntopic = van\n");
	use_units_file("[" IDENT "]\ntopic = bus\n");
	refuse = 1;
	assert_true(sessions_catch_up(sessions, false, now));
	expect_nothing();
	refuse = 4; /* the new status */
	assert_false(sessions_catch_up(sessions, false, now));
	expect_empty("trackers/van/position");
	expect_empty("trackers/van/status");
	assert_true(
		outbox_recall(outbox, span_text(IDENT), &value)); /* the unit is not forgotten with the name */
	catch_up();
	expect("trackers/bus/status", true);
	expect_nothing();
	assert_true(outbox_recall(outbox, span_text(IDENT), &value));
	assert_int_equal(value, 77);
}

/* --- what an address may fill --- */

/* Fills up to this part of the outbox, in the name of an address. */
static void fill_as(size_t conn, size_t sixteenths)
{
	static uint8_t bytes[4000];
	struct topic topic = topic_unit("trackers", "1", "x");
	while (outbox_bytes(outbox) < (size_t)config.outbox.size / 16 * sixteenths) {
		struct outbox_message m = publish_message(publish, "1", &topic, now.unix_ms);
		struct writer w = publish_writer(publish);
		writer_bytes(&w, bytes, sizeof(bytes));
		assert_true(publish_put(publish, &m, &w, conn < CONNS ? conn_at(conn) : NULL, now));
	}
}

static bool may(size_t conn)
{
	return events_share(&events, conn_at(conn), now);
}

static void test_share_of_one_that_is_alone(void **state)
{
	(void)state;
	fill_as(0, 14);
	assert_true(may(0)); /* nobody else is here */
	assert_true(may(1)); /* and it leaves room */
	fill_as(1, 15);
	assert_false(may(0)); /* now there is another one */
	pass(10 * 60 * 1000);
	fill_as(0, 15);
	assert_false(may(0));
}

static void test_share_beside_others(void **state)
{
	(void)state;
	fill_as(1, 1);
	pass(1000);
	fill_as(0, 11);
	assert_true(may(0)); /* three quarters are everybody's */
	fill_as(0, 13);
	assert_false(may(0));
	assert_true(may(1));
	assert_true(may(2));
	conn_known[0] = true; /* the units file names one of its units */
	assert_true(may(0));
	conn_known[0] = false;
	pass(10 * 60 * 1000);
	assert_false(may(0));
	pass(1);
	assert_true(may(0)); /* the other one has put nothing in for ten minutes */
	take_all();
	fill_as(2, 1); /* little waits: the accounts begin anew */
	fill_as(CONNS, 13);
	assert_true(may(0));
}

static void test_batches(void **state)
{
	(void)state;
	assert_int_equal(events_batch(&events, 1), CODEC_ROOM_YES);
	assert_int_equal(events_batch(&events, (size_t)config.outbox.size / 2 / 4096), CODEC_ROOM_YES);
	assert_int_equal(events_batch(&events, (size_t)config.outbox.size / 2 / 4096 + 1), CODEC_ROOM_NEVER);
	fill_as(CONNS, 14);
	assert_int_equal(events_batch(&events, 100), CODEC_ROOM_NOT_NOW);
}

static void test_too_long_a_message(void **state)
{
	struct topic topic = topic_unit("trackers", "1", "x");
	struct outbox_message m = publish_message(publish, "1", &topic, now.unix_ms);
	(void)state;
	log_open(LOG_LEVEL_ERROR);
	struct writer w = publish_writer(publish);
	while (!w.full)
		writer_text(&w, "0123456789abcdef");
	assert_false(publish_put(publish, &m, &w, NULL, now));
	expect_nothing();
}

/* --- commands --- */

static void test_replies(void **state)
{
	const struct span none = span_of(NULL, 0), json = span_text("{}"), answers = span_text("answers/x"),
			  own = span_text("trackers/van/cmd/reply"), id = span_text("7");
	(void)state;
	assert_true(publish_reply(publish, IDENT, "van", json, none, none, now.unix_ms));
	expect("trackers/van/cmd/reply", false);
	assert_true(publish_reply(publish, IDENT, "van", json, answers, id, now.unix_ms));
	expect("trackers/van/cmd/reply", false);
	expect("answers/x", false);
	assert_true(publish_reply(publish, IDENT, "van", json, own, id, now.unix_ms));
	expect("trackers/van/cmd/reply", false);
	expect_nothing();
	refuse = 1;
	assert_false(publish_reply(publish, IDENT, "van", json, answers, id, now.unix_ms));
	expect("answers/x", false); /* each has its own chance */
	refuse = 2;
	assert_false(publish_reply(publish, IDENT, "van", json, answers, id, now.unix_ms));
	expect("trackers/van/cmd/reply", false);
	expect_nothing();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_status, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_status_keeps_the_newest, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_status_that_finds_no_room_is_told_later, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_status_at_the_stop, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_forgotten, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_name_that_is_no_longer_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_share_of_one_that_is_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_share_beside_others, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_batches, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_too_long_a_message, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_replies, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
