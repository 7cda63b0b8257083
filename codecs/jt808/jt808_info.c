// SPDX-License-Identifier: MIT
/* jt808_info: what JT/T 808 units say of themselves: registration, authentication, parameters, attributes.
 * Uses: codecs/record.
 *
 *   0x0100   province 2, city 2, maker, model, terminal id (widths by version), colour 1, plate in GBK
 *   0x0102   2013: the code; 2019: BYTE length, code, IMEI 15, software version 20
 *   0x0104   WORD serial, BYTE count, then DWORD id, BYTE length, value each
 *   0x0107   WORD type, maker, model, terminal id, ICCID 10 BCD, BYTE + hardware, BYTE + firmware, GNSS, network */
#include "codecs/jt808/jt808_private.h"
#include "codecs/record/mark.h"

#define PAYLOAD_MAX 60000 /* with two hex digits for each byte it must fit one record */

struct widths {
	uint8_t maker, model, terminal;
};

static bool is_padding(uint8_t c)
{
	return c == 0;
}

static struct span unpad(struct span s)
{
	return span_trim(s, is_padding);
}

static bool printable(uint8_t c)
{
	return c >= 0x20 && c < 0x7f;
}

/* A code padded with zeros: as a text when it is printable ASCII, else the whole field as hex. */
static void set_code(struct telemetry *t, enum telemetry_field field, struct span raw)
{
	struct span text = unpad(raw);
	if (span_all(text, printable)) {
		telemetry_set_text(t, field, text);
		return;
	}
	struct writer w = telemetry_scratch(t);
	writer_hex(&w, raw);
	telemetry_set_scratch(t, field, &w);
	mark(t, raw, field);
}

static void set_codes(struct telemetry *t, struct reader *r, struct widths w)
{
	set_code(t, TM_MANUFACTURER_CODE, reader_take(r, w.maker));
	set_code(t, TM_DEVICE_MODEL, reader_take(r, w.model));
	set_code(t, TM_MANUFACTURER_DEVICE_CODE, reader_take(r, w.terminal));
}

/* The bytes as they are: nobody decodes them. Long ones in pieces, for a parameter holds 1024 bytes. */
enum codec_status jt808_payload(
	struct telemetry *t, const struct jt808_message *m, const struct jt808_options *options)
{
	enum { PIECE = 1000 };
	(void)options;
	if (m->body.len <= PIECE) {
		struct writer w = telemetry_scratch(t);
		writer_hex(&w, m->body);
		telemetry_set_scratch(t, TM_PAYLOAD, &w);
		mark(t, m->body, TM_PAYLOAD);
		return CODEC_OK;
	}
	if (m->body.len > PAYLOAD_MAX)
		return CODEC_OVERSIZE;
	for (size_t at = 0; at < m->body.len; at += PIECE) {
		size_t n = m->body.len - at < PIECE ? m->body.len - at : PIECE;
		telemetry_add_item(t, "custom.payload.", (uint32_t)(at / PIECE), 4, ITEM_HEX,
			span_of(m->body.ptr + at, n));
	}
	return CODEC_OK;
}

enum codec_status jt808_registration(
	struct telemetry *t, const struct jt808_message *m, const struct jt808_options *options)
{
	(void)options;
	static const struct widths v2011 = {5, 8, 7}, v2013 = {5, 20, 7}, v2019 = {11, 30, 30};
	size_t len = m->body.len;
	struct widths widths = m->version_2019 && len >= 76 ? v2019 : len >= 37 ? v2013 : v2011;
	struct reader r = reader_of(m->body);
	uint16_t province = reader_u16(&r), city = reader_u16(&r);
	if (len <
		25) /* shorter than any standard's: registered all the same, else the unit would register for ever */
		return jt808_payload(t, m, options);
	set_codes(t, &r, widths);
	reader_u8(&r); /* colour of the plate */
	mark_name(t, reader_last(&r, 1), "colour of the plate");
	mark(t, span_part(m->body, 0, 2), TM_PROVINCE_ID);
	mark(t, span_part(m->body, 2, 2), TM_CITY_ID);
	telemetry_set(t, TM_PROVINCE_ID, province);
	telemetry_set(t, TM_CITY_ID, city);
	struct span plate = unpad(reader_take(&r, reader_left(&r)));
	struct writer w = telemetry_scratch(t);
	if (m->from_gbk != NULL)
		m->from_gbk(plate, &w);
	mark(t, plate, TM_REGISTRATION_NUMBER);
	if (w.len > 0)
		telemetry_set_scratch(t, TM_REGISTRATION_NUMBER, &w);
	else
		telemetry_set_text(t, TM_REGISTRATION_NUMBER, plate);
	return CODEC_OK;
}

