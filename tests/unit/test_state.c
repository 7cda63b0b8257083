// SPDX-License-Identifier: MIT
/* test_state: the state topic: one per unit and interval, when the broker takes it, of trusted units, with their status. */
#include "outputs_world.h"

#include "bridge/outputs/records.h"
#include "bridge/outputs/state.h"
#include "bridge/outputs/status.h"

#define STATE "trackers/" IDENT "/state"
#define POSITION "trackers/" IDENT "/position"
#define SECOND 1000LL

static struct records *records;
static struct state *state;
static struct session *unit;

static void open_all(int64_t format)
{
	world_open_with(format);
	config.publish.state = PUBLISH_STATE_YES;
	records = records_open(&config, publish, sessions, &stats);
	state = state_open(&config, publish, sessions);
	assert_true(records != NULL && state != NULL);
	listen_to(records_listener(records));
	listen_to(state_listener(state));
	unit = on_line(IDENT);
	state_gate(state, true);
}

static int set_up(void **s)
{
	(void)s;
	open_all(PUBLISH_JSON);
	return 0;
}

static int set_up_msgpack(void **s)
{
	(void)s;
	open_all(PUBLISH_MSGPACK);
	return 0;
}

static int tear_down(void **s)
{
	(void)s;
	state_free(state);
	records_free(records);
	world_close();
	return 0;
}

static void give_fix(int64_t when)
{
	fix(when);
	assert_true(give(unit));
}

static void turn(void)
{
	while (state_turn(state, false, now) == 0)
		;
}

static void test_published_with_what_is_known(void **s)
{
	(void)s;
	use_units_file("[" IDENT "]\nname = Van 12\nid = 12\ntype = ST-903\ntopic = van\n");
	give_fix(NOW_MS - HOUR);
	expect("trackers/van/position", true);
	expect("trackers/van/state", true);
	assert_true(says("\"position.latitude\":22.5") && says("\"timestamp\":1799996400"));
	assert_true(says("\"position.timestamp\":1799996400") && says("\"ident\":\"" IDENT "\""));
	assert_true(says("\"status\":\"online\",\"status.since\":1800000000"));
	assert_true(says("\"device.name\":\"Van 12\"") && says("\"device.id\":12") &&
		    says("\"device.type.id\":\"ST-903\""));
	expect_nothing();
}

static void test_in_messagepack(void **s)
{
	(void)s;
	give_fix(NOW_MS);
	expect(POSITION, true);
	expect(STATE, true);
	assert_int_equal(got.content, CONTENT_MSGPACK);
	assert_true((uint8_t)got.text[0] == 0xde || ((uint8_t)got.text[0] & 0xf0) == 0x80);
}

/* The first at once, of all others in the interval one, with all of them in it. */
static void test_one_in_an_interval(void **s)
{
	(void)s;
	give_fix(NOW_MS - 10 * SECOND);
	assert_int_equal(take_all(), 2);
	for (int i = 0; i < 5; i++)
		give_fix(NOW_MS - (5 - i) * SECOND);
	assert_int_equal(take_all(), 5);
	pass(config.publish.state_interval - 1);
	turn();
	expect_nothing();
	pass(1);
	turn();
	expect(STATE, true);
	assert_true(says("\"timestamp\":1799999999"));
	expect_nothing();
	pass(10 * config.publish.state_interval);
	turn();
	expect_nothing();
	give_fix(now.unix_ms);
	assert_int_equal(take_all(), 2);
}

/* While the broker is away nothing is put; then each unit once, as it is then. */
static void test_while_the_gate_is_closed(void **s)
{
	(void)s;
	struct session *other = on_line("1001");
	state_gate(state, false);
	for (int i = 0; i < 20; i++) {
		give_fix(now.unix_ms);
		fix(now.unix_ms);
		assert_true(give(other));
		pass(SECOND);
		assert_int_equal(take_all(), 2);
		turn();
		expect_nothing();
	}
	state_gate(state, true);
	turn();
	expect(STATE, true);
	assert_true(says("\"timestamp\":1800000019"));
	expect("trackers/1001/state", true);
	expect_nothing();
}

static void test_no_room_for_it(void **s)
{
	(void)s;
	refuse = 2;
	give_fix(NOW_MS);
	expect(POSITION, true);
	expect_nothing();
	pass(config.publish.state_interval);
	refuse = 1;
	turn();
	expect_nothing();
	turn();
	expect(STATE, true);
	expect_nothing();
}

static void test_with_its_status(void **s)
{
	(void)s;
	give_fix(NOW_MS);
	take_all();
	pass(HOUR);
	turn();
	goes_off_line(unit, "closed by the unit");
	unit->since_ms = now.unix_ms;
	assert_int_equal(events_tell(&events, events.presence, unit, now), 0);
	expect(STATE, true);
	assert_true(says("\"status\":\"offline\",\"status.since\":1800003600") &&
		    says("\"position.latitude\":22.5"));
	assert_true(says("\"timestamp\":1800000000"));
	expect_nothing();
}

static void test_only_of_trusted_units_that_have_spoken(void **s)
{
	(void)s;
	assert_int_equal(events_tell(&events, events.presence, unit, now), 0);
	expect_nothing();
	distrust(unit);
	give_fix(NOW_MS);
	expect(POSITION, false);
	expect_nothing();
	unit->trusted = true;
	give_fix(NOW_MS);
	expect(POSITION, true);
	expect(STATE, true);
}

