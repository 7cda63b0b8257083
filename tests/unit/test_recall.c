// SPDX-License-Identifier: MIT
/* test_recall: what is known of units outlives the process: with a real outbox on disk that is closed or, as by a kill, abandoned; who is
 * awaited, who is off line, what is told again, what is forgotten. */
#include "outputs_world.h"

#include "bridge/outputs/records.h"
#include "bridge/outputs/state.h"
#include "bridge/outputs/status.h"

#include <assert.h>

#define STATUS "trackers/" IDENT "/status"
#define STATE "trackers/" IDENT "/state"
#define MINUTE 60000LL

static char path[] = "/tmp/t2m-recall-XXXXXX";
static struct status *status;
static struct records *records;
static struct state *state;
static struct session *unit;

static void run(const char *format)
{
	char command[200];
	snprintf(command, sizeof(command), format, path, path, path);
	assert_int_equal(system(command), 0);
}

static struct notebook *notebook(void)
{
	return publish_notebook(publish);
}

static void on_remembered(void *ctx, struct span ident, int64_t value, int64_t put_ms)
{
	(void)ctx;
	sessions_remember(sessions, ident, value, put_ms);
}

static void on_note(void *ctx, struct span name, struct span value)
{
	(void)ctx;
	if (span_is(span_part(name, 0, 1), "#"))
		state_recall_table(state, name, value);
	else
		assert_true(sessions_recall(sessions, name, value));
}

/* The process starts, on what `path` has. */
static void start(void)
{
	struct moment then = now;
	outbox_path = path;
	world_open();
	config.publish.state = PUBLISH_STATE_YES;
	now = then.unix_ms > 0 ? then : now;
	status = status_open(&config, publish);
	records = records_open(&config, publish, sessions, &stats);
	state = state_open(&config, publish, sessions);
	assert_true(status != NULL && records != NULL && state != NULL);
	listen_to(notebook_listener(notebook()));
	listen_to(status_listener(status));
	listen_to(records_listener(records));
	listen_to(records_alarm_listener(records));
	listen_to(state_listener(state));
	outbox_remembered(outbox, on_remembered, NULL);
	notebook_read(notebook(), on_note, NULL);
	state_recalled(state);
	use_units_file("[7]\n");
	sessions_expect(sessions, now);
	state_gate(state, true);
}

static void end(void)
{
	state_free(state);
	records_free(records);
	status_free(status);
	world_close();
}

static void turn(void)
{
	catch_up();
	while (state_turn(state, false, now) == 0)
		;
	notebook_turn(notebook(), false, now);
	assert_true(outbox_sync(outbox));
}

/* It ends as by a kill: what was not stored is lost. Messages that were stored are given again; they go to the broker. */
static void kill_and_start(int64_t away_ms)
{
	run("rm -rf %s.killed && cp -r %s %s.killed");
	end();
	run("rm -rf %s && mv %s.killed %s");
	now.unix_ms += away_ms;
	now.steady_ms = 1000;
	start();
	take_all();
}

static void find(void *ctx, struct session *session)
{
	if (strcmp(session->unit.ident, IDENT) == 0)
		*(struct session **)ctx = session;
}

static struct session *found(void)
{
	struct session *session = NULL;
	sessions_each(sessions, find, &session);
	return session;
}

static int set_up(void **s)
{
	(void)s;
	run("rm -rf %s && mkdir -p %s");
	now = (struct moment){0};
	start();
	unit = on_line(IDENT);
	unit->trusted = true;
	return 0;
}

static int tear_down(void **s)
{
	(void)s;
	end();
	run("rm -rf %s %s.killed");
	return 0;
}

/* The sessions tell it when the unit comes and goes. */
static void tell_presence(void)
{
	assert_int_equal(events_tell(&events, events.presence, unit, now), 0);
}

static void give_fix(int64_t when, int64_t sos)
{
	fix(when);
	telemetry_set(&t, TM_SOS_ALARM, sos);
	assert_true(give(unit));
}

static bool got_one_on(const char *topic)
{
	while (next())
		if (strcmp(got.topic, topic) == 0)
			return true;
	return false;
}

/* --- */

