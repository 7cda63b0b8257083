// SPDX-License-Identifier: MIT
/* h02_binary: what the `$` and `X` frames of H02 say.
 * Uses: codecs/record.
 * Not: look for the end of a frame.
 *
 *   0    1..5   6 7 8      9 10 11    12..15    16       17..21hi   21lo   22..23hi  23lo..24  25..28
 *   $    id     hh mm ss   DD MM YY   DDMMMMMM  battery  DDDMMMMMM  flags  knots     course    status
 *   BCD throughout; flags: 8 east, 4 north, 2 valid. Behind 28 the layout depends on the length. A unit with
 *   an 8-byte id (length 42) has everything from the time on three bytes later. */
#include "codecs/h02/h02_private.h"
#include "codecs/record/mark.h"

/* `nibbles`, at most 10, that are decimal digits, as a number; there are eight bytes at the first. `field`: the parameter that they give.
 * false: one is no digit. */
static bool bcd_number(struct telemetry *t, enum telemetry_field field, struct span in, size_t first_nibble,
	size_t nibbles, int64_t *out)
{
	size_t from = first_nibble / 2, to = (first_nibble + nibbles + 1) / 2;
	uint64_t v = bytes_big(in.ptr + from);
	v = v << first_nibble % 2 * 4 >> (16 - nibbles) * 4;
	if (!word_is_bcd(v))
		return false;
	v = word_bcd(v);
	v = (v & 0x00ff00ff00ff00ff) + (v >> 8 & 0x00ff00ff00ff00ff) * 100;
	v = (v & 0x0000ffff0000ffff) + (v >> 16 & 0x0000ffff0000ffff) * 10000;
	*out = (int64_t)((v & UINT32_MAX) + (v >> 32) * 100000000);
	mark(t, span_part(in, from, to - from), field);
	return true;
}

/* hh mm ss DD MM YY at byte 6. What is no date leaves the record without a time. */
static void take_time(struct telemetry *t, struct span in)
{
	uint64_t v = bytes_word(in.ptr + 6, 8, 0) & UINT64_C(0xffffffffffff);
	if (!word_is_bcd(v))
		return;
	v = word_bcd(v);
	struct calendar c = {
		2000 + (int)(v >> 40), v >> 32 & 0xff, v >> 24 & 0xff, v & 0xff, v >> 8 & 0xff, v >> 16 & 0xff};
	h02_set_time(t, &c);
}

/* DDMMMMMM or DDDMMMMMM, minutes in 1/10000, as 1e-7 degrees; 60 minutes or more: CODEC_NOWHERE. */
static int64_t coordinate(int64_t packed)
{
	int64_t degrees = packed / 1000000, minutes = packed % 1000000;
	if (minutes >= 600000)
		return CODEC_NOWHERE;
	return degrees * 10000000 + (minutes * 1000 + 30) / 60;
}

/* Bytes 0 to 28. `in` has the time at offset 6: with an id of 8 bytes it begins inside of the frame. `battery`: byte 16 is one. */
static enum codec_status decode_head(struct telemetry *t, struct span in, bool battery)
{
	int64_t lat, lon, knots, course;
	if (!bcd_number(t, TM_LATITUDE, in, 24, 8, &lat) || !bcd_number(t, TM_LONGITUDE, in, 34, 9, &lon) ||
		!bcd_number(t, TM_SPEED, in, 44, 3, &knots) || !bcd_number(t, TM_DIRECTION, in, 47, 3, &course))
		return CODEC_BAD_BCD;
	take_time(t, in);
	uint8_t flags = in.ptr[21] & 15;
	mark_name(t, span_of(in.ptr + 21, 1), "flags: 8 east, 4 north, 2 valid");
	mark(t, span_of(in.ptr + 21, 1), TM_POSITION_VALID);
	bool valid = flags & 2;
	lat = coordinate(lat);
	lon = coordinate(lon);
	if (!(flags & 4) && lat != CODEC_NOWHERE)
		lat = -lat;
	if (!(flags & 8) && lon != CODEC_NOWHERE)
		lon = -lon;
	telemetry_set(t, TM_POSITION_VALID, valid);
	enum codec_status status = codec_set_place(t, valid, lat, lon);
	if (status != CODEC_OK)
		return status;
	telemetry_set(t, TM_SPEED, knots * 1852);
	telemetry_set(t, TM_DIRECTION, course * 10000);
	struct reader r = reader_of(span_of(in.ptr + 25, 4));
	h02_set_status(t, r.in, reader_u32(&r), false);
	if (battery) {
		h02_set_battery_code(t, in.ptr[16]);
		mark(t, span_of(in.ptr + 16, 1), TM_BATTERY_LEVEL);
	}
	return CODEC_OK;
}