/* A stored report: the place stays, and what nobody has told since is filled in. */
static void test_a_stored_report(void **s)
{
	(void)s;
	give_fix(NOW_MS);
	take_all();
	pass(HOUR);
	turn();
	fix(NOW_MS - HOUR);
	telemetry_set(&t, TM_LATITUDE, 100000000);
	telemetry_set(&t, TM_BUFFERED, 1);
	telemetry_set(&t, TM_BATTERY_LEVEL, 55);
	assert_true(give(unit));
	expect(POSITION, false);
	expect(STATE, true);
	assert_true(says("\"position.latitude\":22.5") && says("\"position.timestamp\":1800000000"));
	assert_true(says("\"timestamp\":1800000000") && says("\"battery.level\":55"));
	assert_false(says("message.buffered.status"));
}

/* Without a date: as of now; but one that says it was stored is older than all. One dated ahead does not hold back what follows. */
static void test_dates_that_are_none(void **s)
{
	(void)s;
	give_fix(NOW_MS - HOUR);
	take_all();
	pass(HOUR);
	turn();
	fix(0);
	telemetry_set(&t, TM_LATITUDE, 100000000);
	assert_true(give(unit));
	expect(POSITION, true);
	expect(STATE, true);
	assert_true(says("\"position.latitude\":10,") && says("\"timestamp.valid\":false"));
	pass(HOUR);
	turn();
	fix(0);
	telemetry_set(&t, TM_LATITUDE, 200000000);
	telemetry_set(&t, TM_BUFFERED, 1);
	assert_true(give(unit));
	expect(POSITION, false);
	expect(STATE, true);
	assert_true(says("\"position.latitude\":10,"));
	pass(HOUR);
	turn();
	give_fix(now.unix_ms + 5 * HOUR);
	expect(POSITION, true);
	expect(STATE, true);
	pass(HOUR);
	turn();
	fix(now.unix_ms);
	telemetry_set(&t, TM_LATITUDE, 300000000);
	assert_true(give(unit));
	expect(POSITION, true);
	expect(STATE, true);
	assert_true(says("\"position.latitude\":30,"));
}

static void test_renamed_and_forgotten(void **s)
{
	(void)s;
	use_units_file("[1001]\n");
	give_fix(NOW_MS);
	take_all();
	give_fix(NOW_MS); /* in the queue */
	take_all();
	use_units_file("[" IDENT "]\ntopic = van\n");
	catch_up();
	expect_empty("trackers/" IDENT "/state");
	expect_empty(POSITION);
	expect_nothing();
	pass(config.publish.state_interval);
	turn();
	expect("trackers/van/state", true);
	give_fix(NOW_MS);
	take_all();
	refuse = 1;
	assert_false(events_forgotten(&events, unit, now));
	assert_true(events_forgotten(&events, unit, now));
	expect_empty("trackers/van/state");
	expect_empty("trackers/van/position");
	pass(config.publish.state_interval);
	turn();
	expect_nothing();
}

static void test_many_units(void **s)
{
	(void)s;
	state_gate(state, false);
	for (int i = 0; i < 900; i++) {
		char ident[20];
		snprintf(ident, sizeof(ident), "2%05d", i);
		struct session *each = on_line(ident);
		telemetry_reset(&t);
		telemetry_set(&t, TM_TIMESTAMP, now.unix_ms);
		assert_true(give(each));
		pass(1);
		assert_int_equal(take_all(), 1);
	}
	state_gate(state, true);
	pass(config.publish.state_interval);
	turn();
	for (int i = 0; i < 900; i++) {
		char topic[60];
		snprintf(topic, sizeof(topic), "trackers/2%05d/state", i);
		expect(topic, true);
	}
	expect_nothing();
}

static void test_at_the_end_all_is_published(void **s)
{
	(void)s;
	give_fix(NOW_MS - SECOND);
	give_fix(NOW_MS);
	take_all();
	state_turn(state, true, now);
	expect(STATE, true);
	assert_true(says("\"timestamp\":1800000000"));
	expect_nothing();
}

static void test_who_wants_it(void **s)
{
	(void)s;
	config_init(&config);
	for (int discovery = 0; discovery <= 1; discovery++)
		for (int64_t wanted = PUBLISH_STATE_AUTO; wanted <= PUBLISH_STATE_NO; wanted++) {
			config.publish.state = wanted;
			config.homeassistant.discovery = discovery;
			assert_int_equal(state_is_wanted(&config),
				wanted == PUBLISH_STATE_YES || (wanted == PUBLISH_STATE_AUTO && discovery));
		}
	config_free(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_published_with_what_is_known, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_in_messagepack, set_up_msgpack, tear_down),
		cmocka_unit_test_setup_teardown(test_one_in_an_interval, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_while_the_gate_is_closed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_room_for_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_with_its_status, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_only_of_trusted_units_that_have_spoken, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_stored_report, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_dates_that_are_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_renamed_and_forgotten, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many_units, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_at_the_end_all_is_published, set_up, tear_down),
		cmocka_unit_test(test_who_wants_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
