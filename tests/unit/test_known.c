// SPDX-License-Identifier: MIT
/* test_known: what is known of a unit is the newest value of every key, whatever the order in which its records come. */
#include "harness.h"

#include "codecs/formats/known.h"

#include <stdlib.h>

#define NOON 1800000000000LL
#define MINUTE 60000LL

static struct known {
	uint8_t bytes[KNOWN_BYTES_MOST];
	size_t len;
} known;
static struct known_table own;
static struct telemetry t, all;

static int set_up(void **state)
{
	(void)state;
	known.len = 0;
	known_table_own(&own);
	return 0;
}

static void begin(int64_t when)
{
	telemetry_reset(&t);
	telemetry_set(&t, TM_TIMESTAMP, when);
}

static void begin_fix(int64_t when, int64_t latitude, bool valid)
{
	begin(when);
	telemetry_set(&t, TM_LATITUDE, latitude);
	telemetry_set(&t, TM_LONGITUDE, -latitude);
	telemetry_set(&t, TM_SPEED, latitude);
	telemetry_set(&t, TM_POSITION_VALID, valid);
}

static struct span bytes_of(const struct known *k)
{
	return span_of(k->bytes, k->len);
}

/* What was kept, into `out`. */
static bool load(struct known *out, const struct known_table *theirs, const void *kept, size_t len)
{
	struct writer w = writer_of(out->bytes, sizeof(out->bytes));
	bool ok = known_load(span_of(kept, len), &own, theirs, &w);
	out->len = w.len;
	return ok;
}

static void merge(void)
{
	static uint8_t work[KNOWN_WORK_BYTES];
	struct writer w = writer_of(work, sizeof(work));
	struct span merged = known_merge(bytes_of(&known), &own, &t, telemetry_number(&t, TM_TIMESTAMP), &w);
	assert_true(merged.len > 0 && merged.len <= KNOWN_BYTES_MOST);
	memcpy(known.bytes, merged.ptr, known.len = merged.len);
	known_record(bytes_of(&known), &own, &all);
}

static int64_t value(enum telemetry_field field)
{
	assert_true(telemetry_has(&all, field));
	return telemetry_number(&all, field);
}

static void text_is(enum telemetry_field field, const char *text)
{
	assert_true(telemetry_has(&all, field));
	assert_true(span_is(all.value[field].text, text));
}

/* --- by date --- */

static void test_an_older_record_fills_only_what_is_missing(void **state)
{
	(void)state;
	begin_fix(NOON, 20, true);
	telemetry_set(&t, TM_IGNITION, 1);
	telemetry_set_text(&t, TM_MESSAGE_TYPE, span_text("V1"));
	merge();
	begin_fix(NOON - 60 * MINUTE, 10, true);
	telemetry_set(&t, TM_IGNITION, 0);
	telemetry_set(&t, TM_BATTERY_LEVEL, 70);
	telemetry_set(&t, TM_BUFFERED, 1);
	telemetry_set_text(&t, TM_MESSAGE_TYPE, span_text("V0"));
	merge();
	assert_int_equal(value(TM_LATITUDE), 20);
	assert_int_equal(value(TM_POSITION_TIMESTAMP), NOON);
	assert_int_equal(value(TM_TIMESTAMP), NOON);
	assert_int_equal(value(TM_IGNITION), 1);
	assert_int_equal(value(TM_BATTERY_LEVEL), 70);
	text_is(TM_MESSAGE_TYPE, "V1");
	assert_false(telemetry_has(&all, TM_BUFFERED));
	/* between the two: newer for the battery, older for all others */
	begin(NOON - 30 * MINUTE);
	telemetry_set(&t, TM_BATTERY_LEVEL, 60);
	telemetry_set(&t, TM_IGNITION, 0);
	merge();
	assert_int_equal(value(TM_BATTERY_LEVEL), 60);
	assert_int_equal(value(TM_IGNITION), 1);
	begin(NOON - 40 * MINUTE);
	telemetry_set(&t, TM_BATTERY_LEVEL, 65);
	merge();
	assert_int_equal(value(TM_BATTERY_LEVEL), 60);
}

