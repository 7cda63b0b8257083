// SPDX-License-Identifier: MIT
/* gt06_cells: cells and access points around the unit. The addresses of access points are not shown: whoever has them knows where
 * somebody lives.
 * Uses: codecs/record.
 *
 *   18, 28, 2E, 24   date 6 | network 3 or 4 | 7 cells, level 1 each | timing advance 1 | language 2
 *   2C               date 6 | network 3 or 4 | 7 cells, level 1 each | timing advance 1 | count 1 | access points, 7 each
 *   A1, A2           as 28 and 2C with cells of 4G
 *   short form       count 1 | type 1 | date 6, BCD | access points, 7 each | count 1 | network 3 | cells of 5 */
#include "codecs/gt06/gt06_private.h"
#include "codecs/record/mark.h"

enum {
	DATE_BYTES = 6,
	CELLS = 7,
	ACCESS_POINT = 7,
	S20_BYTES = 44,
	SR411_BYTES = 41,
	LW4G_BYTES = 59,
	STATUS_11_BYTES = 28
};

static const struct gt06_cell cell_watch = {1, 2, 2};

/* Bytes from the network to the timing advance, when a list of seven cells begins at the reader. */
static size_t list_bytes(const struct reader *r, struct gt06_cell form)
{
	size_t one = (size_t)form.lac + form.id;
	return gt06_cell_bytes(r, form) - one + CELLS * (one + 1) + 1;
}

/* The list, and its timing advance. false: there are not so many bytes. */
static bool take_list(struct telemetry *t, struct reader *r, struct gt06_cell form)
{
	if (reader_left(r) < list_bytes(r, form))
		return false;
	gt06_cell_list(t, r, form, CELLS);
	reader_u8(r);
	mark_name(t, reader_last(r, 1), "timing advance");
	return true;
}

/* position 18 | cell 8 | ACC 1 | supply 2 | battery 2 | … */
static enum codec_status take_sr411(struct telemetry *t, struct reader *r)
{
	enum codec_status status = gt06_gps(t, r, 0);
	gt06_cell(t, r, gt06_cell_2g);
	telemetry_set(t, TM_IGNITION, reader_u8(r) != 0);
	mark(t, reader_last(r, 1), TM_IGNITION);
	gt06_voltage(t, r, TM_EXTERNAL_VOLTAGE, 2, 100);
	gt06_voltage(t, r, TM_BATTERY_VOLTAGE, 2, 100);
	return status;
}

/* date 6 | timing advance 1 | network 3 or 4 | count 1 | cells, level 1 each | padding */
static enum codec_status take_s20(struct telemetry *t, struct reader *r)
{
	gt06_time(t, r, 0);
	reader_u8(r);
	size_t network = gt06_cell_bytes(r, gt06_cell_2g) - 5;
	struct span head = reader_take(r, network);
	size_t count = reader_u8(r), left = reader_left(r) / 6;
	uint8_t joined[4 + 40]; /* the network and, without the count, the cells */
	struct writer w = writer_of(joined, sizeof(joined));
	writer_span_put(&w, head);
	writer_span_put(&w, reader_take(r, reader_left(r)));
	struct reader list = reader_of(writer_span(&w));
	gt06_cell_list(t, &list, gt06_cell_2g, count < left ? count : left);
	return CODEC_OK;
}

enum codec_status gt06_cells(struct telemetry *t, const struct gt06_message *m)
{
	struct reader r = reader_of(m->content);
	if (m->content.len < DATE_BYTES)
		return CODEC_BAD_LENGTH;
	if (m->type == 0x24 && m->content.len == SR411_BYTES)
		return take_sr411(t, &r);
	if (m->type == 0x24 && m->content.len == S20_BYTES)
		return take_s20(t, &r);
	gt06_time(t, &r, m->zone_s);
	return take_list(t, &r, gt06_cell_2g) ? CODEC_OK : CODEC_UNSUPPORTED;
}

/* position 18 | cell 15 | network 1 | information 1 | supply 2 | battery 1 | signal 1 | alarm 1 | language 1 | odometer 4 | hours 4 |
 * IMEI 8 | inputs 2 */