static void test_one_on_line_is_awaited_and_then_off_line(void **s)
{
	(void)s;
	tell_presence();
	give_fix(NOW_MS - MINUTE, 0);
	turn();
	take_all();
	kill_and_start(5 * MINUTE);
	unit = found();
	assert_true(unit != NULL && unit->awaited && session_is_online(unit) && unit->trusted);
	assert_string_equal(unit->codec->name, "h02");
	sessions_tell_all_again(sessions); /* the broker is back, too */
	turn();
	assert_false(got_one_on(STATUS)); /* what was told holds */
	pass(config.units.comes_back - 1);
	sessions_tick(sessions, now);
	turn();
	assert_true(unit->awaited);
	take_all();
	pass(1);
	sessions_tick(sessions, now);
	turn();
	assert_true(got_one_on(STATUS) && got.retain);
	assert_true(says("\"state\":\"offline\"") && says("did not come back after a restart"));
	assert_true(says("\"since\":1800000300,") && says("\"protocol\":\"h02\""));
	turn();
	pass(2 * config.publish.state_interval);
	turn();
	/* and that is kept in turn */
	kill_and_start(MINUTE);
	unit = found();
	assert_true(unit != NULL && !unit->awaited && unit->since_ms == NOW_MS + 5 * MINUTE);
	assert_string_equal(unit->reason, "did not come back after a restart");
	turn();
	assert_true(got_one_on(STATUS) && says("\"state\":\"offline\""));
}

static void test_one_that_comes_back_in_time(void **s)
{
	(void)s;
	tell_presence();
	give_fix(NOW_MS, 0);
	turn();
	kill_and_start(MINUTE);
	unit = found();
	comes_on_line(unit, 1);
	unit->awaited = false; /* as session_arrival does */
	tell_presence();
	pass(config.units.comes_back);
	take_all();
	sessions_tick(sessions, now);
	turn();
	assert_false(got_one_on(STATUS));
}

static void test_one_that_was_off_line_stays_so(void **s)
{
	(void)s;
	give_fix(NOW_MS, 0);
	goes_off_line(unit, "closed by the unit");
	unit->since_ms = now.unix_ms;
	tell_presence();
	turn();
	kill_and_start(MINUTE);
	unit = found();
	assert_true(unit != NULL && !session_is_online(unit) && unit->since_ms == NOW_MS);
	take_all();
	turn(); /* the broker may have lost it meanwhile */
	assert_true(got_one_on(STATUS) && says("closed by the unit") && says("\"since\":1800000000,"));
	turn();
	assert_true(got_one_on(STATE) || got_one_on(STATE) || says("22.5"));
}

/* What a report within the interval changed in a state that was not published. */
static void test_what_a_kill_may_lose(void **s)
{
	(void)s;
	tell_presence();
	give_fix(NOW_MS, 0);
	turn();
	pass(config.publish.state_interval);
	turn();
	give_fix(NOW_MS + 100, 0); /* is published, and kept with that */
	turn();
	give_fix(NOW_MS + 500, 0);
	turn();
	kill_and_start(0);
	unit = found();
	take_all();
	comes_on_line(unit, 0);
	give_fix(NOW_MS + 200, 0); /* newer than the note, older than the newest position */
	expect("trackers/" IDENT "/position", false);
	assert_true(got_one_on(STATE));
	assert_true(says("\"timestamp\":1800000000.2"));
}

/* What was published is not taken back. */
static void test_a_published_state_is_kept(void **s)
{
	(void)s;
	tell_presence();
	turn();
	give_fix(NOW_MS - MINUTE, 0);
	assert_true(got_one_on(STATE) && says("\"timestamp\":1799999940"));
	turn(); /* no interval has passed */
	kill_and_start(0);
	turn();
	pass(config.units.comes_back);
	sessions_tick(sessions, now);
	turn();
	assert_true(got_one_on(STATE) && says("\"timestamp\":1799999940"));
}

static void test_an_alarm_is_kept_with_its_turn(void **s)
{
	(void)s;
	tell_presence();
	give_fix(NOW_MS, 1);
	turn(); /* no interval has passed */
	kill_and_start(0);
	unit = found();
	comes_on_line(unit, 0);
	take_all();
	give_fix(NOW_MS + 1000, 1);
	give_fix(NOW_MS - HOUR, 1);
	assert_false(got_one_on("trackers/" IDENT "/alarm"));
	give_fix(NOW_MS + 2000, 0);
	turn();
	kill_and_start(0);
	unit = found();
	comes_on_line(unit, 0);
	take_all();
	give_fix(NOW_MS + 3000, 1);
	assert_true(got_one_on("trackers/" IDENT "/alarm"));
}

