// SPDX-License-Identifier: MIT
/* gt06_variant: what makers have added.
 * Uses: codecs/record.
 *
 * A module is WORD id, length (BYTE, in message 70 WORD), value. One that has no row is shown under its id. */
#include "codecs/gt06/gt06_private.h"
#include "codecs/record/mark.h"

enum { DATE_BYTES = 6, ITEM_MOST = 1024 };

/* --- modules --- */

enum module_kind { KIND_NUMBER = 0, KIND_DIGITS, KIND_IMSI, KIND_CELL, KIND_POSITION };

/* What a module of this id and length is; `factor` gives units of the parameter's decimals. Length 0: any. */
struct module_row {
	uint16_t id;
	uint8_t length;
	enum module_kind kind;
	uint16_t field, factor;
};

static const struct module_row modules_4g[] = {
	{0x0018, 2, KIND_NUMBER, TM_BATTERY_VOLTAGE, 10},
	{0x0027, 2, KIND_NUMBER, TM_EXTERNAL_VOLTAGE, 10},
	{0x002e, 4, KIND_NUMBER, TM_MILEAGE, 1},
	{0x006a, 1, KIND_NUMBER, TM_BATTERY_LEVEL, 1},
	{0},
};

static const struct module_row modules_70[] = {
	{0x0001, 8, KIND_DIGITS, TM_DEVICE_IMEI, 0},
	{0x0002, 8, KIND_IMSI, TM_ICCID, 0},
	{0x0003, 10, KIND_DIGITS, TM_ICCID, 0},
	{0x0009, 1, KIND_NUMBER, TM_SATELLITES, 1},
	{0x000a, 1, KIND_NUMBER, TM_SATELLITES,
		1}, /* those in view; only when nothing tells how many are used */
	{0x0011, 10, KIND_CELL, TM_GSM_CELLID, 0},
	{0x0018, 2, KIND_NUMBER, TM_BATTERY_VOLTAGE, 10},
	{0x0033, 18, KIND_POSITION, TM_LATITUDE, 0},
	{0},
};

static const struct module_row modules_f1[] = {
	{0x0002, 1, KIND_NUMBER, TM_DEFENSE_ACTIVE, 1},
	{0x0004, 1, KIND_NUMBER, TM_IGNITION, 1},
	{0x0005, 2, KIND_NUMBER, TM_EXTERNAL_VOLTAGE, 10},
	{0x0007, 1, KIND_NUMBER, TM_CHARGING, 1},
	{0},
};

/* Unix time 4 | satellites 1 | altitude 2 | place 11; all zero without a fix */
static enum codec_status take_position_70(struct telemetry *t, struct span value)
{
	struct reader r = reader_of(value);
	gt06_unix_time(t, &r);
	telemetry_set(t, TM_SATELLITES, reader_u8(&r));
	mark(t, reader_last(&r, 1), TM_SATELLITES);
	telemetry_set(t, TM_ALTITUDE, (int16_t)reader_u16(&r));
	mark(t, reader_last(&r, 2), TM_ALTITUDE);
	return gt06_place(t, &r, true);
}

static const struct module_row *find_module(const struct module_row *rows, uint16_t id, struct span value)
{
	for (; rows->length != 0; rows++)
		if (rows->id == id && rows->length == value.len)
			return rows;
	return NULL;
}

static enum codec_status take_module(
	struct telemetry *t, const struct module_row *rows, uint16_t id, struct span value)
{
	const struct module_row *row = find_module(rows, id, value);
	struct reader r = reader_of(value);
	if (row == NULL) {
		if (value.len > 0 && value.len <= ITEM_MOST)
			telemetry_add_item(t, "custom.module.", id, 4, ITEM_HEX, value);
		return CODEC_OK;
	}
	enum telemetry_field field = (enum telemetry_field)row->field;
	switch (row->kind) {
	case KIND_NUMBER:
		if (!telemetry_has(t, field))
			telemetry_set(t, field, (int64_t)reader_uint(&r, value.len) * row->factor);
		mark(t, value, field);
		return CODEC_OK;
	case KIND_DIGITS:
		gt06_digits(t, &r, value.len, field);
		return CODEC_OK;
	case KIND_IMSI: /* of the SIM: not shown, as in message 94 */
		mark_name(t, value, "IMSI");
		return CODEC_OK;
	case KIND_CELL:
		gt06_cell(t, &r, (struct gt06_cell){2, 2, 3});
		return CODEC_OK;
	case KIND_POSITION:
		return take_position_70(t, value);
	}
	return CODEC_OK;
}

static bool next_module(struct reader *r, size_t length_bytes, uint16_t *id, struct span *value)
{
	*id = reader_u16(r);
	*value = reader_take(r, reader_uint(r, length_bytes));
	return !r->bad;
}