/* Every order of four records gives the same. */
static void test_the_order_of_arrival_is_of_no_account(void **state)
{
	(void)state;
	unsigned orders = 0;
	for (unsigned n = 0; n < 256; n++) {
		unsigned order[] = {n & 3, n >> 2 & 3, n >> 4 & 3, n >> 6};
		if ((1u << order[0] | 1u << order[1] | 1u << order[2] | 1u << order[3]) != 15)
			continue;
		known.len = 0;
		for (unsigned i = 0; i < 4; i++) {
			unsigned k = order[i];
			begin_fix(NOON + k * MINUTE, 10 + k, k != 3);
			telemetry_set(&t, TM_IGNITION, k & 1);
			if (k < 2)
				telemetry_set(&t, TM_BATTERY_LEVEL, 50 + k);
			telemetry_set(&t, TM_MILEAGE, k == 2 ? 7 : 1000000000 + k);
			telemetry_add_item(&t, "custom.item.", k < 3 ? 0xeb : 0xec, 2, ITEM_TEXT,
				span_text(k < 2 ? "a" : "b"));
			telemetry_set_text(&t, TM_PEER, span_text(k == 3 ? "late" : "soon"));
			merge();
		}
		orders++;
		assert_int_equal(value(TM_LATITUDE), 12);
		assert_int_equal(value(TM_POSITION_TIMESTAMP), NOON + 2 * MINUTE);
		assert_int_equal(value(TM_TIMESTAMP), NOON + 3 * MINUTE);
		assert_int_equal(value(TM_POSITION_VALID), 0);
		assert_int_equal(value(TM_IGNITION), 1);
		assert_int_equal(value(TM_BATTERY_LEVEL), 51);
		assert_int_equal(value(TM_MILEAGE), 1000000003);
		text_is(TM_PEER, "late");
		assert_int_equal(all.item_count, 2);
		for (unsigned i = 0; i < 2; i++)
			assert_true(span_is(all.items[i].value, "b"));
	}
	assert_int_equal(orders, 24);
}

static void test_of_equal_dates_the_later_call(void **state)
{
	(void)state;
	for (int i = 1; i <= 3; i++) {
		begin_fix(NOON, i, true);
		merge();
		assert_int_equal(value(TM_LATITUDE), i);
	}
}

/* --- the place, and what tells of the record alone --- */

static void test_the_place_is_of_valid_fixes(void **state)
{
	(void)state;
	begin_fix(NOON, 5, false);
	telemetry_set(&t, TM_SATELLITES, 2);
	merge();
	assert_false(telemetry_has(&all, TM_LATITUDE) || telemetry_has(&all, TM_SPEED));
	assert_false(telemetry_has(&all, TM_POSITION_TIMESTAMP));
	assert_int_equal(value(TM_POSITION_VALID), 0);
	begin_fix(NOON - MINUTE, 4, true);
	merge();
	assert_int_equal(value(TM_LATITUDE), 4);
	assert_int_equal(value(TM_POSITION_TIMESTAMP), NOON - MINUTE);
	assert_int_equal(value(TM_TIMESTAMP), NOON);
	assert_int_equal(value(TM_SATELLITES), 2);
	begin_fix(NOON + MINUTE, 6, false);
	merge();
	assert_int_equal(value(TM_LATITUDE), 4);
	assert_int_equal(value(TM_SPEED), 4);
	assert_int_equal(value(TM_TIMESTAMP), NOON + MINUTE);
}

static void test_what_tells_of_a_record_is_of_the_newest_one(void **state)
{
	(void)state;
	begin(NOON - MINUTE);
	telemetry_set(&t, TM_BUFFERED, 1);
	telemetry_set(&t, TM_TIMESTAMP_VALID, 0);
	telemetry_set_text(&t, TM_PEER, span_text("203.0.113.4:1"));
	telemetry_set_text(&t, TM_DEVICE_NAME, span_text("Van"));
	merge();
	assert_int_equal(value(TM_BUFFERED), 1);
	assert_false(telemetry_has(&all, TM_DEVICE_NAME));
	begin(NOON);
	merge();
	assert_false(telemetry_has(&all, TM_BUFFERED) || telemetry_has(&all, TM_TIMESTAMP_VALID) ||
		     telemetry_has(&all, TM_PEER));
}

static void test_the_cells_of_one_record(void **state)
{
	(void)state;
	begin(NOON);
	telemetry_add_cell(&t, (struct telemetry_cell){1, 2, -70, true});
	telemetry_add_cell(&t, (struct telemetry_cell){3, 4, 0, false});
	merge();
	begin(NOON - MINUTE);
	telemetry_add_cell(&t, (struct telemetry_cell){5, 6, -80, true});
	merge();
	assert_int_equal(all.cell_count, 2);
	assert_true(all.cells[0].lac == 1 && all.cells[0].dbm == -70 && all.cells[1].cellid == 4);
	begin(NOON + MINUTE);
	telemetry_add_cell(&t, (struct telemetry_cell){7, 8, 0, false});
	merge();
	assert_true(all.cell_count == 1 && all.cells[0].lac == 7);
}

