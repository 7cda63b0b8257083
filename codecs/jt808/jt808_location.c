// SPDX-License-Identifier: MIT
/* jt808_location: the location body of JT/T 808 (0x0200, 0x0201, 0x0500, 0x0704) with its bits and items.
 * Uses: codecs/record.
 *
 *   0        4         8          12          16         18          20       22        28
 *   alarms 4 status 4  lat 4 e-6  lon 4 e-6   altitude 2 speed 2 /10 course 2 BCD time  items: id 1, length 1, value
 *   Both words: 1 is active. Coordinates are absolute; south and west are status bits 2 and 3. */
#include "codecs/jt808/jt808_private.h"
#include "codecs/record/mark.h"

enum { HEAD_BYTES = 28, FUEL_ITEM = 0x02, IMEI_ITEM = 0xf6 };

/* --- tables --- */

#define ALARM_BITS(X)                                                                                          \
	X(0, TM_SOS_ALARM)                                                                                     \
	X(1, TM_OVERSPEEDING_EVENT)                                                                            \
	X(2, TM_FATIGUE_STATUS)                                                                                \
	X(3, TM_DANGER_ALARM)                                                                                  \
	X(4, TM_GNSS_FAILURE_ALARM)                                                                            \
	X(5, TM_GNSS_ANTENNA_OPEN_ALARM)                                                                       \
	X(6, TM_GNSS_ANTENNA_SHORT_ALARM)                                                                      \
	X(7, TM_BATTERY_LOW_ALARM)                                                                             \
	X(8, TM_POWER_CUT_ALARM)                                                                               \
	X(9, TM_DISPLAY_FAULT)                                                                                 \
	X(10, TM_TTS_FAULT)                                                                                    \
	X(11, TM_CAMERA_FAULT)                                                                                 \
	X(12, TM_IC_CARD_FAULT)                                                                                \
	X(13, TM_OVERSPEED_WARNING)                                                                            \
	X(14, TM_FATIGUE_WARNING)                                                                              \
	X(15, TM_ALARM_BIT_15)                                                                                 \
	X(16, TM_ALARM_BIT_16)                                                                                 \
	X(17, TM_ALARM_BIT_17)                                                                                 \
	X(18, TM_DRIVING_TIME_ALARM)                                                                           \
	X(19, TM_PARKING_TIME_ALARM)                                                                           \
	X(20, TM_AREA_EVENT)                                                                                   \
	X(21, TM_ROUTE_EVENT)                                                                                  \
	X(22, TM_ROUTE_TIME_ALARM)                                                                             \
	X(23, TM_ROUTE_DEVIATION_ALARM)                                                                        \
	X(24, TM_VSS_FAULT)                                                                                    \
	X(25, TM_FUEL_ALARM)                                                                                   \
	X(26, TM_THEFT_ALARM)                                                                                  \
	X(27, TM_ILLEGAL_IGNITION_ALARM)                                                                       \
	X(28, TM_DISPLACEMENT_ALARM)                                                                           \
	X(29, TM_CRASH_EVENT)                                                                                  \
	X(30, TM_ROLLOVER_EVENT)                                                                               \
	X(31, TM_ILLEGAL_DOOR_ALARM)
static const struct telemetry_flags alarm_bits = TM_FLAGS(ALARM_BITS);

/* Bits 2 and 3 are the signs of the coordinates, 8 and 9 the load: set by set_status and jt808_location. Bits 10 and 11 together, and 13
 * to 17 together, set one more boolean. Bits 23 to 31 are reserved; the whole word is a parameter as well. */
#define STATUS_BITS(X)                                                                                         \
	X(0, TM_IGNITION)                                                                                      \
	X(1, TM_POSITION_VALID)                                                                                \
	X(4, TM_OUT_OF_SERVICE)                                                                                \
	X(5, TM_COORDINATES_ENCRYPTED)                                                                         \
	X(6, TM_FORWARD_COLLISION)                                                                             \
	X(7, TM_LANE_DEPARTURE)                                                                                \
	X(10, TM_FUEL_LINE_CUT)                                                                                \
	X(11, TM_CIRCUIT_CUT)                                                                                  \
	X(12, TM_DOOR_LOCKED)                                                                                  \
	X(13, TM_DOOR_1_OPEN)                                                                                  \
	X(14, TM_DOOR_2_OPEN)                                                                                  \
	X(15, TM_DOOR_3_OPEN)                                                                                  \
	X(16, TM_DOOR_4_OPEN)                                                                                  \
	X(17, TM_DOOR_5_OPEN)                                                                                  \
	X(18, TM_GPS_USED)                                                                                     \
	X(19, TM_BEIDOU_USED)                                                                                  \
	X(20, TM_GLONASS_USED)                                                                                 \
	X(21, TM_GALILEO_USED)                                                                                 \
	X(22, TM_MOVING)
