// SPDX-License-Identifier: MIT
/* gt06_block: what messages are made of: date, position, cell, status.
 * Uses: codecs/record.
 * Not: know which message has which.
 *
 *   position   date 6 | satellites 1, low half | latitude 4, longitude 4, in 1/1800000 degree | speed 1, km/h | word 2
 *   word       15 ACC, when 14 is set | 13 differential | 12 fix | 11 west | 10 north | 9-0 course
 *   cell       MCC 2; bit 15: the MNC has two bytes | MNC 1 or 2 | LAC 2, or 4 | cell id 3, or 4 or 8
 *   status     information 1 | battery 1 | signal 1 | alarm 1 | language 1
 *   information   7 cut off | 6 GPS on | 5-3 alarm | 2 charging | 1 ACC | 0 armed */
#include "codecs/gt06/gt06_private.h"
#include "codecs/record/mark.h"

/* --- tables --- */

/* The bits of the information byte that are booleans, and above them what alarms there are. */
#define STATE_BITS(X)                                                                                          \
	X(0, TM_DEFENSE_ACTIVE)                                                                                \
	X(1, TM_IGNITION)                                                                                      \
	X(2, TM_CHARGING)                                                                                      \
	X(6, TM_GNSS_TRACKING)                                                                                 \
	X(7, TM_ENGINE_BLOCKED)                                                                                \
	X(8, TM_VIBRATION_ALARM)                                                                               \
	X(9, TM_POWER_CUT_ALARM)                                                                               \
	X(10, TM_BATTERY_LOW_ALARM)                                                                            \
	X(11, TM_SOS_ALARM)
#define ALL_BITS(X)                                                                                            \
	STATE_BITS(X)                                                                                          \
	X(12, TM_GEOFENCE_IN_ALARM)                                                                            \
	X(13, TM_GEOFENCE_OUT_ALARM)                                                                           \
	X(14, TM_OVERSPEEDING_EVENT)                                                                           \
	X(15, TM_DISPLACEMENT_ALARM)                                                                           \
	X(16, TM_CRASH_EVENT)                                                                                  \
	X(17, TM_ROLLOVER_EVENT)
static const struct telemetry_flags state_bits = TM_FLAGS(STATE_BITS), all_bits = TM_FLAGS(ALL_BITS);
enum { INFORMATION_BITS = 0xc7, VIBRATION = 1 << 8, POWER_CUT = 1 << 9, BATTERY_LOW = 1 << 10, SOS = 1 << 11 };

/* Bits 5 to 3 of the information byte. */
static const uint16_t alarm_of_state[8] = {0, VIBRATION, POWER_CUT, BATTERY_LOW, SOS};

static const struct {
	uint8_t code;
	uint32_t bit;
} alarm_of_code[] = {
	{0x01, SOS},
	{0x02, POWER_CUT},
	{0x03, VIBRATION},
	{0x04, 1 << 12},
	{0x05, 1 << 13},
	{0x06, 1 << 14},
	{0x09, 1 << 15},
	{0x0e, BATTERY_LOW},
	{0x0f, BATTERY_LOW},
	{0x19, BATTERY_LOW},
	{0x2c, 1 << 16},
	{0x2d, 1 << 17},
};

const struct gt06_cell gt06_cell_2g = {0, 2, 3}, gt06_cell_4g = {0, 4, 8};

/* --- time and place --- */

void gt06_time(struct telemetry *t, struct reader *r, int64_t zone_s)
{
	struct span date = reader_take(r, 6);
	int64_t unix_s;
	if (r->bad)
		return;
	const uint8_t *d = date.ptr;
	const struct calendar c = {2000 + d[0], d[1], d[2], d[3], d[4], d[5]};
	if (calendar_unix(&c, &unix_s))
		telemetry_set(t, TM_TIMESTAMP, (unix_s - zone_s) * 1000);
	mark(t, date, TM_TIMESTAMP);
}

void gt06_unix_time(struct telemetry *t, struct reader *r)
{
	int64_t unix_s = reader_u32(r);
	if (unix_s != 0)
		telemetry_set(t, TM_TIMESTAMP, unix_s * 1000);
	mark(t, reader_last(r, 4), TM_TIMESTAMP);
}

/* 1/1800000 degree as 1e-7 degree, rounded. */
static int64_t degrees(uint32_t raw)
{
	return ((int64_t)raw * 100 + 9) / 18;
}

static void mark_place(struct telemetry *t, struct span bytes, bool has_speed)
{
	struct span word = span_part(bytes, has_speed ? 9 : 8, 2);
	mark(t, span_part(bytes, 0, 4), TM_LATITUDE);
	mark(t, span_part(bytes, 4, 4), TM_LONGITUDE);
	mark(t, span_part(bytes, 8, has_speed), TM_SPEED);
	mark(t, word, TM_POSITION_VALID);
	mark(t, word, TM_DIRECTION);
	mark(t, word, TM_IGNITION);
}