/* --- every field, and bounds --- */

static void set_lowest_or_highest(enum telemetry_field f, bool high)
{
	static uint8_t letters[1024];
	const struct param *p = &telemetry_params[f];
	memset(letters, high ? 'z' : 'a', sizeof(letters));
	if (p->type == PARAM_TEXT)
		telemetry_set_text(&t, f, span_of(letters, (size_t)(high && p->max < 40 ? p->max : p->min)));
	else
		telemetry_set(&t, f, high ? p->max : p->min);
}

static void test_every_field_of_the_table(void **state)
{
	(void)state;
	for (int high = 0; high <= 1; high++) {
		begin(NOON + high);
		for (unsigned f = 0; f < TM_FIELD_COUNT; f++)
			if (f != TM_TIMESTAMP)
				set_lowest_or_highest((enum telemetry_field)f, high);
		telemetry_set(&t, TM_POSITION_VALID, 1);
		merge();
		unsigned same = 0;
		for (unsigned f = 0; f < TM_FIELD_COUNT; f++) {
			const struct param *p = &telemetry_params[f];
			if (!telemetry_has(&all, (enum telemetry_field)f) || f == TM_POSITION_TIMESTAMP)
				continue;
			same++;
			if (p->type == PARAM_TEXT)
				assert_true(all.value[f].text.len == t.value[f].text.len &&
					    memcmp(all.value[f].text.ptr, t.value[f].text.ptr,
						    t.value[f].text.len) == 0);
			else
				assert_int_equal(telemetry_number(&all, (enum telemetry_field)f),
					telemetry_number(&t, (enum telemetry_field)f));
		}
		assert_int_equal(same, TM_FIELD_COUNT - 6); /* less what is left out */
	}
}

static void test_it_stays_within_its_bounds(void **state)
{
	static uint8_t hex[1024];
	(void)state;
	begin_fix(NOON, 1, true);
	merge();
	for (unsigned i = 0; i < 400; i++) {
		begin(NOON + i);
		for (unsigned n = 0; n < 100; n++)
			telemetry_add_item(
				&t, "custom.item.", i * 7 + n, 4, ITEM_HEX, span_of(hex, 1 + (i * n) % 300));
		telemetry_set(&t, TM_BATTERY_LEVEL, i % 100);
		merge();
		assert_int_equal(value(TM_BATTERY_LEVEL), i % 100);
		assert_true(all.item_count <= KNOWN_ITEMS_MOST);
	}
	begin(NOON + 1000);
	telemetry_add_item(&t, "custom.item.", 1, 4, ITEM_NUMBER, span_of(hex, 3));
	merge();
	assert_int_equal(
		value(TM_LATITUDE), 1); /* a record with what is too much does not push out the place */
}

/* --- kept --- */

static void test_kept_and_loaded(void **state)
{
	static struct known loaded;
	static struct telemetry again;
	(void)state;
	begin_fix(NOON, 9, true);
	telemetry_set(&t, TM_IGNITION, 1);
	telemetry_set_text(&t, TM_ICCID, span_text("8986"));
	telemetry_add_cell(&t, (struct telemetry_cell){1, 2, -70, true});
	telemetry_add_item(&t, "custom.item.", 0xeb, 2, ITEM_NUMBER, span_of("\1\2", 2));
	merge();
	begin_fix(NOON + MINUTE, 8, false);
	merge();
	assert_true(load(&loaded, &own, known.bytes, known.len));
	known_record(bytes_of(&loaded), &own, &again);
	uint8_t text[2][8192];
	struct writer w[2] = {writer_of(text[0], sizeof(text[0])), writer_of(text[1], sizeof(text[1]))};
	struct telemetry_keys keys;
	telemetry_keys_make(&keys, &emit_json, CUSTOM_ALL);
	telemetry_emit(&all, &keys, &w[0]);
	telemetry_emit(&again, &keys, &w[1]);
	assert_true(w[0].len == w[1].len && w[0].len > 200 && memcmp(text[0], text[1], w[0].len) == 0);
}