/* What stands behind the code in 0x0102 of 2019; empty, and `r` is bad: not all of it is there. There are units of 2019 that send the code
 * alone, with or without its length. */
static struct span imei_behind_code(const struct jt808_message *m, struct reader *r)
{
	*r = reader_of(m->version_2019 ? m->body : span_of(NULL, 0));
	reader_take(r, reader_u8(r));
	struct span imei = reader_take(r, 15);
	return r->bad ? span_of(NULL, 0) : imei;
}

enum codec_status jt808_authentication(
	struct telemetry *t, const struct jt808_message *m, const struct jt808_options *options)
{
	(void)options;
	struct reader r;
	set_code(t, TM_DEVICE_IMEI, imei_behind_code(m, &r));
	enum { VERSION_BYTES = 20 };
	size_t left = r.bad ? 0 : reader_left(&r), bytes = left < VERSION_BYTES ? left : VERSION_BYTES;
	set_code(t, TM_FIRMWARE_VERSION, reader_take(&r, bytes));
	return CODEC_OK;
}

struct span jt808_authentication_imei(const struct jt808_message *m)
{
	struct reader r;
	return m->id == 0x0102 ? imei_behind_code(m, &r) : span_of(NULL, 0);
}

enum codec_status jt808_parameters(
	struct telemetry *t, const struct jt808_message *m, const struct jt808_options *options)
{
	(void)options;
	struct reader r = reader_of(m->body);
	telemetry_set(t, TM_REPLY_SEQNUM, reader_u16(&r));
	mark(t, reader_last(&r, 2), TM_REPLY_SEQNUM);
	uint8_t count = reader_u8(&r);
	mark_number(t, reader_last(&r, 1), "number of parameters", count);
	for (unsigned i = 0; i < count && reader_left(&r) > 0; i++) {
		size_t at = r.pos;
		uint32_t id = reader_u32(&r);
		struct span value = reader_take(&r, reader_u8(&r));
		if (r.bad) {
			struct writer w = telemetry_scratch(t);
			writer_hex(&w, span_after(r.in, at));
			telemetry_set_scratch(t, TM_TAIL, &w);
			mark(t, span_after(r.in, at), TM_TAIL);
			break;
		}
		mark_name(t, span_part(r.in, at, 4), "parameter");
		mark_number(t, span_part(r.in, at + 4, 1), "length", (int64_t)value.len);
		bool text = value.len > 4 && span_all(unpad(value), printable);
		enum item_form form = text                               ? ITEM_TEXT
				      : value.len >= 1 && value.len <= 4 ? ITEM_NUMBER
									 : ITEM_HEX;
		telemetry_add_item(
			t, "custom.parameter.", id, id > 0xffff ? 8 : 4, form, text ? unpad(value) : value);
	}
	return m->body.len < 3 ? CODEC_TRUNCATED : CODEC_OK;
}

/* How long the body is if its texts have these widths; 0: it is too short for them. */
static size_t attributes_length(struct span body, struct widths w)
{
	struct reader r = reader_of(body);
	reader_take(&r, 2u + w.maker + w.model + w.terminal + 10u);
	reader_take(&r, reader_u8(&r));
	reader_take(&r, reader_u8(&r));
	reader_take(&r, 2);
	return r.bad ? 0 : r.pos;
}

enum codec_status jt808_attributes(
	struct telemetry *t, const struct jt808_message *m, const struct jt808_options *options)
{
	static const struct widths known[] = {{5, 20, 7}, {5, 30, 30}, {11, 30, 30}};
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (attributes_length(m->body, known[i]) != m->body.len)
			continue;
		struct reader r = reader_of(m->body);
		reader_take(&r, 2);
		mark_name(t, reader_last(&r, 2), "kind of terminal");
		set_codes(t, &r, known[i]);
		struct writer w = telemetry_scratch(t);
		writer_hex(&w, reader_take(&r, 10));
		telemetry_set_scratch(t, TM_ICCID, &w);
		mark(t, reader_last(&r, 10), TM_ICCID);
		set_code(t, TM_HARDWARE_VERSION, reader_take(&r, reader_u8(&r)));
		set_code(t, TM_FIRMWARE_VERSION, reader_take(&r, reader_u8(&r)));
		telemetry_set(t, TM_GNSS_BITS, reader_u8(&r));
		mark(t, reader_last(&r, 1), TM_GNSS_BITS);
		telemetry_set(t, TM_NETWORK_BITS, reader_u8(&r));
		mark(t, reader_last(&r, 1), TM_NETWORK_BITS);
		return CODEC_OK;
	}
	return jt808_payload(t, m, options);
}
