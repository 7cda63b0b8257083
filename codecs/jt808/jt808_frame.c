// SPDX-License-Identifier: MIT
/* jt808_frame: bytes to a message and back: delimiters, escapes, check byte, header.
 * Uses: codecs/record.
 * Not: know any message.
 *
 *   7E | id 2 | properties 2 | [version 1] | phone 6 or 10 | serial 2 | [total 2, number 2] | body | check 1 | 7E
 *
 * Between the delimiters 7E is written 7D 02 and 7D is 7D 01; the XOR over all unescaped bytes is 0. Properties:
 * bits 0-9 length of the body, 10-12 encryption, 13 part of a message, 14 header of 2019 (with version and phone 10). */
#include "codecs/jt808/jt808_private.h"
#include "codecs/record/mark.h"

#define DELIMITER 0x7e
#define ESCAPE 0x7d

enum { LENGTH_BITS = 0x3ff, ENCRYPTION_BITS = 0x1c00, PART_BIT = 0x2000, VERSION_BIT = 0x4000 };

/* link->priv[SHARED_DELIMITER]: the bytes follow a frame whose last delimiter was consumed with it. Some units send a single 7E between
 * two frames, so the next frame may begin without one. */
enum { SHARED_DELIMITER = 0 };

/* --- finding --- */

enum codec_status jt808_sniff(struct span head)
{
	if (head.len == 0 || head.ptr[0] != DELIMITER)
		return CODEC_NOT_MINE;
	if (head.len < 4)
		return head.len > 1 && head.ptr[1] >= 0x70 ? CODEC_NOT_MINE : CODEC_MORE;
	/* ids of units' messages are 0x0000 to 0x6fff; bit 15 of the properties is reserved, so 0 */
	return head.ptr[1] < 0x70 && !(head.ptr[3] & 0x80) ? CODEC_OK : CODEC_NOT_MINE;
}

enum codec_status jt808_frame_find(struct codec_link *link, struct span in, struct frame *out)
{
	uint8_t *shared = &link->priv[SHARED_DELIMITER];
	size_t start = 0, end;
	for (;; start = end) {
		bool implied = *shared && start < in.len && in.ptr[start] != DELIMITER;
		while (!implied && start < in.len && in.ptr[start] != DELIMITER)
			start++;
		size_t body = start;
		while (body < in.len && in.ptr[body] == DELIMITER)
			body++;
		start = body > start ? body - 1 : start;
		end = body;
		const uint8_t *last = end < in.len ? memchr(in.ptr + end, DELIMITER, in.len - end) : NULL;
		end = last != NULL ? (size_t)(last - in.ptr) : in.len;
		out->skip = start;
		out->len = end - start;
		if (end - body > JT808_FRAME_MAX - 2) {
			*shared = 0;
			return CODEC_OVERSIZE;
		}
		if (end < in.len && (!implied || end - body >= JT808_UNESCAPED_MIN)) {
			*shared = 1;
			out->len++;
			return CODEC_OK;
		}
		if (end < in.len) { /* junk behind a frame: shorter than any message */
			*shared = 0;
			continue;
		}
		bool torn = link->quiet_ms == CODEC_QUIET_FINAL && end > body && !implied;
		return torn ? CODEC_TRUNCATED : CODEC_MORE;
	}
}

/* --- reading --- */

static enum codec_status unescape(struct telemetry *t, struct span frame, struct writer *out)
{
	size_t i = 0, end = frame.len;
	if (i < end && frame.ptr[i] == DELIMITER)
		mark_name(t, span_of(frame.ptr + i++, 1), "start");
	if (i < end && frame.ptr[end - 1] == DELIMITER)
		mark_name(t, span_of(frame.ptr + --end, 1), "end");
	for (; i < end; i++) {
		const uint8_t *at = frame.ptr + i, *escape = memchr(at, ESCAPE, end - i);
		struct span plain = span_of(at, escape != NULL ? (size_t)(escape - at) : end - i);
		mark_copied_all(t, out->ptr + out->len, plain);
		writer_span_put(out, plain);
		i += plain.len;
		if (escape == NULL)
			break;
		mark_copied(t, out->ptr + out->len, escape);
		if (++i == end || frame.ptr[i] < 1 || frame.ptr[i] > 2)
			return CODEC_BAD_ESCAPE;
		writer_u8(out, frame.ptr[i] == 1 ? ESCAPE : DELIMITER);
	}
	mark_copied(t, out->ptr + out->len, frame.ptr + end);
	return out->full ? CODEC_OVERSIZE : CODEC_OK;
}

static uint8_t check_of(struct span s)
{
	uint64_t all = 0, part;
	size_t i = 0;
	for (; i + sizeof(part) <= s.len; i += sizeof(part)) {
		memcpy(&part, s.ptr + i, sizeof(part));
		all ^= part;
	}
	all ^= all >> 32;
	all ^= all >> 16;
	uint8_t x = (uint8_t)(all ^ all >> 8);
	for (; i < s.len; i++)
		x ^= s.ptr[i];
	return x;
}