static void mark_cell_bytes(struct telemetry *t, struct span lac, struct span cellid, unsigned n)
{
	mark_cell(t, lac, TM_GSM_LAC, n);
	mark_cell(t, cellid, TM_GSM_CELLID, n);
}

static void mark_network(struct telemetry *t, struct span bytes)
{
	mark(t, span_part(bytes, 0, 2), TM_GSM_MCC);
	mark(t, span_part(bytes, 2, 1), TM_GSM_MNC);
}

/* mcc 2, mnc 1, lac 2, cellid 2 */
static void take_cell(struct telemetry *t, struct reader *r)
{
	uint16_t mcc = reader_u16(r);
	uint8_t mnc = reader_u8(r);
	uint16_t lac = reader_u16(r);
	h02_set_network_cell(t, mcc, mnc, lac, reader_u16(r));
	mark_network(t, span_part(reader_last(r, 7), 0, 3));
	mark_cell_bytes(t, span_part(reader_last(r, 4), 0, 2), reader_last(r, 2), 0);
}

/* 45, 47 and 51 bytes, alike up to byte 42. Bit 7 of byte 29 tells two layouts apart. */
static void decode_45(struct telemetry *t, struct span in)
{
	struct reader r = reader_of(span_after(in, 29));
	if (in.ptr[29] & 0x80) {
		telemetry_set(t, TM_USER_ALARM_BYTE, reader_u8(&r));
		mark(t, reader_last(&r, 1), TM_USER_ALARM_BYTE);
		reader_u8(&r);
		codec_set_csq(t, reader_u8(&r));
		mark(t, reader_last(&r, 1), TM_GSM_LEVEL);
		uint8_t satellites = reader_u8(&r);
		if (satellites <= 24)
			telemetry_set(t, TM_SATELLITES, satellites);
		mark(t, reader_last(&r, 1), TM_SATELLITES);
		telemetry_set(t, TM_MILEAGE, (int64_t)reader_u32(&r) * 1000);
		mark(t, reader_last(&r, 4), TM_MILEAGE);
	} else {
		telemetry_set(t, TM_MILEAGE, reader_u32(&r)); /* metres */
		mark(t, reader_last(&r, 4), TM_MILEAGE);
		reader_u32(&r);
	}
	take_cell(t, &r);
	if (in.len > 45) {
		uint16_t volts = reader_u16(&r);
		mark(t, reader_last(&r, 2), TM_EXTERNAL_VOLTAGE);
		if (volts != 0)
			telemetry_set(t, TM_EXTERNAL_VOLTAGE, volts * 100);
	}
	telemetry_set(t, TM_EVENT_SEQNUM, in.ptr[in.len - 1]);
	mark(t, span_of(in.ptr + in.len - 1, 1), TM_EVENT_SEQNUM);
}

static void decode_46(struct telemetry *t, struct span in)
{
	int64_t metres;
	if (bcd_number(t, TM_MILEAGE, in, 66, 8, &metres))
		telemetry_set(t, TM_MILEAGE, metres);
	struct reader r = reader_of(span_after(in, 42));
	uint16_t lac = reader_u16(&r), cellid = reader_u16(&r);
	h02_set_cell(t, lac, cellid);
	mark_cell_bytes(t, span_part(reader_last(&r, 4), 0, 2), reader_last(&r, 2), 0);
}