static const struct telemetry_flags status_bits = TM_FLAGS(STATUS_BITS);

enum item_kind {
	KIND_NUMBER = 0,
	KIND_SIGNED,
	KIND_CSQ,
	KIND_CHARGE, /* a number; 255: charging, the charge is unknown */
	KIND_TENS,   /* two bytes: a number, and 0 */
	KIND_ZERO    /* true when it is 0 */
};

/* One number in an item: `size` bytes at `offset`, times `factor` gives units of the parameter's decimals. An item may have several. One
 * that has another `length`, or a number that is more than `most` (0: any), is not decoded: it is shown under its id. So is an item with
 * bytes that no row has, besides its numbers. Makers use the ids from 50 on as they like: their rows are those that trackers were seen
 * to send, and `most` leaves out what another maker may mean. */
static const struct item_row {
	uint8_t id, length, offset, size;
	enum item_kind kind;
	uint16_t field, factor, most;
} items[] = {
	{0x01, 4, 0, 4, KIND_NUMBER, TM_MILEAGE, 100, 0},
	{0x02, 2, 0, 2, KIND_NUMBER, TM_FUEL_VOLUME, 1, 0x7fff},
	{0x03, 2, 0, 2, KIND_NUMBER, TM_RECORDER_SPEED, 1, 0},
	{0x04, 2, 0, 2, KIND_NUMBER, TM_ALARM_EVENT_ID, 1, 0},
	{0x06, 1, 0, 1, KIND_NUMBER, TM_BATTERY_LEVEL, 1, 100},
	{0x06, 2, 0, 2, KIND_SIGNED, TM_CARGO_TEMPERATURE, 1, 0},
	{0x11, 1, 0, 1, KIND_NUMBER, TM_OVERSPEED_AREA_TYPE, 1, 0},
	{0x11, 5, 0, 1, KIND_NUMBER, TM_OVERSPEED_AREA_TYPE, 1, 0},
	{0x11, 5, 1, 4, KIND_NUMBER, TM_OVERSPEED_AREA_ID, 1, 0},
	{0x12, 6, 0, 1, KIND_NUMBER, TM_AREA_TYPE, 1, 0},
	{0x12, 6, 1, 4, KIND_NUMBER, TM_AREA_ID, 1, 0},
	{0x12, 6, 5, 1, KIND_NUMBER, TM_AREA_DIRECTION, 1, 0},
	{0x13, 7, 0, 4, KIND_NUMBER, TM_ROUTE_ID, 1, 0},
	{0x13, 7, 4, 2, KIND_NUMBER, TM_ROUTE_SECONDS, 1, 0},
	{0x13, 7, 6, 1, KIND_NUMBER, TM_ROUTE_RESULT, 1, 0},
	{0x25, 4, 0, 4, KIND_NUMBER, TM_VEHICLE_SIGNALS, 1, 0},
	{0x2a, 2, 0, 2, KIND_NUMBER, TM_IO_BITS, 1, 0},
	{0x2b, 4, 2, 2, KIND_NUMBER, TM_ANALOG_0, 1, 0},
	{0x2b, 4, 0, 2, KIND_NUMBER, TM_ANALOG_1, 1, 0},
	{0x30, 1, 0, 1, KIND_CSQ, TM_GSM_LEVEL, 1, 0},
	{0x31, 1, 0, 1, KIND_NUMBER, TM_SATELLITES, 1, 0},
	{0x56, 2, 0, 2, KIND_TENS, TM_BATTERY_LEVEL, 10, 10},
	{0xd4, 1, 0, 1, KIND_CHARGE, TM_BATTERY_LEVEL, 1, 100},
	{0xe1, 1, 0, 1, KIND_CHARGE, TM_BATTERY_LEVEL, 1, 100},
	{0xe3, 6, 1, 1, KIND_NUMBER, TM_BATTERY_LEVEL, 1, 100},
	{0xe3, 6, 2, 2, KIND_NUMBER, TM_BATTERY_VOLTAGE, 10, 600}, /* more: the vehicle's supply */
	{0xe4, 2, 1, 1, KIND_NUMBER, TM_BATTERY_LEVEL, 1, 100},
	{0xe4, 2, 0, 1, KIND_ZERO, TM_BATTERY_CHARGING, 1, 0},
	{0xe9, 1, 0, 1, KIND_CHARGE, TM_BATTERY_LEVEL, 1, 100},
	{0xfe, 1, 0, 1, KIND_NUMBER, TM_BATTERY_LEVEL, 1, 100},
};

