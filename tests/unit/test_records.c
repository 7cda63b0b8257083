// SPDX-License-Identifier: MIT
/* test_records: what a record becomes: position, telemetry, OwnTracks, alarm, in this order; which position is retained; what happens
 * when there is no room in the middle. */
#include "outputs_world.h"

#include "bridge/outputs/owntracks.h"
#include "bridge/outputs/records.h"

#define POSITION "trackers/" IDENT "/position"
#define TELEMETRY "trackers/" IDENT "/telemetry"
#define ALARM "trackers/" IDENT "/alarm"
#define OWNTRACKS "owntracks/" IDENT "/tracker"

static struct records *records;
static struct owntracks *owntracks;
static struct session *unit;

static void open_all(bool with_owntracks, int64_t format)
{
	world_open_with(format);
	if (with_owntracks)
		use_text(&config.owntracks.topic, "owntracks/{ident}/tracker");
	records = records_open(&config, publish, sessions, &stats);
	owntracks = with_owntracks ? owntracks_open(&config, publish) : NULL;
	assert_non_null(records);
	listen_to(records_listener(records));
	if (with_owntracks)
		listen_to(owntracks_listener(owntracks));
	listen_to(records_alarm_listener(records));
	unit = on_line(IDENT);
}

static int set_up(void **state)
{
	(void)state;
	open_all(false, PUBLISH_JSON);
	return 0;
}

static int set_up_msgpack(void **state)
{
	(void)state;
	open_all(false, PUBLISH_MSGPACK);
	return 0;
}

static int set_up_owntracks(void **state)
{
	(void)state;
	open_all(true, PUBLISH_JSON);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	if (owntracks != NULL)
		owntracks_free(owntracks);
	records_free(records);
	world_close();
	return 0;
}

static void give_fix(int64_t when)
{
	fix(when);
	assert_true(give(unit));
}

static void expect_position(bool retain)
{
	expect(POSITION, retain);
	expect_nothing();
}

/* --- what is added --- */

static void test_a_record_is_completed(void **state)
{
	char part[60];
	(void)state;
	config.publish.channel_id = 9;
	use_units_file("[" IDENT "]\nname = Van 12\nid = 12\ntype = ST-903\ntopic = van\n");
	give_fix(NOW_MS - 1000);
	expect("trackers/van/position", true);
	assert_int_equal(got.content, CONTENT_JSON);
	assert_true(says("\"protocol.id\":\"h02\"") && says("\"peer\":\"203.0.113.0:50112\""));
	assert_true(says("\"channel.id\":9") && says("\"device.id\":12"));
	assert_true(says("\"device.name\":\"Van 12\"") && says("\"device.type.id\":\"ST-903\""));
	assert_true(says("\"timestamp\":1799999999") && says("\"server.timestamp\":1800000000"));
	assert_false(says("timestamp.valid"));
	snprintf(part, sizeof(part), "\"server.seqnum\":%llu", (unsigned long long)got.seqnum);
	assert_true(says(part));
	assert_int_equal(stats.count[STAT_RECORDS], 1);
	telemetry_reset(&t);
	telemetry_set(&t, TM_BATTERY_LEVEL, 80);
	assert_true(give(unit));
	expect("trackers/van/telemetry", false);
}

static void test_the_form_is_what_the_configuration_says(void **state)
{
	(void)state;
	give_fix(NOW_MS);
	expect(POSITION, true);
	assert_int_equal(got.content, CONTENT_MSGPACK);
	assert_true(((uint8_t)got.text[0] & 0xf0) == 0x80 || (uint8_t)got.text[0] == 0xde);
}

/* --- which position is retained --- */

static void test_the_newest_is_retained(void **state)
{
	static const struct {
		int64_t before_ms;
		bool retain;
	} rows[] = {{2 * HOUR, true}, {3 * HOUR, false}, {2 * HOUR, true}, {HOUR, true}, {HOUR + 1, false},
		{0, true}, {1000, false}};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		give_fix(NOW_MS - rows[i].before_ms);
		expect_position(rows[i].retain);
	}
}

/* Two that wait: only the newer one is retained, whichever is put first. */
static void test_of_those_that_wait_the_newest(void **state)
{
	(void)state;
	give_fix(NOW_MS - HOUR);
	give_fix(NOW_MS);
	expect(POSITION, false);
	expect(POSITION, true);
	expect_nothing();
}

static void test_the_newest_of_before_the_start(void **state)
{
	(void)state;
	unit = remembered("1002", NOW_MS - HOUR);
	comes_on_line(unit, 0);
	give_fix(NOW_MS - HOUR - 1);
	expect("trackers/1002/position", false);
	give_fix(NOW_MS - HOUR);
	expect("trackers/1002/position", true);
	int64_t value = 0;
	assert_true(outbox_recall(outbox, span_text("1002"), &value));
	assert_int_equal(value, NOW_MS - HOUR);
}

