// SPDX-License-Identifier: MIT
/* gt06_frame: bytes to a message and back: start, length, check code, end.
 * Uses: codecs/record.
 * Not: know any message.
 *
 *   78 78 | length 1 | type 1 | content | serial 2 | check 2 | 0D 0A     length: from the type to the check code
 *   79 79 | length 2 | type 1 | content | serial 2 | check 2 | 0D 0A
 *   78 78 | n 1 | 17 or 69 | date 6, BCD | n times 7 | m 1, network 3 | m times 5 | 0D 0A     n: access points, m: cells
 *
 * Nothing is escaped: each of these bytes may stand inside a content as well. So a start counts only when its end is where the length
 * says. The check code is CRC-16/X-25 from the length to the serial number; some units announce up to four bytes too few, but with
 * the check code of what they announce. */
#include "codecs/gt06/gt06_private.h"
#include "codecs/record/mark.h"

enum { SHORT_START = 0x78, LONG_START = 0x79 };
enum { AROUND = 5 };          /* start, length and end of a 78 78 frame */
enum { ANNOUNCED_SHORT = 4 }; /* bytes that a length may be too small by */
enum { WIFI_MOST = 10, WIFI_HEAD = 10, WIFI_POINT = 7, WIFI_NETWORK = 4, WIFI_CELL = 5 };
enum { SEARCH_BYTES = 4096 }; /* checked at most when a frame inside of another one is looked for */

/* --- check code --- */

static const uint16_t crc_of_half[16] = {0x0000, 0x1081, 0x2102, 0x3183, 0x4204, 0x5285, 0x6306, 0x7387, 0x8408,
	0x9489, 0xa50a, 0xb58b, 0xc60c, 0xd68d, 0xe70e, 0xf78f};

static uint16_t crc_of(struct span s)
{
	unsigned crc = 0xffff;
	for (size_t i = 0; i < s.len; i++) {
		crc ^= s.ptr[i];
		crc = crc >> 4 ^ crc_of_half[crc & 15];
		crc = crc >> 4 ^ crc_of_half[crc & 15];
	}
	return (uint16_t)~crc;
}

static bool has_end(struct span in, size_t at)
{
	return at + 2 <= in.len && in.ptr[at] == 0x0d && in.ptr[at + 1] == 0x0a;
}

static bool has_check(struct span frame)
{
	struct reader r = reader_of(span_part(frame, frame.len - 4, 2));
	return reader_u16(&r) == crc_of(span_part(frame, 2, frame.len - 6));
}

/* --- finding --- */

/* Where the next start may be, from `from` on; in.len: nowhere. The last byte may be the first half of one. */
static size_t next_start(struct span in, size_t from)
{
	for (size_t i = from; i < in.len; i++)
		if ((in.ptr[i] == SHORT_START || in.ptr[i] == LONG_START) &&
			(i + 1 == in.len || in.ptr[i + 1] == in.ptr[i]))
			return i;
	return in.len;
}

static size_t announced(struct span in)
{
	return in.ptr[0] == SHORT_START ? in.ptr[2] : (size_t)in.ptr[2] << 8 | in.ptr[3];
}

/* Of the frame that starts here, whose length has come. */
static size_t frame_bytes(struct span in)
{
	return announced(in) + AROUND + (in.ptr[0] == LONG_START);
}

/* Can this be the short WiFi form? At least four bytes. */
static bool is_wifi_type(struct span in)
{
	return in.ptr[0] == SHORT_START && in.ptr[2] <= WIFI_MOST && (in.ptr[3] == 0x17 || in.ptr[3] == 0x69);
}

/* OK: a frame of the short WiFi form stands here, of `len` bytes; MORE: it may; NOT_MINE: it does not. */
static enum codec_status wifi_form(struct span in, size_t *len)
{
	size_t cells = WIFI_HEAD + WIFI_POINT * (size_t)in.ptr[2];
	if (!span_is_bcd(span_part(in, 4, in.len < WIFI_HEAD ? in.len - 4 : 6)))
		return CODEC_NOT_MINE;
	if (in.len <= cells)
		return CODEC_MORE;
	*len = cells + WIFI_NETWORK + WIFI_CELL * (size_t)in.ptr[cells] + 2;
	if (in.ptr[cells] > WIFI_MOST)
		return CODEC_NOT_MINE;
	if (in.len < *len)
		return CODEC_MORE;
	return has_end(in, *len - 2) ? CODEC_OK : CODEC_NOT_MINE;
}

