// SPDX-License-Identifier: MIT
/* gt06_location: where the unit is, and its alarms.
 * Uses: codecs/record.
 *
 *   12, 22, 2D   position 18 | cell 8 or 9 | rest: see `rests`
 *   A0           position 18 | cell, 4G | ACC, mode, stored | [odometer 4]
 *   16, 26       position 18 | length 1 | cell 8 or 9 | status 5 | [odometer 4]
 *   27           position 18 | length 1 | cell 8 or 9 | status 5 | fence 1 | [odometer 4]
 *   A3, A4       as 26 and 27 with a cell of 4G
 *
 * Makers add bytes, and cell ids of four bytes, without another type: the length tells. */
#include "codecs/gt06/gt06_private.h"
#include "codecs/record/mark.h"

enum { NT20_BYTES = 55, SEEWORLD_BYTES = 42, VXT01_BYTES = 31, STATUS_BYTES = 5 };

/* --- reports --- */

/* What may stand behind a cell whose id has three bytes, in 0x12 and in the others. */
static bool is_rest(uint8_t type, size_t rest)
{
	if (type == 0x12)
		return rest == 0 || rest == 3 || rest == 4 || rest == 7;
	return rest == 0 || rest == 3 || rest == 7;
}

/* The same, of 0x12 and one maker each. */
static bool is_maker_rest(uint8_t type, size_t rest)
{
	return type == 0x12 && (rest == 2 || rest == 5 || rest == 10 || rest == 12);
}

static bool is_cell_id_wide(const struct gt06_message *m, size_t bytes, size_t rest)
{
	if (is_rest(m->type, rest) || is_maker_rest(m->type, rest))
		return false;
	bool one_more = rest > 0 && is_rest(m->type, rest - 1) && !(m->type != 0x12 && rest == 1);
	return one_more || (m->type == 0x22 && bytes == SEEWORLD_BYTES);
}

/* Information byte and supply. */
static void take_information_voltage(struct telemetry *t, struct reader *r)
{
	uint8_t information = reader_u8(r);
	gt06_information(t, information, reader_last(r, 1), 0, GT06_ALARMS_OF_STATE);
	gt06_voltage(t, r, TM_EXTERNAL_VOLTAGE, 2, 100);
}

/* Behind the cell. `rest`: what is left there. */
static void take_rest(struct telemetry *t, struct reader *r, const struct gt06_message *m, size_t bytes)
{
	size_t rest = reader_left(r);
	bool utc = m->type != 0x12, seeworld = m->type == 0x22 && bytes == SEEWORLD_BYTES;
	if (!utc && (rest == 5 || rest == 12))
		take_information_voltage(t, r);
	else if (rest == 3 || rest == 7 || (utc && rest > 3))
		gt06_report_kind(t, r);
	if (rest == 7 || seeworld || (!utc && rest == 4))
		gt06_odometer(t, r);
}

/* source 1 | IMEI 8 | time of the unit 6 | position 18 | length 1 | cell 9 | information 1 | supply 2 | battery 1 | signal 1 | … */
static enum codec_status take_nt20(struct telemetry *t, const struct gt06_message *m)
{
	struct reader r = reader_of(m->content);
	reader_take(&r, 1 + 8 + 6);
	mark_name(t, span_part(m->content, 1, 8), "IMEI");
	enum codec_status status = gt06_gps(t, &r, 0);
	if (status != CODEC_OK)
		return status;
	reader_u8(&r);
	gt06_cell(t, &r, gt06_cell_2g);
	take_information_voltage(t, &r);
	gt06_voltage(t, &r, TM_BATTERY_VOLTAGE, 1, 10);
	gt06_signal(t, &r);
	return CODEC_OK;
}

static bool is_imei_of(const struct gt06_message *m, struct span bcd)
{
	uint8_t digits[16];
	struct writer w = writer_of(digits, sizeof(digits));
	return bcd.len == 8 && gt06_ident(bcd, &w) && span_is(writer_span(&w), m->ident);
}