/* --- path --- */

static void set_status(struct telemetry *t, uint32_t word)
{
	telemetry_set_flags(t, word, &status_bits);
	telemetry_set(t, TM_LOAD, word >> 8 & 3);
	telemetry_set(t, TM_ENGINE_BLOCKED, (word >> 10 & 3) != 0);
	telemetry_set(t, TM_DOOR_OPEN, (word >> 13 & 31) != 0);
}

static int64_t number_of(const struct item_row *row, struct span value)
{
	struct reader r = reader_of(span_of(value.ptr + row->offset, row->size));
	return reader_uint(&r, row->size);
}

/* Can this be the number that the row means? */
static bool is_plausible(const struct item_row *row, int64_t number)
{
	if (row->kind == KIND_CHARGE)
		return number <= row->most || number == 255;
	if (row->kind == KIND_TENS)
		return number % 256 == 0 && number / 256 <= row->most;
	return row->most == 0 || number <= row->most;
}

static void set_number(struct telemetry *t, const struct item_row *row, int64_t v)
{
	enum telemetry_field field = (enum telemetry_field)row->field;
	switch (row->kind) {
	case KIND_NUMBER:
		telemetry_set(t, field, v * row->factor);
		break;
	case KIND_SIGNED:
		telemetry_set(t, field, (int16_t)v * row->factor);
		break;
	case KIND_CSQ:
		codec_set_csq(t, v);
		break;
	case KIND_CHARGE:
		telemetry_set(t, TM_BATTERY_CHARGING, v == 255);
		if (v != 255)
			telemetry_set(t, field, v * row->factor);
		break;
	case KIND_TENS:
		telemetry_set(t, field, v / 256 * row->factor);
		break;
	case KIND_ZERO:
		telemetry_set(t, field, v == 0);
		break;
	}
}

#define ITEMS_END (items + sizeof(items) / sizeof(items[0]))
#define ROWS_MOST 3 /* that one item has */

static bool is_row_of(const struct item_row *row, uint8_t id, struct span value)
{
	return row < ITEMS_END && row->id == id && row->length == value.len;
}

/* Sets what the rows of this item say; they stand together. false: it is to be shown under its id as well, for there are bytes that no
 * row has, or it is not decoded, as a second item that says the same. */
static bool set_item(struct telemetry *t, uint8_t id, struct span value)
{
	const struct item_row *first = items;
	int64_t number[ROWS_MOST];
	size_t count = 0, decoded = 0;
	while (first < ITEMS_END && !is_row_of(first, id, value))
		first++;
	for (const struct item_row *row = first; count < ROWS_MOST && is_row_of(row, id, value); row++) {
		number[count] = number_of(row, value);
		if (!is_plausible(row, number[count++]) || telemetry_has(t, (enum telemetry_field)row->field))
			return false;
		decoded += row->size;
	}
	for (size_t i = 0; i < count; i++) {
		set_number(t, first + i, number[i]);
		mark(t, span_of(value.ptr + first[i].offset, first[i].size),
			(enum telemetry_field)first[i].field);
	}
	return decoded > 0 && decoded == value.len;
}

/* Item 02 with bit 15: the rest is per cent. */
static bool set_fuel_level(struct telemetry *t, struct span value)
{
	struct reader r = reader_of(value);
	uint16_t v = reader_u16(&r);
	if (value.len != 2 || v < 0x8000 || v > 0x8000 + 100 || telemetry_has(t, TM_FUEL_LEVEL))
		return false;
	telemetry_set(t, TM_FUEL_LEVEL, v - 0x8000);
	mark(t, value, TM_FUEL_LEVEL);
	return true;
}

/* Item F6 of 8 bytes: BCD of 0 and the 15 digits of an IMEI. */
static struct span imei_of(struct span value, uint8_t digits[16])
{
	struct writer w = writer_of(digits, 16);
	if (value.len != 8 || !span_is_bcd(value) || value.ptr[0] >> 4 != 0 || span_all(value, byte_is_nul))
		return span_of(NULL, 0);
	writer_hex(&w, value);
	return span_after(writer_span(&w), 1);
}

struct span jt808_location_imei(struct span body, uint8_t digits[16])
{
	struct reader r = reader_of(body);
	for (reader_take(&r, HEAD_BYTES); !r.bad && reader_left(&r) > 0;) {
		uint8_t id = reader_u8(&r);
		struct span value = reader_take(&r, reader_u8(&r));
		struct span imei = !r.bad && id == IMEI_ITEM ? imei_of(value, digits) : span_of(NULL, 0);
		if (imei.len > 0)
			return imei;
	}
	return span_of(NULL, 0);
}