/* A whole frame with the right check code that starts in front of `to`; in.len: none. It is not looked for without end. */
static size_t whole_inside(struct span in, size_t to)
{
	size_t left = SEARCH_BYTES;
	for (size_t i = next_start(in, 1); i < to && i + 4 <= in.len; i = next_start(in, i + 1)) {
		struct span head = span_after(in, i);
		size_t len = frame_bytes(head);
		if (announced(head) < GT06_LENGTH_MIN || len > head.len || !has_end(head, len - 2))
			continue;
		if (len > left)
			break;
		left -= len;
		if (has_check(span_of(head.ptr, len)))
			return i;
	}
	return in.len;
}

/* The bytes that are no start: up to where one may be, at least one, at most `most`. */
static size_t drop(struct span in, size_t most)
{
	size_t next = next_start(in, 1);
	return next < most ? next : most;
}

/* The announced end is not where it should be. Does it stand a little later? */
static enum codec_status end_later(struct span in, int32_t quiet_ms, size_t *len)
{
	size_t end = *len;
	for (size_t more = 1; in.ptr[0] == SHORT_START && more <= ANNOUNCED_SHORT; more++)
		if (has_end(in, end + more - 2) && has_check(span_of(in.ptr, end + more))) {
			*len = end + more;
			return CODEC_OK;
		}
	bool may_come = in.ptr[0] == SHORT_START && in.len < end + ANNOUNCED_SHORT &&
			quiet_ms < CODEC_QUIET_LONG_MS && whole_inside(in, in.len) == in.len;
	if (may_come)
		return CODEC_MORE;
	*len = drop(in, end);
	return CODEC_NO_TERMINATOR;
}

/* What starts here? There are two bytes of a start. OK: a frame of `len` bytes; MORE; else: these `len` bytes are none. */
static enum codec_status look(struct span in, int32_t quiet_ms, size_t *len)
{
	bool idle = quiet_ms >= CODEC_QUIET_LONG_MS;
	*len = in.len;
	if (in.len < 4)
		return idle ? CODEC_TRUNCATED : CODEC_MORE;
	enum codec_status wifi = is_wifi_type(in) ? wifi_form(in, len) : CODEC_NOT_MINE;
	if (wifi == CODEC_OK)
		return CODEC_OK;
	bool too_short = announced(in) < GT06_LENGTH_MIN;
	if (too_short && wifi != CODEC_MORE) {
		*len = drop(in, in.ptr[0] == SHORT_START ? 3 : 4);
		return CODEC_BAD_LENGTH;
	}
	if (announced(in) > GT06_LENGTH_MAX) {
		*len = drop(in, 4);
		return CODEC_OVERSIZE;
	}
	*len = frame_bytes(in);
	if (too_short || in.len < *len || (wifi == CODEC_MORE && !has_end(in, *len - 2))) {
		size_t whole = whole_inside(in, in.len);
		if (whole == in.len && !idle)
			return CODEC_MORE;
		*len = whole < in.len ? whole : drop(in, in.len);
		return CODEC_TRUNCATED;
	}
	if (!has_end(in, *len - 2))
		return end_later(in, quiet_ms, len);
	size_t whole = has_check(span_of(in.ptr, *len)) ? in.len : whole_inside(in, *len);
	if (whole == in.len)
		return CODEC_OK; /* one with a wrong check code is refused by gt06_frame_read */
	*len = whole;
	return CODEC_BAD_CHECKSUM;
}

enum codec_status gt06_sniff(struct span head)
{
	size_t len;
	if (head.ptr[0] != SHORT_START && head.ptr[0] != LONG_START)
		return CODEC_NOT_MINE;
	if (head.len == 1)
		return CODEC_MORE;
	if (head.ptr[1] != head.ptr[0])
		return CODEC_NOT_MINE;
	enum codec_status status = look(head, 0, &len);
	return status == CODEC_OK || status == CODEC_MORE ? status : CODEC_NOT_MINE;
}