enum codec_status gt06_location(struct telemetry *t, const struct gt06_message *m)
{
	struct span content = m->content;
	if (m->type == 0x22 && content.len == NT20_BYTES && span_is_bcd(span_part(content, 1, 8)))
		return take_nt20(t, m);
	if (is_imei_of(m, span_part(content, 0, 8))) {
		mark_name(t, span_part(content, 0, 8), "IMEI");
		content = span_after(content, 8);
	}
	struct reader r = reader_of(content);
	enum codec_status status = gt06_gps(t, &r, m->zone_s);
	if (status != CODEC_OK)
		return status;
	struct gt06_cell form = gt06_cell_2g;
	size_t cell = gt06_cell_bytes(&r, form);
	if (reader_left(&r) < cell)
		return CODEC_OK;
	form.id = is_cell_id_wide(m, content.len, reader_left(&r) - cell) ? 4 : 3;
	gt06_cell(t, &r, form);
	take_rest(t, &r, m, content.len);
	return CODEC_OK;
}

enum codec_status gt06_position(struct telemetry *t, const struct gt06_message *m)
{
	struct reader r = reader_of(m->content);
	return gt06_gps(t, &r, m->zone_s);
}

enum codec_status gt06_location_4g(struct telemetry *t, const struct gt06_message *m)
{
	struct reader r = reader_of(m->content);
	enum codec_status status = gt06_gps(t, &r, 0);
	if (status != CODEC_OK || reader_left(&r) < gt06_cell_bytes(&r, gt06_cell_4g))
		return status;
	gt06_cell(t, &r, gt06_cell_4g);
	if (reader_left(&r) >= 3)
		gt06_report_kind(t, &r);
	if (reader_left(&r) >= 4)
		gt06_odometer(t, &r);
	return CODEC_OK;
}

/* 2A: … | cell 10 | ACC, mode, stored | odometer 4 | altitude 2 */
enum codec_status gt06_location_31(struct telemetry *t, const struct gt06_message *m)
{
	struct reader r = reader_of(m->content);
	if (m->content.len < GT06_GPS_BYTES)
		return CODEC_BAD_LENGTH;
	if (m->content.len != GT06_GPS_BYTES + 19)
		return CODEC_UNSUPPORTED;
	enum codec_status status = gt06_gps(t, &r, 0);
	gt06_cell(t, &r, (struct gt06_cell){2, 2, 4});
	gt06_report_kind(t, &r);
	gt06_odometer(t, &r);
	telemetry_set(t, TM_ALTITUDE, (int16_t)reader_u16(&r));
	mark(t, reader_last(&r, 2), TM_ALTITUDE);
	return status;
}

/* 2F: … | cell 9 | ACC, mode, stored | odometer 4 | supply 2 | seconds with ACC 4 | network and firmware 2
 * 27, 29: … | length 1 | cell 10 | status 5 | [altitude 2] */
enum codec_status gt06_location_32(struct telemetry *t, const struct gt06_message *m)
{
	struct reader r = reader_of(m->content);
	size_t rest = m->content.len - GT06_GPS_BYTES;
	if (m->content.len < GT06_GPS_BYTES)
		return CODEC_BAD_LENGTH;
	if (rest != 24 && rest != 16 && rest != 18)
		return CODEC_UNSUPPORTED;
	enum codec_status status = gt06_gps(t, &r, 0);
	if (rest == 24) {
		gt06_cell(t, &r, (struct gt06_cell){1, 2, 4});
		gt06_report_kind(t, &r);
		gt06_odometer(t, &r);
		gt06_voltage(t, &r, TM_EXTERNAL_VOLTAGE, 2, 100);
		telemetry_set(t, TM_IGNITION_TIME, reader_u32(&r));
		mark(t, reader_last(&r, 4), TM_IGNITION_TIME);
		return status;
	}
	reader_u8(&r);
	gt06_cell(t, &r, (struct gt06_cell){2, 2, 4});
	gt06_status(t, &r, false);
	if (rest == 18) {
		telemetry_set(t, TM_ALTITUDE, (int16_t)reader_u16(&r));
		mark(t, reader_last(&r, 2), TM_ALTITUDE);
	}
	return status;
}

