// SPDX-License-Identifier: MIT
/* test_custom: what `custom` lets through: each parameter of the table and each form of item, in both formats, with a value and
 * without one. */
#include "harness.h"

#include "codecs/record/telemetry.h"

#include <cjson/cJSON.h>
#include <msgpack.h>

static struct telemetry record;
static struct telemetry_keys keys;
static char out[65536];

static void fill(bool active)
{
	telemetry_reset(&record);
	for (size_t i = 0; i < TM_FIELD_COUNT; i++) {
		enum telemetry_field field = (enum telemetry_field)i;
		const struct param *p = &telemetry_params[field];
		if (p->type == PARAM_TEXT)
			telemetry_set_text(&record, field, span_of("00000000000000000000", (size_t)p->min));
		else
			telemetry_set(&record, field, p->min <= 0 ? (active ? p->max : 0) : p->min);
	}
	const uint8_t *number = (const uint8_t *)(active ? "\0\1" : "\0\0");
	telemetry_add_item(&record, "custom.a.", 1, 2, ITEM_NUMBER, span_of(number, 2));
	telemetry_add_item(&record, "custom.b.", 1, 2, ITEM_HEX, span_of("\0", 1));
	telemetry_add_item(&record, "custom.c.", 1, 2, ITEM_TEXT, span_of("0", 1));
	telemetry_add_item(&record, "d.", 1, 2, ITEM_NUMBER, span_of("\0\0", 2));
}

static struct span write(const struct emit_format *format, enum telemetry_custom custom)
{
	struct writer w = writer_of(out, sizeof(out) - 1);
	telemetry_keys_make(&keys, format, custom);
	telemetry_emit(&record, &keys, &w);
	assert_false(w.full);
	out[w.len] = '\0';
	return writer_span(&w);
}

static bool is_expected(const char *key, enum telemetry_custom custom, bool empty)
{
	if (custom == CUSTOM_ALL || strncmp(key, "custom.", 7) != 0)
		return true;
	return custom == CUSTOM_ACTIVE && !empty;
}

/* The parameters and items are there or not, as they should; none else is. */
static void check(enum telemetry_custom custom, bool active)
{
	static const char *const items[] = {"custom.a.0x01", "custom.b.0x01", "custom.c.0x01", "d.0x01"};
	cJSON *json = cJSON_Parse((const char *)write(&emit_json, custom).ptr);
	int expected = 0;
	assert_non_null(json);
	for (size_t i = 0; i < TM_FIELD_COUNT; i++) {
		const struct param *p = &telemetry_params[i];
		bool empty = p->type != PARAM_TEXT && !active && p->min <= 0;
		bool is_there = cJSON_GetObjectItemCaseSensitive(json, p->key) != NULL;
		if (is_there != is_expected(p->key, custom, empty))
			fail_msg("%s is %s", p->key, is_there ? "there" : "missing");
		expected += is_there;
	}
	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
		bool is_there = cJSON_GetObjectItemCaseSensitive(json, items[i]) != NULL;
		assert_int_equal(is_there, is_expected(items[i], custom, i == 0 && !active));
		expected += is_there;
	}
	assert_int_equal(cJSON_GetArraySize(json), expected);
	cJSON_Delete(json);
	struct span packed = write(&emit_msgpack, custom);
	msgpack_unpacked result;
	size_t at = 0;
	msgpack_unpacked_init(&result);
	assert_int_equal(msgpack_unpack_next(&result, (const char *)packed.ptr, packed.len, &at),
		MSGPACK_UNPACK_SUCCESS);
	assert_int_equal(at, packed.len); /* as many pairs as were announced */
	assert_int_equal(result.data.via.map.size, expected);
	msgpack_unpacked_destroy(&result);
}

static void test_what_is_let_through(void **state)
{
	(void)state;
	static const enum telemetry_custom levels[] = {CUSTOM_ALL, CUSTOM_ACTIVE, CUSTOM_NONE};
	for (size_t i = 0; i < 6; i++) {
		fill(i & 1);
		check(levels[i / 2], i & 1);
	}
}

/* A frame that was rejected in part, and a new alarm, are told in full: no row of theirs is left out. */
static void test_lists_stay(void **state)
{
	(void)state;
	uint64_t before[TM_WORDS] = {0};
	enum telemetry_field alarm = TM_FIELD_COUNT;
	for (size_t i = 0; i < TM_FIELD_COUNT; i++)
		if (telemetry_params[i].type == PARAM_ALARM &&
			strncmp(telemetry_params[i].key, "custom.", 7) == 0)
			alarm = (enum telemetry_field)i;
	assert_true(alarm < TM_FIELD_COUNT);
	telemetry_reset(&record);
	telemetry_set(&record, alarm, true);
	telemetry_reject(&record, alarm);
	assert_true(telemetry_raise(&record, before));
	cJSON *json = cJSON_Parse((const char *)write(&emit_json, CUSTOM_NONE).ptr);
	assert_int_equal(cJSON_GetArraySize(json), 2);
	for (int i = 0; i < 2; i++) {
		const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, i == 0 ? "alarms" : "rejected");
		assert_string_equal(cJSON_GetArrayItem(list, 0)->valuestring, telemetry_params[alarm].key);
	}
	cJSON_Delete(json);
}

/* A record fills its room to the last byte, or does not fit: whatever room there is, nothing behind it changes. */
static void check_rooms(const struct emit_format *format)
{
	static uint8_t whole[65536], cut[65536];
	size_t len = write(format, CUSTOM_ALL).len;
	memcpy(whole, out, len);
	for (size_t room = 0; room <= len + 300; room++) {
		struct writer w = writer_of(cut, room);
		memset(cut, 0xee, len + 600);
		telemetry_emit(&record, &keys, &w);
		assert_int_equal(w.full, room < len);
		assert_true(w.len <= room);
		assert_memory_equal(cut, whole, w.len);
		for (size_t i = room; i < room + 300; i++)
			assert_int_equal(cut[i], 0xee);
	}
}

static void test_any_room(void **state)
{
	(void)state;
	for (int active = 0; active < 2; active++) { /* at 0 with long rows of booleans that are false */
		fill(active);
		check_rooms(&emit_json);
		check_rooms(&emit_msgpack);
	}
	telemetry_reset(&record);
	telemetry_set_text(&record, TM_PEER,
		span_text("\x01\x02\x03\x04\x05\x06\x07\x08\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\"\\\xff\x80"
			  "\x7f"));
	telemetry_set(&record, TM_LATITUDE, -899999999);
	telemetry_set(&record, TM_CHARGING, true);
	check_rooms(&emit_json);
	check_rooms(&emit_msgpack);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_room),
		cmocka_unit_test(test_what_is_let_through),
		cmocka_unit_test(test_lists_stay),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