enum codec_status gt06_frame_find(struct codec_link *link, struct span in, struct frame *out)
{
	out->skip = next_start(in, 0);
	struct span head = span_after(in, out->skip);
	if (head.len < 2) {
		bool final = link->quiet_ms == CODEC_QUIET_FINAL;
		out->skip += final ? head.len : 0;
		return CODEC_MORE;
	}
	return look(head, link->quiet_ms, &out->len);
}

/* --- reading --- */

static void name_type(struct telemetry *t, struct gt06_message *m, struct span byte)
{
	struct writer w = writer_of(m->name, sizeof(m->name));
	m->type = byte.ptr[0];
	writer_id(&w, m->type, 2);
	writer_u8(&w, 0);
	mark(t, byte, TM_MESSAGE_TYPE);
}

static enum codec_status read_wifi(struct telemetry *t, struct span frame, struct gt06_message *m)
{
	m->form = GT06_WIFI;
	m->content = span_part(frame, 2, frame.len - 4);
	mark_number(t, span_part(frame, 2, 1), "access points", frame.ptr[2]);
	mark_name(t, span_part(frame, frame.len - 2, 2), "end");
	return CODEC_OK;
}

enum codec_status gt06_frame_read(struct telemetry *t, struct span frame, struct gt06_message *m)
{
	size_t wifi;
	if (frame.len < AROUND + GT06_LENGTH_MIN ||
		(frame.ptr[0] != SHORT_START && frame.ptr[0] != LONG_START) || frame.ptr[1] != frame.ptr[0])
		return CODEC_TRUNCATED;
	mark_name(t, span_part(frame, 0, 2), "start");
	size_t head = frame.ptr[0] == LONG_START ? 4 : 3, end = frame_bytes(frame);
	name_type(t, m, span_part(frame, head, 1));
	if (is_wifi_type(frame) && wifi_form(frame, &wifi) == CODEC_OK && wifi == frame.len)
		return read_wifi(t, frame, m);
	mark_number(t, span_part(frame, 2, head - 2), "length", (int64_t)announced(frame));
	if (announced(frame) < GT06_LENGTH_MIN)
		return CODEC_BAD_LENGTH;
	if (frame.len < end)
		return CODEC_TRUNCATED;
	if (frame.len > end + (head == 3 ? ANNOUNCED_SHORT : 0) || !has_end(frame, frame.len - 2))
		return CODEC_NO_TERMINATOR;
	bool right = has_check(frame);
	mark_name(t, span_part(frame, frame.len - 4, 2), right ? "check code" : "check code, wrong");
	mark_name(t, span_part(frame, frame.len - 2, 2), "end");
	if (!right)
		return CODEC_BAD_CHECKSUM;
	m->form = head == 4 ? GT06_LONG : GT06_SHORT;
	m->content = span_part(frame, head + 1, frame.len - head - 7);
	struct reader r = reader_of(span_part(frame, frame.len - 6, 2));
	m->serial = reader_u16(&r);
	mark(t, r.in, TM_EVENT_SEQNUM);
	return CODEC_OK;
}

bool gt06_ident(struct span bcd, struct writer *out)
{
	if (!span_is_bcd(bcd))
		return false;
	uint8_t digits[16];
	struct writer w = writer_of(digits, sizeof(digits));
	writer_hex(&w, bcd);
	writer_span_put(out, span_after(writer_span(&w), digits[0] == '0' ? 1 : 0));
	return true;
}

/* --- writing --- */

void gt06_frame_write(
	struct writer *out, enum gt06_form form, uint8_t type, struct span content, uint16_t serial)
{
	uint8_t start = form == GT06_LONG ? LONG_START : SHORT_START;
	writer_u8(out, start);
	writer_u8(out, start);
	size_t from = out->len;
	if (form == GT06_LONG)
		writer_u16(out, (uint16_t)(GT06_LENGTH_MIN + content.len));
	else
		writer_u8(out, (uint8_t)(GT06_LENGTH_MIN + content.len));
	writer_u8(out, type);
	writer_span_put(out, content);
	writer_u16(out, serial);
	writer_u16(out, out->full ? 0 : crc_of(span_of(out->ptr + from, out->len - from)));
	writer_text(out, "\r\n");
}