/* --- alarms --- */

/* What may stand behind a cell whose id has three bytes. */
static bool is_tail(size_t tail, bool fence)
{
	return fence ? tail == 6 || tail == 7 || tail == 10 : tail == 5 || tail == 9 || tail == 13;
}

static void take_fence(struct telemetry *t, struct reader *r)
{
	uint8_t fence = reader_u8(r);
	if (!r->bad && fence != 0xff)
		telemetry_set(t, TM_GEOFENCE_ID, fence);
	mark(t, reader_last(r, 1), TM_GEOFENCE_ID);
}

static void take_tail(struct telemetry *t, struct reader *r, bool fence)
{
	size_t tail = reader_left(r);
	gt06_status(t, r, fence);
	if (fence && reader_left(r) > 0)
		take_fence(t, r);
	if (tail == (fence ? 10 : 9))
		gt06_odometer(t, r);
}

/* One maker's 0x16: no length | cell 8 | information 1 | supply 2 | signal 1 | … */
static enum codec_status take_vxt01(struct telemetry *t, struct reader *r)
{
	gt06_cell(t, r, gt06_cell_2g);
	take_information_voltage(t, r);
	gt06_signal(t, r);
	return CODEC_OK;
}

enum codec_status gt06_alarm(struct telemetry *t, const struct gt06_message *m)
{
	struct reader r = reader_of(m->content);
	bool fence = m->type == 0x27 || m->type == 0xa4, is_4g = m->type >= 0xa0;
	struct gt06_cell form = is_4g ? gt06_cell_4g : gt06_cell_2g;
	if (m->type == 0xa3 && (m->content.len == 7 || m->content.len == 19))
		return CODEC_UNSUPPORTED; /* another maker's status */
	enum codec_status status = gt06_gps(t, &r, m->zone_s);
	if (status != CODEC_OK)
		return status;
	if (m->type == 0x16 && m->content.len == VXT01_BYTES)
		return take_vxt01(t, &r);
	bool no_cell = reader_u8(&r) == 0;
	mark_name(t, reader_last(&r, 1), "length of the cell");
	size_t cell = gt06_cell_bytes(&r, form), left = reader_left(&r),
	       status_bytes = STATUS_BYTES + (size_t)fence;
	if (no_cell && left > cell + 14) {
		reader_take(&r, left - status_bytes);
	} else {
		if (left < cell + STATUS_BYTES - 1)
			return CODEC_BAD_LENGTH;
		size_t tail = left - cell;
		bool wide = !is_4g && !is_tail(tail, fence) && is_tail(tail - 1, fence);
		form.id = (uint8_t)(form.id + wide);
		gt06_cell(t, &r, form);
	}
	take_tail(t, &r, fence);
	return CODEC_OK;
}

enum codec_status gt06_cell_alarm(struct telemetry *t, const struct gt06_message *m)
{
	struct reader r = reader_of(m->content);
	struct gt06_cell form = m->type == 0xa5 ? gt06_cell_4g : gt06_cell_2g;
	size_t cell = gt06_cell_bytes(&r, form);
	if (m->content.len < cell + STATUS_BYTES)
		return CODEC_BAD_LENGTH;
	if (m->type == 0x19 && m->content.len >= 18)
		return CODEC_UNSUPPORTED; /* a list of cells */
	form.id = (uint8_t)(form.id + (m->type == 0x19 && m->content.len == cell + STATUS_BYTES + 1));
	gt06_cell(t, &r, form);
	gt06_status(t, &r, false);
	return CODEC_OK;
}