/* A table of another version: a row less at the beginning, two changed places, one with other decimals, one of another type. */
static void test_another_table(void **state)
{
	static const char theirs[] = "03position.latitude\n"  /* other decimals */
				     "17position.longitude\n" /* a text by then */
				     "20alarm.that.is.gone\n"
				     "20sos.alarm\n"
				     "00battery.level\n"
				     "20engine.ignition.status\n";
	static const uint8_t bytes[] = {0, 0, 0, 0, 0, 0, 0, 9, /* date */
		1, 0, 0, 0, 0, 0, 0, 0, 0x3f,                   /* all six */
		1, 0, 0, 0, 0, 0, 0, 0, 0x2c,                   /* the booleans are true */
		4, 0, 2, 'h', 'i', 0x8c, 1,                     /* 2, "hi", 70 */
		0, 0};
	struct known_table table;
	(void)state;
	assert_true(known_table_load(&table, span_text(theirs)));
	assert_int_equal(table.count, 6);
	assert_true(load(&known, &table, bytes, sizeof(bytes)));
	known_record(bytes_of(&known), &own, &all);
	assert_int_equal(value(TM_SOS_ALARM), 1);
	assert_int_equal(value(TM_IGNITION), 1);
	assert_int_equal(value(TM_BATTERY_LEVEL), 70);
	assert_false(telemetry_has(&all, TM_LATITUDE) || telemetry_has(&all, TM_LONGITUDE));
	static const char *const bad[] = {"", "0", "03", "03x", "93x\n", "03x\n0"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(known_table_load(&table, span_text(bad[i])));
}

/* Whatever stands on the disk: cut anywhere, any byte changed; nothing is read behind its end. */
static void test_damaged_bytes(void **state)
{
	(void)state;
	begin_fix(NOON, 9, true);
	telemetry_set_text(&t, TM_ICCID, span_text("8986"));
	telemetry_add_cell(&t, (struct telemetry_cell){1, 2, -70, true});
	telemetry_add_item(&t, "custom.item.", 0xeb, 2, ITEM_HEX, span_of("\1\2", 2));
	merge();
	size_t len = known.len, refused = 0;
	for (size_t cut = 1; cut < len; cut++) {
		uint8_t *copy = malloc(cut);
		static struct known loaded;
		assert_non_null(copy);
		memcpy(copy, known.bytes, cut);
		refused += !load(&loaded, &own, copy, cut);
		free(copy);
	}
	assert_int_equal(refused, len - 1);
	for (size_t at = 0; at < len * 8; at++) {
		uint8_t *copy = malloc(len);
		static struct known loaded;
		assert_non_null(copy);
		memcpy(copy, known.bytes, len);
		copy[at / 8] ^= (uint8_t)(1 << at % 8);
		if (load(&loaded, &own, copy, len))
			known_record(bytes_of(&loaded), &own, &all);
		known_place(bytes_of(&loaded), &own, &all);
		free(copy);
	}
}

static void test_the_record_of_the_place(void **state)
{
	(void)state;
	assert_false(known_place(bytes_of(&known), &own, &all));
	begin(NOON - MINUTE);
	telemetry_set(&t, TM_BATTERY_LEVEL, 50);
	merge();
	assert_false(known_place(bytes_of(&known), &own, &all));
	begin_fix(NOON, 20, true);
	telemetry_set(&t, TM_BATTERY_LEVEL, 60);
	telemetry_set(&t, TM_SERVER_SEQNUM, 7);
	merge();
	assert_true(known_place(bytes_of(&known), &own, &all));
	assert_memory_equal(all.present, t.present, sizeof(t.present)); /* the very record */
	assert_int_equal(value(TM_SERVER_SEQNUM), 7);
	assert_int_equal(value(TM_TIMESTAMP), NOON);
	begin_fix(NOON + MINUTE, 30, false); /* no fix */
	telemetry_set(&t, TM_BATTERY_LEVEL, 70);
	telemetry_set(&t, TM_SERVER_SEQNUM, 8);
	merge();
	assert_true(known_place(bytes_of(&known), &own, &all));
	assert_int_equal(value(TM_LATITUDE), 20);
	assert_int_equal(value(TM_SPEED), 20);
	assert_int_equal(value(TM_TIMESTAMP), NOON);
	assert_int_equal(value(TM_POSITION_VALID), true);
	assert_false(telemetry_has(&all, TM_SERVER_SEQNUM));
	assert_false(telemetry_has(&all, TM_BATTERY_LEVEL)); /* what is newer is not of this record */
	assert_false(telemetry_has(&all, TM_POSITION_TIMESTAMP));
}

/* What another bridge knows is joined: of each key the newest value, whoever has it, and of equal dates the one that is joined. */
static void test_what_is_known_elsewhere(void **state)
{
	static struct known theirs;
	static uint8_t work[KNOWN_WORK_BYTES];
	(void)state;
	begin_fix(NOON, 100000000, true);
	telemetry_set(&t, TM_BATTERY_LEVEL, 70);
	merge();
	begin(NOON + 3 * MINUTE);
	telemetry_set(&t, TM_SATELLITES, 7);
	merge();
	begin_fix(NOON + 5 * MINUTE, 300000000, false);
	merge();
	theirs = known;
	known.len = 0;
	begin_fix(NOON + MINUTE, 200000000, true);
	telemetry_set_text(&t, TM_VENDOR_CODE, span_text("HQ"));
	merge();
	begin(NOON + 3 * MINUTE);
	telemetry_set(&t, TM_SATELLITES, 8);
	merge();
	size_t groups = 0;
	for (size_t at = 0; at < theirs.len; groups++) {
		struct writer w = writer_of(work, sizeof(work));
		struct span joined = known_join(bytes_of(&known), &own, bytes_of(&theirs), &at, &t, &w);
		if (joined.len > 0)
			memcpy(known.bytes, joined.ptr, known.len = joined.len);
	}
	assert_true(groups >= 3);
	known_record(bytes_of(&known), &own, &all);
	assert_int_equal(value(TM_BATTERY_LEVEL), 70);
	assert_int_equal(value(TM_SATELLITES), 7);
	text_is(TM_VENDOR_CODE, "HQ");
	assert_int_equal(value(TM_LATITUDE), 200000000);
	assert_int_equal(value(TM_POSITION_TIMESTAMP), NOON + MINUTE);
	assert_int_equal(value(TM_TIMESTAMP), NOON + 5 * MINUTE);
	assert_false(value(TM_POSITION_VALID));
}

/* Bytes that are cut, or changed, are passed over, and nothing is read beyond them. */
static void test_what_is_joined_may_be_damaged(void **state)
{
	static struct known theirs;
	static uint8_t work[KNOWN_WORK_BYTES];
	(void)state;
	begin_fix(NOON, 100000000, true);
	telemetry_set_text(&t, TM_VENDOR_CODE, span_text("HQ"));
	merge();
	theirs = known;
	for (size_t len = 0; len < theirs.len; len++)
		for (unsigned flip = 0; flip < 256; flip += 51) {
			struct known cut = {.len = len};
			memcpy(cut.bytes, theirs.bytes, len);
			if (len > 0)
				cut.bytes[len - 1] ^= (uint8_t)flip;
			for (size_t at = 0, before = SIZE_MAX; at < cut.len && at != before;) {
				struct writer w = writer_of(work, sizeof(work));
				before = at;
				known_join(bytes_of(&known), &own, bytes_of(&cut), &at, &t, &w);
				assert_true(at <= cut.len && at > before);
			}
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_is_known_elsewhere, set_up, NULL),
		cmocka_unit_test_setup_teardown(test_what_is_joined_may_be_damaged, set_up, NULL),
		cmocka_unit_test_setup_teardown(test_an_older_record_fills_only_what_is_missing, set_up, NULL),
		cmocka_unit_test_setup_teardown(test_the_order_of_arrival_is_of_no_account, set_up, NULL),
		cmocka_unit_test_setup_teardown(test_of_equal_dates_the_later_call, set_up, NULL),
		cmocka_unit_test_setup_teardown(test_the_place_is_of_valid_fixes, set_up, NULL),
		cmocka_unit_test_setup_teardown(test_what_tells_of_a_record_is_of_the_newest_one, set_up, NULL),
		cmocka_unit_test_setup_teardown(test_the_cells_of_one_record, set_up, NULL),
		cmocka_unit_test_setup_teardown(test_every_field_of_the_table, set_up, NULL),
		cmocka_unit_test_setup_teardown(test_it_stays_within_its_bounds, set_up, NULL),
		cmocka_unit_test_setup_teardown(test_kept_and_loaded, set_up, NULL),
		cmocka_unit_test_setup_teardown(test_another_table, set_up, NULL),
		cmocka_unit_test_setup_teardown(test_damaged_bytes, set_up, NULL),
		cmocka_unit_test_setup_teardown(test_the_record_of_the_place, set_up, NULL),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