static bool are_modules(struct span in, size_t length_bytes)
{
	struct reader r = reader_of(in);
	uint16_t id;
	struct span value;
	while (reader_left(&r) > 0)
		if (!next_module(&r, length_bytes, &id, &value))
			return false;
	return true;
}

/* All that is left. The position comes first, so that its number of satellites counts. */
static enum codec_status take_modules(
	struct telemetry *t, struct reader *r, size_t length_bytes, const struct module_row *rows)
{
	struct span in = span_after(r->in, r->pos), value;
	uint16_t id;
	if (!are_modules(in, length_bytes))
		return CODEC_UNSUPPORTED;
	for (int positions = 1; positions >= 0; positions--) {
		struct reader m = reader_of(in);
		while (reader_left(&m) > 0 && next_module(&m, length_bytes, &id, &value)) {
			const struct module_row *row = find_module(rows, id, value);
			if ((row != NULL && row->kind == KIND_POSITION) != positions)
				continue;
			mark_name(t,
				span_of(value.ptr != NULL ? value.ptr - length_bytes - 2 : NULL,
					value.ptr != NULL ? 2 : 0),
				"module");
			enum codec_status status = take_module(t, rows, id, value);
			if (status != CODEC_OK)
				return status;
		}
	}
	return CODEC_OK;
}

enum codec_status gt06_modules_70(struct telemetry *t, const struct gt06_message *m)
{
	struct reader r = reader_of(m->content);
	/* some firmware begins with a head, whose layout is that of modules with an id of 0 */
	return m->content.len == 0 ? CODEC_BAD_LENGTH : take_modules(t, &r, 2, modules_70);
}

enum codec_status gt06_modules_f1(struct telemetry *t, const struct gt06_message *m)
{
	struct reader r = reader_of(m->content);
	if (m->content.len < 4)
		return CODEC_BAD_LENGTH;
	gt06_unix_time(t, &r);
	return take_modules(t, &r, 1, modules_f1);
}

/* status 5 | modules. Another maker sends pictures under this type. */
enum codec_status gt06_status_36(struct telemetry *t, const struct gt06_message *m)
{
	struct reader r = reader_of(m->content);
	if (m->content.len < 5 || !are_modules(span_after(m->content, 5), 1))
		return CODEC_UNSUPPORTED;
	uint8_t information = reader_u8(&r);
	struct span byte = reader_last(&r, 1);
	gt06_battery(t, &r);
	gt06_signal(t, &r);
	gt06_information(t, information, byte, reader_u8(&r), GT06_ALARMS_OF_STATE);
	reader_u8(&r);
	return take_modules(t, &r, 1, modules_4g);
}

/* position 18 | cell 8 or 9 | ACC, mode, stored | modules */
enum codec_status gt06_location_37(struct telemetry *t, const struct gt06_message *m)
{
	struct reader r = reader_of(m->content);
	enum codec_status status = gt06_gps(t, &r, 0);
	if (status != CODEC_OK)
		return status;
	if (reader_left(&r) < gt06_cell_bytes(&r, gt06_cell_2g) + 3)
		return CODEC_UNSUPPORTED;
	gt06_cell(t, &r, gt06_cell_2g);
	gt06_report_kind(t, &r);
	return take_modules(t, &r, 1, modules_4g);
}

/* position 18 | mode, stored | kind of cell 1 | cell with a level of 1 byte, from kind 3 on of 4G and 2 bytes | modules */
enum codec_status gt06_location_38(struct telemetry *t, const struct gt06_message *m)
{
	struct reader r = reader_of(m->content);
	enum codec_status status = gt06_gps(t, &r, 0);
	if (status != CODEC_OK)
		return status;
	gt06_mode_stored(t, &r);
	bool is_4g = reader_u8(&r) >= 3;
	struct gt06_cell form = is_4g ? gt06_cell_4g : gt06_cell_2g;
	if (reader_left(&r) < gt06_cell_bytes(&r, form))
		return CODEC_UNSUPPORTED;
	gt06_cell(t, &r, form);
	size_t level = is_4g ? 2 : 1;
	if (!is_4g && are_modules(span_after(r.in, r.pos), 1))
		level = 0;
	reader_take(&r, level);
	return r.bad ? CODEC_UNSUPPORTED : take_modules(t, &r, 1, modules_4g);
}

/* --- others --- */

/* date 6 | 12, or 0: satellites 1, place 11 | 9, or 0: cell 8, level 1 | counted lists | status */
enum codec_status gt06_az735(struct telemetry *t, const struct gt06_message *m)
{
	struct reader r = reader_of(m->content);
	gt06_time(t, &r, 0);
	struct reader gps = reader_of(reader_take(&r, reader_u8(&r)));
	struct reader cell = reader_of(reader_take(&r, reader_u8(&r)));
	if (r.bad)
		return CODEC_UNSUPPORTED;
	if (reader_left(&cell) >= gt06_cell_bytes(&cell, gt06_cell_2g))
		gt06_cell(t, &cell, gt06_cell_2g);
	if (gps.in.len != 12)
		return CODEC_OK;
	uint8_t satellites = reader_u8(&gps);
	telemetry_set(t, TM_SATELLITES, satellites >= 0xc0 ? satellites & 15 : satellites);
	mark(t, reader_last(&gps, 1), TM_SATELLITES);
	return gt06_place(t, &gps, true);
}