static bool set_imei(struct telemetry *t, struct span value)
{
	uint8_t digits[16];
	struct span imei = imei_of(value, digits);
	struct writer w = telemetry_scratch(t);
	if (imei.len == 0 || telemetry_has(t, TM_DEVICE_IMEI))
		return false;
	writer_span_put(&w, imei);
	telemetry_set_scratch(t, TM_DEVICE_IMEI, &w);
	mark(t, value, TM_DEVICE_IMEI);
	return true;
}

static void take_items(struct telemetry *t, struct reader *r)
{
	while (reader_left(r) > 0) {
		size_t at = r->pos;
		uint8_t id = reader_u8(r), length = reader_u8(r);
		struct span value = reader_take(r, length);
		if (r->bad) { /* it is longer than what is left: the items before it count, the rest is shown as bytes */
			struct writer w = telemetry_scratch(t);
			writer_hex(&w, span_after(r->in, at));
			telemetry_set_scratch(t, TM_TAIL, &w);
			mark(t, span_after(r->in, at), TM_TAIL);
			return;
		}
		mark_name(t, span_part(r->in, at, 1), "item");
		mark_number(t, span_part(r->in, at + 1, 1), "length", length);
		bool whole = (id == FUEL_ITEM && set_fuel_level(t, value)) ||
			     (id == IMEI_ITEM && set_imei(t, value)) || set_item(t, id, value);
		if (!whole)
			telemetry_add_item(t, "custom.item.", id, 2, ITEM_HEX, value);
	}
}

void jt808_set_time(struct telemetry *t, struct span bcd, const struct jt808_options *options)
{
	int64_t unix_s;
	if (!span_is_bcd(bcd))
		return;
	int v[6];
	for (size_t i = 0; i < 6; i++)
		v[i] = byte_bcd(bcd.ptr[i]);
	struct calendar c = {2000 + v[0], v[1], v[2], v[3], v[4], v[5]};
	if (calendar_unix(&c, &unix_s))
		telemetry_set(t, TM_TIMESTAMP, (unix_s - options->timezone) * 1000);
}

static void mark_head(struct telemetry *t, struct span body)
{
	mark_bits(t, span_part(body, 0, 4), TM_ALARM_BITMASK, &alarm_bits);
	mark_bits(t, span_part(body, 4, 4), TM_STATUS_BITMASK, &status_bits);
	mark(t, span_part(body, 4, 4), TM_ENGINE_BLOCKED);
	mark(t, span_part(body, 4, 4), TM_DOOR_OPEN);
	mark(t, span_part(body, 4, 4), TM_LOAD);
	mark(t, span_part(body, 8, 4), TM_LATITUDE);
	mark(t, span_part(body, 12, 4), TM_LONGITUDE);
	mark(t, span_part(body, 16, 2), TM_ALTITUDE);
	mark(t, span_part(body, 18, 2), TM_SPEED);
	mark(t, span_part(body, 20, 2), TM_DIRECTION);
	mark(t, span_part(body, 22, 6), TM_TIMESTAMP);
}

enum codec_status jt808_location(struct telemetry *t, struct span body, const struct jt808_options *options)
{
	struct reader r = reader_of(body);
	uint32_t alarms = reader_u32(&r), status = reader_u32(&r);
	int64_t latitude = reader_u32(&r), longitude = reader_u32(&r);
	int16_t altitude = (int16_t)reader_u16(&r);
	uint16_t speed = reader_u16(&r), course = reader_u16(&r);
	struct span time = reader_take(&r, 6);
	if (r.bad)
		return CODEC_TRUNCATED;
	mark_head(t, body);
	telemetry_set(t, TM_ALARM_BITMASK, alarms);
	telemetry_set(t, TM_STATUS_BITMASK, status);
	telemetry_set_flags(t, alarms, &alarm_bits);
	set_status(t, status);
	enum codec_status rc = codec_set_place(t, status & 2, (status & 4 ? -latitude : latitude) * 10,
		(status & 8 ? -longitude : longitude) * 10);
	if (rc != CODEC_OK)
		return rc;
	telemetry_set(t, TM_ALTITUDE, altitude);
	telemetry_set(t, TM_SPEED, speed * 100);
	telemetry_set(t, TM_DIRECTION, course * 10000);
	jt808_set_time(t, time, options);
	take_items(t, &r);
	return CODEC_OK;
}