static void mark_header(struct telemetry *t, const struct jt808_message *m, uint16_t properties)
{
	mark_number(t, span_of(m->phone.ptr + m->phone.len, 2), "serial number", m->serial);
	mark(t, m->phone, TM_IDENT);
	const uint8_t *at = m->phone.ptr - m->version_2019;
	mark_name(t, span_of(at - 4, 2), "message id");
	mark_number(t, span_of(at - 2, 2), "properties; length of the body", properties & LENGTH_BITS);
	mark_number(t, span_of(at, m->version_2019), "version of the protocol", m->protocol_version);
	if (!(properties & PART_BIT))
		return;
	at = m->phone.ptr + m->phone.len + 2;
	mark_number(t, span_of(at, 2), "number of parts", m->total);
	mark_number(t, span_of(at + 2, 2), "this part", m->number);
}

static enum codec_status read_header(struct telemetry *t, struct span in, struct jt808_message *m)
{
	if (in.len < JT808_UNESCAPED_MIN)
		return CODEC_TRUNCATED;
	bool right = check_of(in) == 0;
	in.len--;
	mark_name(t, span_of(in.ptr + in.len, 1), right ? "check code" : "check code, wrong");
	struct reader r = reader_of(in);
	m->id = reader_u16(&r);
	uint16_t properties = reader_u16(&r);
	m->version_2019 = properties & VERSION_BIT;
	m->protocol_version = m->version_2019 ? reader_u8(&r) : 0;
	m->phone = reader_take(&r, m->version_2019 ? 10 : 6);
	m->serial = reader_u16(&r);
	m->total = m->number = 0;
	if (properties & PART_BIT) {
		m->total = reader_u16(&r);
		m->number = reader_u16(&r);
	}
	if (!r.bad)
		mark_header(t, m, properties);
	if (!right)
		return CODEC_BAD_CHECKSUM;
	m->has_header = !r.bad;
	if (r.bad || reader_left(&r) != (properties & LENGTH_BITS))
		return CODEC_BAD_LENGTH;
	m->body = reader_take(&r, reader_left(&r));
	struct writer w = writer_of(m->type, sizeof(m->type));
	writer_id(&w, m->id, 4);
	writer_u8(&w, 0);
	return properties & ENCRYPTION_BITS ? CODEC_ENCRYPTED : CODEC_OK;
}

enum codec_status jt808_frame_read(
	struct telemetry *t, struct span frame, uint8_t plain[JT808_FRAME_MAX], struct jt808_message *m)
{
	struct writer w = writer_of(plain, JT808_FRAME_MAX);
	enum codec_status status = unescape(t, frame, &w);
	return status == CODEC_OK ? read_header(t, writer_span(&w), m) : status;
}

/* A phone field of six bytes that is no BCD holds the first 14 digits of an IMEI as a number. The 15th, the Luhn digit, is computed. */
static void put_imei(struct span phone, struct writer *out)
{
	uint64_t v = 0;
	for (size_t i = 0; i < phone.len; i++)
		v = v << 8 | phone.ptr[i];
	size_t from = out->len;
	writer_decimal(out, v, 14);
	unsigned sum = 0;
	for (size_t i = from; i < out->len; i++) {
		bool doubled =
			(out->len - i) % 2 == 1; /* every second, from the one beside the check digit on */
		unsigned d = (unsigned)(out->ptr[i] - '0') * (doubled ? 2 : 1);
		sum += d > 9 ? d - 9 : d;
	}
	writer_u8(out, (uint8_t)('0' + (10 - sum % 10) % 10));
}

bool jt808_ident(const struct jt808_message *m, struct writer *out)
{
	struct span phone = m->phone;
	if (!span_is_bcd(phone)) {
		if (phone.len != 6)
			return false;
		put_imei(phone, out);
		return true;
	}
	uint8_t digits[20];
	struct writer w = writer_of(digits, sizeof(digits));
	size_t zeros = 0;
	writer_hex(&w, phone);
	while (zeros + 1 < w.len && digits[zeros] == '0')
		zeros++;
	writer_bytes(out, digits + zeros, w.len - zeros);
	return true;
}

/* --- writing --- */

uint16_t jt808_frame_write(struct codec_unit *unit, uint16_t id, struct span body, struct writer *out)
{
	struct jt808_unit *u = jt808_unit(unit);
	uint8_t raw[JT808_BODY_MAX + 32];
	struct writer w = writer_of(raw, sizeof(raw));
	uint16_t serial = u->serial++;
	writer_u16(&w, id);
	writer_u16(&w, (uint16_t)(body.len | (u->version_2019 ? VERSION_BIT : 0u)));
	if (u->version_2019)
		writer_u8(&w, u->protocol_version);
	writer_bytes(&w, u->phone, u->version_2019 ? 10 : 6);
	writer_u16(&w, serial);
	writer_span_put(&w, body);
	writer_u8(&w, check_of(writer_span(&w)));
	if (w.full)
		out->full = true;
	writer_u8(out, DELIMITER);
	size_t from = 0;
	for (size_t i = 0; i < w.len; i++) {
		if (raw[i] != DELIMITER && raw[i] != ESCAPE)
			continue;
		writer_bytes(out, raw + from, i - from);
		writer_u8(out, ESCAPE);
		writer_u8(out, raw[i] == ESCAPE ? 1 : 2);
		from = i + 1;
	}
	writer_bytes(out, raw + from, w.len - from);
	writer_u8(out, DELIMITER);
	return serial;
}
