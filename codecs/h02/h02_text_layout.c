// SPDX-License-Identifier: MIT
/* h02_text_layout: which field is what: position block, confirmation, cell reports.
 * Uses: nothing else.
 * Not: read the fields behind the status word (h02_text_tail.c).
 *
 *   block     HHMMSS, S, lat, N|S, lon, E|W, knots, course, [battery code,] DDMMYY, status [, tail...] */
#include "codecs/h02/h02_number.h"
#include "codecs/h02/h02_text_field.h"

/* --- cells --- */

static void set_network(struct h02_text *x, int64_t mcc, int64_t mnc)
{
	if (mcc == 0)
		return;
	telemetry_set(x->t, TM_GSM_MCC, mcc);
	telemetry_set(x->t, TM_GSM_MNC, mnc);
}

/* HHMMSS, mcc, mnc, timing advance, n, n x (lac, cellid, level), DDMMYY, status [, battery code] */
enum codec_status h02_nbr(struct h02_text *x)
{
	int64_t v[4], cell[3];
	for (size_t i = 0; i < 4; i++)
		if (!h02_whole(h02_field(x, 3 + i), false, &v[i]))
			return CODEC_BAD_FIELDS;
	int64_t n = v[3];
	if (n > TM_CELLS_MAX || x->count < 7 + 3 * (size_t)n + 1)
		return CODEC_BAD_FIELDS;
	size_t date = 7 + 3 * (size_t)n;
	if (!h02_put_clock_fields(x, x->field[2], x->field[date]))
		return CODEC_BAD_FIELDS;
	set_network(x, v[0], v[1]);
	h02_mark_network(x, 3, 4);
	telemetry_set(x->t, TM_TIMING_ADVANCE, v[2]);
	mark(x->t, h02_field(x, 5), TM_TIMING_ADVANCE);
	mark_number(x->t, h02_field(x, 6), "number of cells", n);
	for (int64_t i = 0; i < n; i++) {
		for (size_t k = 0; k < 3; k++)
			if (!h02_whole(x->field[7 + 3 * (size_t)i + k], k == 2, &cell[k]))
				return CODEC_BAD_FIELDS;
		int16_t dbm = 0;
		bool has_dbm = h02_level_dbm(cell[2], &dbm);
		size_t f = 7 + 3 * (size_t)i;
		h02_put_cell(x, i, cell[0], cell[1], has_dbm, dbm);
		h02_mark_cell(x, i, f, f + 1, f + 2);
	}
	h02_put_status(x, h02_field(x, date + 1));
	h02_put_battery(x, h02_field(x, date + 2));
	return CODEC_OK;
}

/* HHMMSS, mcc and mnc, n, n x (lac, cellid, level, dBm), battery, reboot info, X, DDMMYY, status */
enum codec_status h02_cell_report(struct h02_text *x)
{
	struct span network = x->field[3];
	int64_t mcc, mnc, n, lac, cellid, level;
	if (!h02_whole(span_of(network.ptr, 3), false, &mcc) ||
		!h02_whole(span_after(network, 3), false, &mnc) || !h02_whole(h02_field(x, 4), false, &n))
		return CODEC_BAD_FIELDS;
	if (n > TM_CELLS_MAX || x->count < 5 + 4 * (size_t)n + 4)
		return CODEC_BAD_FIELDS;
	size_t at = 5 + 4 * (size_t)n;
	if (!h02_put_clock_fields(x, x->field[2], x->field[at + 3]))
		return CODEC_BAD_FIELDS;
	set_network(x, mcc, mnc);
	mark(x->t, span_part(network, 0, 3), TM_GSM_MCC);
	mark(x->t, span_after(network, 3), TM_GSM_MNC);
	mark_number(x->t, h02_field(x, 4), "number of cells", n);
	for (int64_t i = 0; i < n; i++) {
		const struct span *f = &x->field[5 + 4 * (size_t)i];
		if (!h02_whole(f[0], false, &lac) || !h02_whole(f[1], false, &cellid) ||
			!h02_whole(f[2], true, &level) || (f[3].len > 0 && !h02_whole(f[3], true, &level)))
			return CODEC_BAD_FIELDS;
		bool has_dbm = f[3].len > 0 && level < 0 && level >= -200;
		size_t at_cell = 5 + 4 * (size_t)i;
		h02_put_cell(x, i, lac, cellid, has_dbm, (int16_t)(has_dbm ? level : 0));
		h02_mark_cell(x, i, at_cell, at_cell + 1, at_cell + 3);
		mark_name(x->t, f[2], "level, scale unknown");
	}
	telemetry_set_text(x->t, TM_BATTERY_RAW, x->field[at]);
	telemetry_set_text(x->t, TM_REBOOT_INFO, x->field[at + 1]);
	h02_put_status(x, h02_field(x, at + 4));
	return CODEC_OK;
}