static enum codec_status take_lw4g(struct telemetry *t, struct reader *r)
{
	enum codec_status status = gt06_gps(t, r, 0);
	gt06_cell(t, r, gt06_cell_4g);
	reader_u8(r);
	uint8_t information = reader_u8(r);
	struct span byte = reader_last(r, 1);
	gt06_voltage(t, r, TM_EXTERNAL_VOLTAGE, 2, 100);
	gt06_battery(t, r);
	gt06_signal(t, r);
	uint8_t code = reader_u8(r);
	gt06_information(t, information, byte, code, GT06_ALARMS_ALL);
	telemetry_set(t, TM_EVENT_ENUM, code);
	mark(t, reader_last(r, 1), TM_EVENT_ENUM);
	reader_u8(r);
	gt06_odometer(t, r);
	return status;
}

enum codec_status gt06_cells_wifi(struct telemetry *t, const struct gt06_message *m)
{
	struct reader r = reader_of(m->content);
	if (m->content.len < DATE_BYTES)
		return CODEC_BAD_LENGTH;
	if (m->type == 0xa2 && m->content.len == LW4G_BYTES)
		return take_lw4g(t, &r);
	gt06_time(t, &r, 0);
	if (!take_list(t, &r, m->type == 0x2c ? gt06_cell_2g : gt06_cell_4g))
		return CODEC_UNSUPPORTED;
	if (m->type == 0xa1)
		return CODEC_OK;
	size_t count = reader_u8(&r);
	mark_number(t, reader_last(&r, 1), "access points", (int64_t)count);
	mark_name(t, reader_take(&r, count * ACCESS_POINT), "access points");
	return r.bad ? CODEC_UNSUPPORTED : CODEC_OK;
}

enum codec_status gt06_cell_11(struct telemetry *t, const struct gt06_message *m)
{
	struct reader r = reader_of(m->content);
	if (m->content.len < DATE_BYTES)
		return CODEC_BAD_LENGTH;
	if (m->content.len == STATUS_11_BYTES) { /* one maker's: position 18 | cell 10 */
		enum codec_status status = gt06_gps(t, &r, m->zone_s);
		gt06_cell(t, &r, (struct gt06_cell){2, 2, 4});
		return status;
	}
	gt06_time(t, &r, m->zone_s);
	size_t cell = gt06_cell_bytes(&r, gt06_cell_2g);
	if (reader_left(&r) < cell || reader_left(&r) > cell + 2)
		return CODEC_UNSUPPORTED;
	gt06_cell(t, &r, gt06_cell_2g);
	return CODEC_OK;
}

enum codec_status gt06_cell_address(struct telemetry *t, const struct gt06_message *m)
{
	struct reader r = reader_of(m->content);
	if (m->content.len < gt06_cell_bytes(&r, gt06_cell_4g))
		return CODEC_BAD_LENGTH;
	gt06_cell(t, &r, gt06_cell_4g);
	return CODEC_OK;
}

enum codec_status gt06_cells_extended(struct telemetry *t, const struct gt06_message *m)
{
	struct reader r = reader_of(m->content);
	enum codec_status status = gt06_gps(t, &r, 0);
	if (status == CODEC_OK && !take_list(t, &r, gt06_cell_2g) &&
		reader_left(&r) >= gt06_cell_bytes(&r, gt06_cell_2g))
		gt06_cell(t, &r, gt06_cell_2g);
	return status;
}

enum codec_status gt06_wifi(struct telemetry *t, const struct gt06_message *m)
{
	struct reader r = reader_of(m->content);
	size_t points = reader_u8(&r);
	int64_t unix_s;
	reader_u8(&r);
	struct span date = reader_take(&r, DATE_BYTES);
	mark_name(t, reader_take(&r, points * ACCESS_POINT), "access points");
	size_t cells = reader_u8(&r);
	mark_number(t, reader_last(&r, 1), "cells", (int64_t)cells);
	if (r.bad)
		return CODEC_BAD_LENGTH;
	int d[DATE_BYTES];
	for (size_t i = 0; i < DATE_BYTES; i++)
		d[i] = byte_bcd(date.ptr[i]);
	const struct calendar c = {2000 + d[0], d[1], d[2], d[3], d[4], d[5]};
	if (calendar_unix(&c, &unix_s))
		telemetry_set(t, TM_TIMESTAMP, unix_s * 1000);
	mark(t, date, TM_TIMESTAMP);
	gt06_cell_list(t, &r, cell_watch, cells);
	return CODEC_OK;
}