static void decode_54(struct telemetry *t, struct span in)
{
	struct reader r = reader_of(span_after(in, 29));
	telemetry_set(t, TM_MILEAGE, reader_u32(&r));
	mark(t, reader_last(&r, 4), TM_MILEAGE);
	uint16_t mcc = reader_u16(&r);
	uint8_t mnc = reader_u8(&r);
	mark_network(t, reader_last(&r, 3));
	if (!h02_is_mcc(mcc))
		return;
	for (int i = 0; i < 3; i++) {
		uint16_t lac = reader_u16(&r), cellid = reader_u16(&r);
		uint8_t level = reader_u8(&r);
		bool has_dbm = level < 64 && (lac != 0 || cellid != 0);
		struct span all = reader_last(&r, 5);
		mark_cell_bytes(t, span_part(all, 0, 2), span_part(all, 2, 2), (unsigned)i);
		mark_cell(t, span_part(all, 4, 1), TM_GSM_DBM, (unsigned)i);
		if (i > 0) {
			telemetry_add_cell(
				t, (struct telemetry_cell){lac, cellid, (int16_t)(level - 110), has_dbm});
			continue;
		}
		h02_set_network_cell(t, mcc, mnc, lac, cellid);
		if (has_dbm)
			telemetry_set(t, TM_GSM_DBM, level - 110);
	}
}

static void decode_tail(struct telemetry *t, struct span in)
{
	switch (in.len) {
	case 32:
		telemetry_set(t, TM_USER_ALARM_BYTE, in.ptr[29]);
		telemetry_set(t, TM_EVENT_SEQNUM, in.ptr[31]);
		mark(t, span_of(in.ptr + 29, 1), TM_USER_ALARM_BYTE);
		mark(t, span_of(in.ptr + 31, 1), TM_EVENT_SEQNUM);
		break;
	case 45:
	case 47:
	case 51:
		decode_45(t, in);
		break;
	case 46:
		decode_46(t, in);
		break;
	case 54:
		decode_54(t, in);
		break;
	}
}

static enum codec_status decode_x(struct telemetry *t, struct span in)
{
	int64_t counts;
	if (!bcd_number(t, TM_MILEAGE, in, 2, 10, &counts))
		return CODEC_BAD_BCD;
	telemetry_set(t, TM_MILEAGE, (counts * 1852 + 1800) / 3600);
	telemetry_set(t, TM_EVENT_SEQNUM, in.ptr[31]);
	mark(t, span_of(in.ptr + 31, 1), TM_EVENT_SEQNUM);
	return CODEC_OK;
}

enum codec_status h02_binary_decode(
	struct codec_link *link, struct span frame, struct telemetry *t, const struct codec_sink *sink)
{
	bool odometer = frame.ptr[0] == 'X';
	bool wide = frame.len == H02_LONG_ID_LENGTH && h02_long_id(frame);
	size_t digits = wide ? 15 : 10;
	mark_name(t, span_of(frame.ptr, 1), odometer ? "start of an odometer frame" : "start");
	mark(t, span_part(frame, 1, (digits + 1) / 2), odometer ? TM_MILEAGE : TM_IDENT);
	mark(t, span_part(frame, wide ? 9 : 6, 6), TM_TIMESTAMP);
	if (frame.len < H02_BINARY_MIN)
		return CODEC_TRUNCATED;
	if (!odometer) {
		uint8_t ident[16];
		uint64_t id = bytes_big(frame.ptr + 1);
		if (!wide && !word_is_bcd(id >> 24))
			return CODEC_BAD_ID;
		bytes_word_put(ident, half_bytes((uint32_t)(id >> 32)) | EIGHT('0'));
		bytes_word_put(ident + 8, half_bytes((uint32_t)id) | EIGHT('0'));
		link->unit = sink->identify(sink->ctx, span_of(ident, digits));
		if (link->unit == NULL)
			return CODEC_REFUSED;
	} else if (link->unit == NULL) {
		return CODEC_NO_IDENT;
	}
	telemetry_set_text(t, TM_IDENT, span_text(link->unit->ident));
	struct span type = odometer ? span_text("X") : span_text("$");
	telemetry_set_text(t, TM_MESSAGE_TYPE, type);
	enum codec_status status = decode_head(t, wide ? span_after(frame, 3) : frame, !odometer);
	if (status != CODEC_OK)
		return status;
	if (odometer)
		status = decode_x(t, frame);
	else
		decode_tail(t, frame);
	if (status != CODEC_OK)
		return status;
	return h02_finish(link, t, type, H02_ANSWER_BINARY, sink);
}