static void test_what_is_never_retained(void **state)
{
	int64_t value;
	(void)state;
	distrust(unit);
	give_fix(NOW_MS);
	expect_position(false);
	unit->trusted = true;
	config.publish.retain = false;
	give_fix(NOW_MS + 1);
	expect_position(false);
	config.publish.retain = true;
	telemetry_reset(&t);
	telemetry_set(&t, TM_TIMESTAMP, NOW_MS + 2);
	assert_true(give(unit));
	expect(TELEMETRY, false);
	assert_false(outbox_recall(outbox, span_text(IDENT), &value));
	give_fix(NOW_MS); /* and none of them counts as the newest */
	expect_position(true);
}

static void test_without_a_date(void **state)
{
	(void)state;
	give_fix(NOW_MS - HOUR);
	expect_position(true);
	give_fix(0);
	expect_position(true);
	assert_true(says("\"timestamp\":1800000000") && says("\"timestamp.valid\":false"));
	fix(0);
	telemetry_set(&t, TM_BUFFERED, 1);
	assert_true(give(unit));
	expect_position(false);
	give_fix(NOW_MS - HOUR + 1); /* the undated one has no time that holds back others */
	expect_position(true);
}

static void test_dated_ahead(void **state)
{
	(void)state;
	give_fix(NOW_MS + HOUR); /* as of now */
	expect_position(true);
	assert_false(says("timestamp.valid"));
	give_fix(NOW_MS - 1);
	expect_position(false);
	pass(1000);
	give_fix(NOW_MS + 1000);
	expect_position(true);
	give_fix(now.unix_ms + DAY);
	expect_position(true);
	assert_false(says("timestamp.valid"));
	give_fix(now.unix_ms + DAY + 1);
	expect_position(true);
	assert_true(says("\"timestamp.valid\":false") && says("\"timestamp\":1800000001"));
}

/* A clock that was reset, and one that counts the weeks of GPS anew: neither date is ever the newest, nor holds back what follows. */
static void test_impossibly_old(void **state)
{
	const int64_t before_2010 = 1262304000000 - 1, weeks = 1024 * 7 * DAY;
	const struct {
		int64_t date_ms;
		bool usable;
	} rows[] = {
		{946684810000, false}, /* 2000 */
		{before_2010, false},
		{NOW_MS - weeks, false},
		{NOW_MS - weeks - 2 * DAY, false},
		{NOW_MS - weeks + 2 * DAY, false},
		{NOW_MS - 3 * 365 * DAY, true},
		{before_2010 + 1, true},
	};
	(void)state;
	give_fix(NOW_MS - HOUR);
	expect_position(true);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		give_fix(rows[i].date_ms);
		expect_position(!rows[i].usable); /* undated, it is of now */
		assert_int_equal(says("\"timestamp.valid\":false"), !rows[i].usable);
		assert_int_equal(says("\"timestamp\":1800000000,"), !rows[i].usable);
	}
	pass(3 * 365 * DAY); /* 1024 weeks ago is after 2010 now */
	give_fix(now.unix_ms);
	expect_position(true);
	for (int64_t apart = -2 * DAY - 1; apart <= 2 * DAY + 1; apart += 2 * DAY + 1) {
		give_fix(now.unix_ms - weeks + apart);
		expect_position(apart == 0);
		assert_int_equal(says("\"timestamp.valid\":false"), apart == 0);
	}
	give_fix(now.unix_ms - weeks + 2 * DAY);
	expect_position(true);
	assert_true(says("\"timestamp.valid\":false"));
}

/* --- alarms --- */

static void alarm_is(int sos)
{
	fix(NOW_MS);
	if (sos >= 0)
		telemetry_set(&t, TM_SOS_ALARM, sos);
	assert_true(give(unit));
	expect(POSITION, true);
}

static void test_an_alarm_is_raised_once(void **state)
{
	static const struct {
		int sos; /* < 0: this record does not carry it */
		bool raised;
	} rows[] = {
		{0, false}, {1, true}, {1, false}, {-1, false}, {1, false}, {0, false}, {-1, false}, {1, true}};
	uint64_t all = 0;
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		alarm_is(rows[i].sos);
		if (rows[i].raised) {
			expect(ALARM, false);
			assert_true(says("\"alarms\":[\"sos.alarm\"]"));
		}
		all += rows[i].raised;
		expect_nothing();
		assert_int_equal(stats.count[STAT_ALARMS], all);
	}
	unit = on_line("1001"); /* each unit has its own */
	fix(NOW_MS);
	telemetry_set(&t, TM_SOS_ALARM, 1);
	assert_true(give(unit));
	expect("trackers/1001/position", true);
	expect("trackers/1001/alarm", false);
}