enum codec_status gt06_place(struct telemetry *t, struct reader *r, bool has_speed)
{
	int64_t latitude = degrees(reader_u32(r)), longitude = degrees(reader_u32(r));
	uint8_t speed = has_speed ? reader_u8(r) : 0;
	uint16_t word = reader_u16(r);
	if (r->bad)
		return CODEC_BAD_LENGTH;
	mark_place(t, reader_last(r, has_speed ? 11 : 10), has_speed);
	bool valid = word & 0x1000;
	telemetry_set(t, TM_POSITION_VALID, valid);
	if (has_speed)
		telemetry_set(t, TM_SPEED, speed * 1000);
	telemetry_set(t, TM_DIRECTION, (word & 0x3ff) * 10000);
	if (word & 0x4000)
		telemetry_set(t, TM_IGNITION, word >> 15);
	return codec_set_place(
		t, valid, word & 0x0400 ? latitude : -latitude, word & 0x0800 ? -longitude : longitude);
}

enum codec_status gt06_gps(struct telemetry *t, struct reader *r, int64_t zone_s)
{
	if (reader_left(r) < GT06_GPS_BYTES)
		return CODEC_BAD_LENGTH;
	gt06_time(t, r, zone_s);
	telemetry_set(t, TM_SATELLITES, reader_u8(r) & 15);
	mark(t, reader_last(r, 1), TM_SATELLITES);
	return gt06_place(t, r, true);
}

/* --- cells --- */

static bool wide_mnc(const struct reader *r, struct gt06_cell form)
{
	struct span mcc = span_part(r->in, r->pos, 2);
	return form.mnc == 2 || (form.mnc == 0 && mcc.len > 0 && mcc.ptr[0] & 0x80);
}

size_t gt06_cell_bytes(const struct reader *r, struct gt06_cell form)
{
	return 2u + (wide_mnc(r, form) ? 2 : 1) + form.lac + form.id;
}

/* Returns whether there is one. */
static bool take_network(struct telemetry *t, struct reader *r, struct gt06_cell form)
{
	size_t mnc_bytes = wide_mnc(r, form) ? 2 : 1;
	uint16_t mcc = reader_u16(r) & 0x7fff;
	mark(t, reader_last(r, 2), TM_GSM_MCC);
	uint32_t mnc = reader_uint(r, mnc_bytes);
	mark(t, reader_last(r, mnc_bytes), TM_GSM_MNC);
	if (r->bad || mcc < telemetry_params[TM_GSM_MCC].min || mcc > telemetry_params[TM_GSM_MCC].max)
		return false;
	telemetry_set(t, TM_GSM_MCC, mcc);
	telemetry_set(t, TM_GSM_MNC, mnc);
	return true;
}

/* 1 to 8 bytes; 0 and all ones are unknown: 0. */
static uint64_t take_id(struct reader *r, size_t bytes)
{
	uint64_t id = bytes == 8 ? reader_u64(r) : reader_uint(r, bytes);
	return id == UINT64_MAX >> (64 - 8 * bytes) ? 0 : id;
}

/* What is behind the network. `n`: of the neighbour, from 1; 0: the serving cell. false: unknown. */
static bool take_cell(struct telemetry *t, struct reader *r, struct gt06_cell form, bool known, unsigned n)
{
	uint64_t lac = take_id(r, form.lac);
	mark_cell(t, reader_last(r, form.lac), TM_GSM_LAC, n);
	uint64_t id = take_id(r, form.id);
	mark_cell(t, reader_last(r, form.id), TM_GSM_CELLID, n);
	if (!known || r->bad || (lac == 0 && id == 0))
		return false;
	if (n > 0) { /* what does not fit is unknown */
		uint32_t id32 = id > UINT32_MAX ? 0 : (uint32_t)id;
		telemetry_add_cell(t, (struct telemetry_cell){.lac = (uint32_t)lac, .cellid = id32});
		return true;
	}
	if (lac != 0)
		telemetry_set(t, TM_GSM_LAC, (int64_t)lac);
	if (id != 0)
		telemetry_set(t, TM_GSM_CELLID, id > INT64_MAX ? INT64_MAX : (int64_t)id);
	return true;
}

void gt06_cell(struct telemetry *t, struct reader *r, struct gt06_cell form)
{
	bool known = take_network(t, r, form);
	take_cell(t, r, form, known, 0);
}

void gt06_cell_list(struct telemetry *t, struct reader *r, struct gt06_cell form, size_t count)
{
	bool known = take_network(t, r, form);
	unsigned neighbours = 0;
	for (size_t i = 0; i < count && !r->bad; i++) {
		neighbours += take_cell(t, r, form, known, i == 0 ? 0 : neighbours + 1) && i > 0;
		reader_u8(r); /* some units send RXLEV, some -dBm */
		mark_name(t, reader_last(r, 1), "level");
	}
}

/* --- status --- */

