// SPDX-License-Identifier: MIT
/* test_alarms: which alarms are new, by the dates of the records; and what of that is kept. */
#include "harness.h"

#include "bridge/base/note.h"
#include "bridge/outputs/alarms.h"

#define NOON 1800000000000LL
#define MINUTE 60000LL
#define HOUR (60 * MINUTE)

static struct alarms alarms;
static struct telemetry t;

static int set_up(void **state)
{
	(void)state;
	alarms = (struct alarms){0};
	return 0;
}

static bool raised(enum telemetry_field field)
{
	return t.alarms[field / 64] >> field % 64 & 1;
}

/* A record of this date, in which the SOS is on or off. */
static bool sos(int64_t date_ms, bool on)
{
	telemetry_reset(&t);
	telemetry_set(&t, TM_SOS_ALARM, on);
	bool any = alarms_raise(&alarms, &t, date_ms);
	assert_int_equal(any, raised(TM_SOS_ALARM));
	return any;
}

static void test_live(void **state)
{
	(void)state;
	assert_false(sos(NOON, false));
	assert_true(sos(NOON + 1, true));
	assert_false(sos(NOON + 2, true));
	assert_false(sos(NOON + 2, true)); /* the same once more */
	assert_false(sos(NOON + 3, false));
	assert_true(sos(NOON + 4, true));
}

static void test_stored_between_live(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		assert_int_equal(sos(NOON + i, true), i == 0);
		assert_false(sos(NOON - HOUR + i, false));
	}
	for (int i = 5; i < 10; i++) {
		assert_false(sos(NOON + i, false));
		assert_int_equal(sos(NOON - HOUR + i, true), i == 5);
	}
}

/* A stored one tells nothing new while the alarm lasts; when it has ended, an older one is news. */
static void test_what_lasts_is_not_raised_by_stored_ones(void **state)
{
	(void)state;
	assert_true(sos(NOON, true));
	assert_false(sos(NOON - HOUR, true));
	assert_false(sos(NOON - HOUR + 1, true));
	assert_false(sos(NOON + 1, true));
}

static void test_a_backlog_in_order_is_one_run_with_what_follows(void **state)
{
	(void)state;
	for (int i = 0; i < 60; i++)
		assert_int_equal(sos(NOON - HOUR + i * MINUTE, true), i == 0);
	assert_false(sos(NOON, true));
}

static void test_another_stored_run(void **state)
{
	(void)state;
	sos(NOON, false);
	assert_true(sos(NOON - 2 * HOUR, true));
	sos(NOON + 8 * HOUR, false);
	assert_false(sos(NOON - HOUR, true));    /* of before NOON: the same run */
	assert_true(sos(NOON + 4 * HOUR, true)); /* there was none at NOON */
	assert_false(sos(NOON + 5 * HOUR, true));
	assert_false(sos(NOON + 6 * HOUR, false));
	assert_true(sos(NOON + 7 * HOUR, true));
}

/* Stored, and without a date. */
static void test_of_unknown_age(void **state)
{
	(void)state;
	sos(NOON, false);
	assert_true(sos(0, true));
	assert_false(sos(0, true));
	sos(0, false);
	assert_true(sos(0, true));
}

static void test_records_without_alarms_change_nothing(void **state)
{
	(void)state;
	assert_true(sos(NOON, true));
	telemetry_reset(&t);
	telemetry_set(&t, TM_BATTERY_LEVEL, 3);
	telemetry_set(&t, TM_IGNITION, 1);
	assert_false(alarms_raise(&alarms, &t, NOON + HOUR));
	assert_int_equal(alarms.newest_ms, NOON);
	assert_false(sos(NOON + MINUTE, true));
}

static void test_each_alarm_for_itself(void **state)
{
	(void)state;
	sos(NOON, true);
	telemetry_reset(&t);
	telemetry_set(&t, TM_SOS_ALARM, 1);
	telemetry_set(&t, TM_POWER_CUT_ALARM, 1);
	assert_true(alarms_raise(&alarms, &t, NOON - HOUR));
	assert_true(raised(TM_POWER_CUT_ALARM) && !raised(TM_SOS_ALARM));
	telemetry_reset(&t);
	telemetry_set(&t, TM_POWER_CUT_ALARM, 1);
	assert_true(alarms_raise(&alarms, &t, NOON + 1));
	assert_false(sos(NOON + 2, true)); /* a record that does not carry it does not end it */
}