/* mcc, mnc, then lac, cellid, level joined by the letter Y */
static enum codec_status vp1_cells(struct h02_text *x)
{
	int64_t mcc, mnc, v[3] = {0};
	if (!h02_whole(h02_field(x, 3), false, &mcc) || !h02_whole(h02_field(x, 4), false, &mnc))
		return CODEC_BAD_FIELDS;
	set_network(x, mcc, mnc);
	h02_mark_network(x, 3, 4);
	telemetry_set(x->t, TM_POSITION_VALID, false);
	mark(x->t, h02_field(x, 2), TM_POSITION_VALID);
	struct span raw = h02_raw(x, 5);
	size_t from = 0, k = 0;
	unsigned n = 0;
	for (size_t i = 0; i <= raw.len; i++) {
		bool end = i == raw.len || raw.ptr[i] == 'Y';
		if (!end && raw.ptr[i] != ',')
			continue;
		if (raw.len == 0)
			break;
		if (k > 2 || !h02_whole(span_of(raw.ptr + from, i - from), k == 2, &v[k]))
			return CODEC_BAD_FIELDS;
		mark_cell(x->t, span_of(raw.ptr + from, i - from),
			k == 0   ? TM_GSM_LAC
			: k == 1 ? TM_GSM_CELLID
				 : TM_GSM_DBM,
			n);
		from = i + 1;
		k++;
		if (!end)
			continue;
		int16_t dbm = 0;
		bool has_dbm = k == 3 && h02_level_dbm(v[2], &dbm);
		if (k < 2)
			return CODEC_BAD_FIELDS;
		h02_put_cell(x, n++, v[0], v[1], has_dbm, dbm);
		k = 0;
	}
	return CODEC_OK;
}

/* --- position --- */

struct validity {
	bool valid; /* the coordinates are from a fix */
	bool known; /* the field is a validity at all */
};

static struct validity read_validity(struct span s)
{
	if (s.len == 0)
		return (struct validity){false, true};
	if (s.len == 1) {
		uint8_t c = s.ptr[0] & 0xdf;
		if (c == 'A' || c == 'V' || c == 'B')
			return (struct validity){c == 'A', true};
	}
	bool number = span_is_digits(s, 1, 10);
	return (struct validity){number, number};
}

/* 1 or -1, the sign; 0: the field is empty; 2: it is no hemisphere. */
static int hemisphere(struct span s, char positive, char negative)
{
	if (s.len == 0 || span_is(s, "0"))
		return 0;
	if (s.len != 1)
		return 2;
	return s.ptr[0] == positive ? 1 : s.ptr[0] == negative ? -1 : 2;
}

static bool is_placeholder(struct span lat)
{
	return lat.len >= 5 && memcmp(lat.ptr, "9999.", 5) == 0;
}

static void mark_place(struct h02_text *x, size_t at)
{
	static const enum telemetry_field fields[] = {TM_POSITION_VALID, TM_LATITUDE, TM_LATITUDE, TM_LONGITUDE,
		TM_LONGITUDE, TM_SPEED, TM_DIRECTION};
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		mark(x->t, h02_field(x, at + i), fields[i]);
}

/* validity, lat, N|S, lon, E|W, knots, course: seven fields from `at` on. */
static enum codec_status take_place(struct h02_text *x, size_t at)
{
	struct validity p = read_validity(h02_field(x, at));
	struct span lat = h02_field(x, at + 1), lon = h02_field(x, at + 3);
	int ns = hemisphere(h02_field(x, at + 2), 'N', 'S'), ew = hemisphere(h02_field(x, at + 4), 'E', 'W');
	struct h02_decimal knots, course;
	if (!p.known || ns == 2 || ew == 2 || !h02_decimal(h02_field(x, at + 5), true, &knots) ||
		!h02_decimal(h02_field(x, at + 6), true, &course))
		return CODEC_BAD_FIELDS;
	if (p.valid && (lat.len == 0 || lon.len == 0 || ns == 0 || ew == 0))
		return CODEC_BAD_FIELDS;
	int64_t latitude = 0, longitude = 0;
	if ((lat.len > 0 && !h02_coordinate(lat, &latitude)) ||
		(lon.len > 0 && !h02_coordinate(lon, &longitude)))
		return CODEC_BAD_FIELDS;
	mark_place(x, at);
	telemetry_set(x->t, TM_POSITION_VALID, p.valid);
	if (!h02_is_empty(h02_field(x, at + 5)))
		telemetry_set(x->t, TM_SPEED, h02_scaled(knots, 1852, 1000, 3));
	if (!h02_is_empty(h02_field(x, at + 6)))
		telemetry_set(x->t, TM_DIRECTION, h02_scaled(course, 1, 1, 4));
	bool none = lat.len == 0 || lon.len == 0 || ns == 0 || ew == 0 || (!p.valid && is_placeholder(lat));
	if (none)
		return CODEC_OK;
	if (ns < 0 && latitude != CODEC_NOWHERE)
		latitude = -latitude;
	if (ew < 0 && longitude != CODEC_NOWHERE)
		longitude = -longitude;
	return codec_set_place(x->t, p.valid, latitude, longitude);
}