/* state 4 | position 18 | 2 | odometer 4 | cell 9 | driver 4 | battery 2 | supply 2 | … */
enum codec_status gt06_x1(struct telemetry *t, const struct gt06_message *m)
{
	struct reader r = reader_of(m->content);
	if (m->content.len < 45)
		return CODEC_UNSUPPORTED;
	reader_take(&r, 4);
	enum codec_status status = gt06_gps(t, &r, 0);
	reader_take(&r, 2);
	gt06_odometer(t, &r);
	gt06_cell(t, &r, (struct gt06_cell){1, 2, 4});
	reader_take(&r, 4);
	gt06_voltage(t, &r, TM_BATTERY_VOLTAGE, 2, 100);
	gt06_voltage(t, &r, TM_EXTERNAL_VOLTAGE, 2, 100);
	return status;
}

/* position 18 | cell 8 | tag 8 | valid 1 */
enum codec_status gt06_rfid(struct telemetry *t, const struct gt06_message *m)
{
	struct reader r = reader_of(m->content);
	if (m->content.len != 35)
		return CODEC_UNSUPPORTED;
	enum codec_status status = gt06_gps(t, &r, 0);
	gt06_cell(t, &r, (struct gt06_cell){1, 2, 3});
	gt06_hex(t, reader_take(&r, 8), TM_RFID);
	return status;
}

/* IMEI 8 | position 18 | cell 9 | tag 6 */
enum codec_status gt06_ibutton(struct telemetry *t, const struct gt06_message *m)
{
	struct reader r = reader_of(m->content);
	if (m->content.len < 41)
		return CODEC_UNSUPPORTED;
	mark_name(t, reader_take(&r, 8), "IMEI");
	enum codec_status status = gt06_gps(t, &r, 0);
	gt06_cell(t, &r, (struct gt06_cell){1, 2, 4});
	gt06_hex(t, reader_take(&r, 6), TM_RFID);
	return status;
}

static bool is_text(uint8_t c)
{
	return (c >= 0x20 && c < 0x7f) || byte_is_blank(c) || c == 0;
}

/* event 1 | 2 | names of files */
static enum codec_status take_event(struct telemetry *t, struct reader *r)
{
	uint8_t event = reader_u8(r);
	if (r->bad)
		return CODEC_UNSUPPORTED;
	telemetry_set(t, TM_EVENT_ENUM, event);
	mark(t, reader_last(r, 1), TM_EVENT_ENUM);
	reader_take(r, 2);
	struct span names = span_trim(span_after(r->in, r->pos), byte_is_nul);
	if (!r->bad && span_all(names, is_text))
		telemetry_set_text(t, TM_FILES, names);
	return CODEC_OK;
}

/* FFFF 01 | date 6 | satellites 1 | place 10 | speed 2 | supply 2, or 1 | event … */
static enum codec_status take_camera_status(struct telemetry *t, struct reader *r)
{
	reader_take(r, 3);
	gt06_time(t, r, 0);
	telemetry_set(t, TM_SATELLITES, reader_u8(r));
	mark(t, reader_last(r, 1), TM_SATELLITES);
	enum codec_status status = gt06_place(t, r, false);
	telemetry_set(t, TM_SPEED, reader_u16(r) * 1000);
	mark(t, reader_last(r, 2), TM_SPEED);
	struct span behind_word = span_after(r->in, r->pos + 5), behind_byte = span_after(r->in, r->pos + 4);
	bool byte = !span_all(behind_word, is_text) ||
		    (behind_byte.len > 0 && is_text(behind_byte.ptr[0]) && behind_byte.ptr[0] != 0);
	gt06_voltage(t, r, TM_EXTERNAL_VOLTAGE, byte ? 1 : 2, 10);
	return status != CODEC_OK ? status : take_event(t, r);
}

/* date 6 | event 1;  or date 6 | place 10 | event … */
enum codec_status gt06_camera(struct telemetry *t, const struct gt06_message *m)
{
	struct reader r = reader_of(m->content);
	enum codec_status status = CODEC_OK;
	if (m->content.len < DATE_BYTES + 1)
		return CODEC_BAD_LENGTH;
	if (m->content.ptr[0] == 0xff && m->content.ptr[1] == 0xff)
		return m->content.len < 27 ? CODEC_UNSUPPORTED : take_camera_status(t, &r);
	gt06_time(t, &r, 0);
	if (m->content.len > DATE_BYTES + 1)
		status = gt06_place(t, &r, false);
	return status != CODEC_OK ? status : take_event(t, &r);
}