static void test_the_state_is_kept(void **s)
{
	(void)s;
	fix(NOW_MS - MINUTE);
	telemetry_set(&t, TM_BATTERY_LEVEL, 55);
	telemetry_set_text(&t, TM_ICCID, span_text("8986"));
	assert_true(give(unit));
	turn();
	pass(config.publish.state_interval);
	turn();
	kill_and_start(0);
	unit = found();
	comes_on_line(unit, 0);
	take_all();
	telemetry_reset(&t);
	telemetry_set(&t, TM_TIMESTAMP, NOW_MS);
	telemetry_set(&t, TM_IGNITION, 1);
	assert_true(give(unit));
	assert_true(got_one_on(STATE) && says("\"battery.level\":55") && says("8986"));
	assert_true(says("\"position.timestamp\":1799999940") && says("\"engine.ignition.status\":true"));
}

static void test_forgotten_for_good(void **s)
{
	(void)s;
	tell_presence();
	give_fix(NOW_MS, 1);
	turn();
	goes_off_line(unit, "closed by the unit");
	sessions_go(sessions, unit);
	take_all();
	assert_true(sessions_forget_unit(sessions, span_text(IDENT), now));
	assert_null(found());
	turn();
	assert_true(got_one_on(STATE) && got.len == 0);
	assert_true(got_one_on("trackers/" IDENT "/position") && got.len == 0);
	assert_true(got_one_on(STATUS) && got.len == 0);
	kill_and_start(0);
	assert_null(found());
}

/* Without room nothing is half forgotten. */
static void test_forgotten_later(void **s)
{
	(void)s;
	give_fix(NOW_MS, 0);
	turn();
	goes_off_line(unit, "closed by the unit");
	sessions_go(sessions, unit);
	take_all();
	for (int i = 1; i <= 3; i++) {
		refuse = 1u << (i - 1);
		assert_false(sessions_forget_unit(sessions, span_text(IDENT), now));
		assert_non_null(found());
	}
	refuse = 0;
	assert_true(sessions_forget_unit(sessions, span_text(IDENT), now));
	assert_null(found());
}

static void test_one_on_line_is_known_anew(void **s)
{
	(void)s;
	tell_presence();
	give_fix(NOW_MS, 1);
	turn();
	take_all();
	assert_true(sessions_forget_unit(sessions, span_text(IDENT), now));
	assert_ptr_equal(found(), unit);
	turn();
	take_all();
	give_fix(NOW_MS - HOUR, 1);
	expect("trackers/" IDENT "/position", true);
	assert_true(got_one_on("trackers/" IDENT "/alarm"));
}

static void test_a_unit_that_is_not_known(void **s)
{
	(void)s;
	take_all();
	assert_true(sessions_forget_unit(sessions, span_text("1001"), now));
	expect_empty("trackers/1001/state");
	expect_empty("trackers/1001/position");
	expect_empty("trackers/1001/status");
	expect_nothing();
}

/* Of a unit that nobody trusts nothing is kept. */
static void test_a_stranger(void **s)
{
	(void)s;
	struct session *stranger = on_line("1002");
	distrust(stranger);
	fix(NOW_MS);
	telemetry_set(&t, TM_SOS_ALARM, 1);
	assert_true(events_record(&events, stranger, conn_at(1), &t, now));
	assert_int_equal(events_tell(&events, events.presence, stranger, now), 0);
	pass(config.publish.state_interval);
	turn();
	kill_and_start(0);
	assert_null(found());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_one_on_line_is_awaited_and_then_off_line, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_that_comes_back_in_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_that_was_off_line_stays_so, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_a_kill_may_lose, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_published_state_is_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_an_alarm_is_kept_with_its_turn, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_state_is_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_forgotten_for_good, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_forgotten_later, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_on_line_is_known_anew, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_unit_that_is_not_known, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_stranger, set_up, tear_down),
	};
	assert(mkdtemp(path) != NULL);
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	run("rm -rf %s %s.killed");
	return rc;
}