/* The alarm is the record once more: the same in all but `alarms`, also what the bridge has added. */
static void test_the_alarm_is_the_same_record(void **state)
{
	(void)state;
	alarm_is(1);
	cJSON *position = cJSON_Parse(got.text);
	expect(ALARM, false);
	cJSON *alarm = cJSON_Parse(got.text);
	assert_true(cJSON_GetArraySize(cJSON_GetObjectItem(alarm, "alarms")) == 1);
	cJSON_DeleteItemFromObject(alarm, "alarms");
	assert_true(cJSON_Compare(position, alarm, true));
	assert_non_null(cJSON_GetObjectItem(alarm, "peer"));
	cJSON_Delete(position);
	cJSON_Delete(alarm);
}

/* --- OwnTracks --- */

static void test_owntracks(void **state)
{
	(void)state;
	fix(NOW_MS);
	telemetry_set(&t, TM_SOS_ALARM, 1);
	assert_true(give(unit));
	expect(POSITION, true);
	expect(OWNTRACKS, false);
	assert_true(says("\"_type\":\"location\"") && says("\"tid\":\"16\"") && says("\"tst\":1800000000"));
	expect(ALARM, false);
	expect_nothing();
	give_fix(0); /* without a date */
	expect_position(true);
	fix(NOW_MS);
	telemetry_set(&t, TM_POSITION_VALID, 0);
	assert_true(give(unit));
	expect_position(true);
	telemetry_reset(&t);
	assert_true(give(unit));
	expect(TELEMETRY, false);
	expect_nothing();
}

static void test_owntracks_topics(void **state)
{
	static const struct {
		const char *pattern, *topic;
	} rows[] = {{"owntracks/{ident}", "owntracks/" IDENT}, {"{ident}", IDENT},
		{"all/of/them", "all/of/them"}, {"a/{ident}/{ident}", "a/" IDENT "/{ident}"}};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		use_text(&config.owntracks.topic, rows[i].pattern);
		give_fix(NOW_MS);
		expect(POSITION, true);
		expect(rows[i].topic, false);
		expect_nothing();
	}
}

/* --- no room --- */

/* Of the three messages of a record, each in turn finds no room: the record is refused, and neither it nor its alarm has
 * happened. When the unit sends it again, all three come. */
static void test_no_room_in_the_middle(void **state)
{
	(void)state;
	for (unsigned which = 0; which < 3; which++) {
		alarm_is(0);
		take_all();
		uint64_t before = stats.count[STAT_RECORDS], alarms = stats.count[STAT_ALARMS];
		fix(NOW_MS);
		telemetry_set(&t, TM_SOS_ALARM, 1);
		refuse = 1u << which;
		assert_false(give(unit));
		assert_int_equal(stats.count[STAT_RECORDS], before);
		assert_int_equal(stats.count[STAT_ALARMS], alarms);
		assert_int_equal(take_all(), which);
		fix(NOW_MS);
		telemetry_set(&t, TM_SOS_ALARM, 1);
		refuse = 0;
		assert_true(give(unit));
		expect(POSITION, true);
		expect(OWNTRACKS, false);
		expect(ALARM, false);
		expect_nothing();
		assert_int_equal(stats.count[STAT_RECORDS], before + 1);
		assert_int_equal(stats.count[STAT_ALARMS], alarms + 1);
	}
}

/* A position that was not stored is not the newest. */
static void test_what_is_not_stored_is_not_the_newest(void **state)
{
	(void)state;
	fix(NOW_MS);
	refuse = 1;
	assert_false(give(unit));
	assert_int_equal(publish_newest_ms(publish, unit), 0);
	give_fix(NOW_MS - HOUR);
	expect_position(true);
}

static void test_a_full_outbox(void **state)
{
	(void)state;
	fill_outbox();
	fix(NOW_MS);
	assert_false(events_room(&events));
	assert_false(give(unit));
	take_all();
	assert_true(events_room(&events));
	assert_true(give(unit));
	expect_position(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_record_is_completed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_the_form_is_what_the_configuration_says, set_up_msgpack, tear_down),
		cmocka_unit_test_setup_teardown(test_the_newest_is_retained, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_of_those_that_wait_the_newest, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_newest_of_before_the_start, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_never_retained, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_without_a_date, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_dated_ahead, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_impossibly_old, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_an_alarm_is_raised_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_alarm_is_the_same_record, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_owntracks, set_up_owntracks, tear_down),
		cmocka_unit_test_setup_teardown(test_owntracks_topics, set_up_owntracks, tear_down),
		cmocka_unit_test_setup_teardown(test_no_room_in_the_middle, set_up_owntracks, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_not_stored_is_not_the_newest, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_full_outbox, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