void gt06_information(
	struct telemetry *t, uint8_t information, struct span byte, unsigned code, enum gt06_alarms alarms)
{
	uint32_t word = (information & INFORMATION_BITS) | alarm_of_state[information >> 3 & 7];
	const struct telemetry_flags *bits = alarms == GT06_ALARMS_ALL ? &all_bits : &state_bits;
	for (size_t i = 0; code != 0 && i < sizeof(alarm_of_code) / sizeof(alarm_of_code[0]); i++)
		word |= alarm_of_code[i].code == code ? alarm_of_code[i].bit : 0;
	telemetry_set_flags(t, word, bits);
	for (size_t i = 0; i < 12; i++)
		if (state_bits.field[i] != 0)
			mark(t, byte, (enum telemetry_field)(state_bits.field[i] - 1));
}

/* 0 to 6: a level; up to 100: the percentage itself. */
void gt06_battery(struct telemetry *t, struct reader *r)
{
	uint8_t level = reader_u8(r);
	if (!r->bad && level <= 100)
		telemetry_set(t, TM_BATTERY_LEVEL, level <= 6 ? level * 100 / 6 : level);
	mark(t, reader_last(r, 1), TM_BATTERY_LEVEL);
}

void gt06_battery_percent(struct telemetry *t, struct reader *r)
{
	uint8_t level = reader_u8(r);
	if (!r->bad && level <= 100)
		telemetry_set(t, TM_BATTERY_LEVEL, level);
	mark(t, reader_last(r, 1), TM_BATTERY_LEVEL);
}

/* 0 to 4: a level; up to 100: the percentage itself. */
void gt06_signal(struct telemetry *t, struct reader *r)
{
	uint8_t level = reader_u8(r);
	if (!r->bad && level <= 100)
		telemetry_set(t, TM_GSM_LEVEL, level <= 4 ? level * 25 : level);
	mark(t, reader_last(r, 1), TM_GSM_LEVEL);
}

void gt06_status(struct telemetry *t, struct reader *r, bool extended)
{
	uint8_t information = reader_u8(r);
	struct span byte = reader_last(r, 1);
	gt06_battery(t, r);
	gt06_signal(t, r);
	unsigned code = reader_u8(r);
	struct span event = reader_last(r, 1);
	bool has_language = reader_left(r) > 0;
	uint8_t language = has_language ? reader_u8(r) : 0;
	if (r->bad)
		return;
	code |= extended ? (unsigned)(language >> 4) << 8 : 0;
	gt06_information(t, information, byte, code, GT06_ALARMS_ALL);
	telemetry_set(t, TM_EVENT_ENUM, code);
	mark(t, event, TM_EVENT_ENUM);
	mark_number(t, reader_last(r, has_language), "language", language);
}

void gt06_voltage(struct telemetry *t, struct reader *r, enum telemetry_field field, size_t bytes, int64_t per)
{
	uint32_t volts = reader_uint(r, bytes);
	if (!r->bad)
		telemetry_set(t, field, volts * (1000 / per));
	mark(t, reader_last(r, bytes), field);
}

void gt06_odometer(struct telemetry *t, struct reader *r)
{
	uint32_t metres = reader_u32(r);
	if (!r->bad)
		telemetry_set(t, TM_MILEAGE, metres);
	mark(t, reader_last(r, 4), TM_MILEAGE);
}

void gt06_mode_stored(struct telemetry *t, struct reader *r)
{
	uint8_t mode = reader_u8(r);
	mark(t, reader_last(r, 1), TM_UPLOAD_MODE);
	uint8_t stored = reader_u8(r);
	mark(t, reader_last(r, 1), TM_BUFFERED);
	if (r->bad)
		return;
	telemetry_set(t, TM_UPLOAD_MODE, mode);
	telemetry_set(t, TM_BUFFERED, stored != 0);
}

void gt06_report_kind(struct telemetry *t, struct reader *r)
{
	uint8_t ignition = reader_u8(r);
	if (!r->bad)
		telemetry_set(t, TM_IGNITION, ignition != 0);
	mark(t, reader_last(r, 1), TM_IGNITION);
	gt06_mode_stored(t, r);
}

/* --- digits and bytes --- */

void gt06_digits(struct telemetry *t, struct reader *r, size_t bytes, enum telemetry_field field)
{
	uint8_t hex[32];
	struct writer w = writer_of(hex, sizeof(hex)), text = telemetry_scratch(t);
	struct span in = reader_take(r, bytes);
	writer_hex(&w, in);
	while (w.len > 0 && hex[w.len - 1] == 'F')
		w.len--;
	bool zero = field == TM_DEVICE_IMEI && w.len == 16 && hex[0] == '0';
	writer_span_put(&text, span_after(writer_span(&w), zero ? 1 : 0));
	telemetry_set_scratch(t, field, &text);
	mark(t, in, field);
}

void gt06_hex(struct telemetry *t, struct span bytes, enum telemetry_field field)
{
	struct writer w = telemetry_scratch(t);
	writer_hex(&w, bytes);
	telemetry_set_scratch(t, field, &w);
	mark(t, bytes, field);
}

enum codec_status gt06_payload(struct telemetry *t, const struct gt06_message *m)
{
	gt06_hex(t, m->content, TM_PAYLOAD);
	return CODEC_OK;
}