static void save_and_recall(void)
{
	uint8_t bytes[4096];
	struct writer w = writer_of(bytes, sizeof(bytes));
	alarms_save(&alarms, &w);
	assert_false(w.full);
	struct reader r = reader_of(writer_span(&w));
	alarms_recall(&alarms, &r);
	assert_false(r.bad);
}

static void test_kept(void **state)
{
	(void)state;
	struct alarms before;
	telemetry_reset(&t);
	for (unsigned i = 0; i < TM_FIELD_COUNT; i++)
		if (telemetry_params[i].type == PARAM_ALARM)
			telemetry_set(&t, (enum telemetry_field)i, i % 2);
	assert_true(alarms_raise(&alarms, &t, NOON));
	sos(NOON - HOUR, true);
	before = alarms;
	save_and_recall();
	assert_true(alarms_are_same(&before, &alarms));
	assert_int_equal(alarms.newest_ms, NOON);
	assert_int_equal(alarms.until_ms, before.until_ms);
	sos(NOON - HOUR + 1, false);
	assert_false(alarms_are_same(&before, &alarms));
}

/* Cut anywhere, it is nothing, or less; nothing is read behind its end. */
static void test_what_was_kept_is_damaged(void **state)
{
	uint8_t bytes[4096];
	struct writer w = writer_of(bytes, sizeof(bytes));
	(void)state;
	sos(NOON, true);
	alarms_save(&alarms, &w);
	for (size_t cut = 0; cut < w.len; cut++) {
		struct reader r = reader_of(span_of(bytes, cut));
		alarms_recall(&alarms, &r);
		assert_int_equal(alarms.newest_ms, 0);
	}
	/* an alarm that this program does not know */
	w = writer_of(bytes, sizeof(bytes));
	note_put_number(&w, NOON);
	note_put_number(&w, 0);
	note_put_text(&w, span_text("no.such.alarm"));
	note_put_text(&w, span_text(telemetry_params[TM_SOS_ALARM].key));
	note_put_text(&w, span_of(NULL, 0));
	note_put_text(&w, span_of(NULL, 0));
	struct reader r = reader_of(writer_span(&w));
	alarms_recall(&alarms, &r);
	assert_false(sos(NOON, true));
}

static void test_a_note_and_its_parts(void **state)
{
	uint8_t bytes[100], copy[100];
	struct writer w = writer_of(bytes, sizeof(bytes));
	(void)state;
	note_begin(&w);
	for (int i = 0; i < 3; i++) {
		size_t begin = note_part_begin(&w, (char)('a' + i));
		for (int k = 0; k < i; k++)
			note_put_number(&w, -k);
		note_part_end(&w, begin);
	}
	struct span note = writer_span(&w);
	assert_true(note_is_one(note));
	assert_int_equal(note_part(note, 'a').len, 0);
	assert_int_equal(note_part(note, 'b').len, 8);
	assert_int_equal(note_part(note, 'c').len, 16);
	assert_int_equal(note_part(note, 'd').len, 0);
	struct reader r = reader_of(note_part(note, 'c'));
	assert_int_equal(note_take_number(&r), 0);
	assert_int_equal(note_take_number(&r), -1);
	for (size_t cut = 0; cut < note.len; cut++) {
		memcpy(copy, bytes, cut);
		if (cut != 1 && cut != 1 + 5 + 8) /* where a part ends */
			assert_false(note_is_one(span_of(copy, cut)));
		note_part(span_of(copy, cut), 'c');
	}
	bytes[0] = 2;
	assert_false(note_is_one(note));
	w = writer_of(bytes, 7);
	note_begin(&w);
	size_t begin = note_part_begin(&w, 'a');
	note_put_number(&w, 1);
	note_part_end(&w, begin);
	assert_true(w.full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_live, set_up),
		cmocka_unit_test_setup(test_stored_between_live, set_up),
		cmocka_unit_test_setup(test_what_lasts_is_not_raised_by_stored_ones, set_up),
		cmocka_unit_test_setup(test_a_backlog_in_order_is_one_run_with_what_follows, set_up),
		cmocka_unit_test_setup(test_another_stored_run, set_up),
		cmocka_unit_test_setup(test_of_unknown_age, set_up),
		cmocka_unit_test_setup(test_records_without_alarms_change_nothing, set_up),
		cmocka_unit_test_setup(test_each_alarm_for_itself, set_up),
		cmocka_unit_test_setup(test_kept, set_up),
		cmocka_unit_test_setup(test_what_was_kept_is_damaged, set_up),
		cmocka_unit_test(test_a_note_and_its_parts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