enum codec_status h02_vp1(struct h02_text *x)
{
	struct span flag = h02_field(x, 2);
	if (span_is(flag, "V"))
		return vp1_cells(x);
	if ((!span_is(flag, "A") && !span_is(flag, "B")) || x->count < 10)
		return CODEC_BAD_FIELDS;
	/* A date without a time sets nothing; but what is no date shows that this is another layout. */
	if (!h02_put_clock_fields(x, span_of(NULL, 0), x->field[9]))
		return CODEC_BAD_FIELDS;
	return take_place(x, 2);
}

/* The fields from the one behind the date to the status word; returns where the tail begins. */
static size_t take_status(struct h02_text *x, size_t at)
{
	if (span_is(x->type, "V19") && x->count > at + 2) {
		telemetry_set_text(x->t, TM_SIM_INFO, h02_field(x, at + 1));
		h02_put_iccid(x, h02_field(x, at + 2));
		at += 3;
	}
	h02_put_status(x, h02_field(x, at));
	return at + 1;
}

enum codec_status h02_block(struct h02_text *x, size_t at)
{
	if (x->count < at + 9) {
		mark(x->t, h02_field(x, at), TM_TIMESTAMP);
		mark_place(x, at + 1);
		return CODEC_BAD_FIELDS;
	}
	size_t d = at + 8;
	struct span next = h02_field(x, d + 1);
	bool battery = span_is_digits(x->field[d], 1, 3) && x->count > d + 1 &&
		       (next.len == 0 || span_is_digits(next, 6, 6) || next.len == 14);
	if (battery)
		d++;
	struct span date = x->field[d], glued = span_of(NULL, 0);
	if (date.len == 14) { /* the comma between date and status is missing */
		glued = span_after(date, 6);
		date.len = 6;
	}
	if (!h02_put_clock_fields(x, x->field[at], date))
		return CODEC_BAD_FIELDS;
	enum codec_status status = take_place(x, at + 1);
	if (status != CODEC_OK)
		return status;
	if (battery)
		h02_put_battery(x, x->field[d - 1]);
	if (glued.len > 0) {
		if (!h02_put_status(x, glued))
			return CODEC_BAD_FIELDS;
		h02_tail(x, d + 1);
	} else {
		h02_tail(x, take_status(x, d + 1));
	}
	return CODEC_OK;
}

/* --- V4 --- */

bool h02_block_starts(const struct h02_text *x, size_t at)
{
	struct span time = h02_field(x, at), flag = h02_field(x, at + 1);
	if (x->count < at + 9 || (time.len > 0 && !span_is_digits(time, 6, 6)))
		return false;
	bool letter = flag.len == 1 && read_validity(flag).known && !byte_is_digit(flag.ptr[0]);
	if (!letter && (flag.len > 0 || time.len == 0))
		return false;
	return hemisphere(h02_field(x, at + 3), 'N', 'S') != 2 &&
	       hemisphere(h02_field(x, at + 5), 'E', 'W') != 2;
}

/* The answer to S32: the odometer in units of 1852/3600 m, the way at one knot in one second. */
static void take_mileage(struct h02_text *x, struct span counts)
{
	h02_put_decimal(x, TM_MILEAGE, counts, 1852, 3600 * 1000);
}

/* <command word> [, time of the command] [, values...] [, time of the command] [, position block]. Values may look like anything, so the
 * block is searched first. Without a block there may be a date and time of 14 digits at the end: they are the unit's own. */
enum codec_status h02_confirmation(struct h02_text *x)
{
	size_t block = 3, from = 3, end;
	while (block < x->count && !h02_block_starts(x, block))
		block++;
	bool found = block < x->count;
	end = found ? block : x->count;
	struct span word = h02_field(x, 2), last = h02_field(x, end - 1);
	telemetry_set_text(x->t, TM_COMMAND_CODE, word);
	if (!found && end > 3 && span_is_digits(last, 14, 14)) {
		telemetry_set_text(x->t, TM_COMMAND_TIME, last);
		end--;
	} else {
		struct span time = h02_take_echo(x, &from, &end);
		telemetry_set_text(x->t, TM_COMMAND_TIME, time);
		span_copy(time, x->reply.token.time, sizeof(x->reply.token.time));
	}
	if (end > from)
		h02_join(x, TM_COMMAND_REPLY, from, end);
	if (span_is(word, "S32") && end > from)
		take_mileage(x, h02_field(x, from));
	x->has_reply = true;
	span_copy(word, x->reply.token.word, sizeof(x->reply.token.word));
	if (telemetry_has(x->t, TM_COMMAND_REPLY))
		x->reply.result = x->t->value[TM_COMMAND_REPLY].text;
	return found ? h02_block(x, block) : CODEC_OK;
}
