// SPDX-License-Identifier: MIT
/* jt808_vendor: messages that makers have added to JT/T 808.
 * Uses: codecs/record.
 *
 *   0x0210   BYTE charge in per cent, BCD time; else a list of locations
 *   0x0701   DWORD length, then the text that answers a text command; in the standard, a waybill
 *   0x1300   WORD serial of our 0x8300, then the text that answers it, in UTF-16
 *   0x6006   BYTE coding, then the text that answers a text command, in GBK */
#include "codecs/jt808/jt808_private.h"
#include "codecs/record/mark.h"

enum codec_status jt808_battery(
	struct telemetry *t, const struct jt808_message *m, const struct jt808_options *options)
{
	telemetry_set(t, TM_BATTERY_LEVEL, m->body.ptr[0]);
	jt808_set_time(t, span_after(m->body, 1), options);
	mark(t, span_part(m->body, 0, 1), TM_BATTERY_LEVEL);
	mark(t, span_after(m->body, 1), TM_TIMESTAMP);
	return CODEC_OK;
}

/* --- texts --- */

static bool is_blank(uint8_t c)
{
	return c <= ' ';
}

/* Sets the text, which was made of `raw`, as what the unit answered. One that is none, or is too long for a parameter, is shown as bytes. */
static enum codec_status set_answer(struct telemetry *t, struct span raw, struct writer *w,
	const struct jt808_message *m, const struct jt808_options *options)
{
	struct span text = span_trim(writer_span(w), is_blank);
	bool is_text = !w->full && (int64_t)text.len <= telemetry_params[TM_COMMAND_REPLY].max &&
		       (text.len == 0 || memchr(text.ptr, 0, text.len) == NULL);
	if (!is_text || (text.len == 0 && !span_all(m->body, byte_is_nul)))
		return jt808_payload(t, m, options);
	mark(t, raw, TM_COMMAND_REPLY);
	telemetry_set_scratch(t, TM_COMMAND_REPLY, w);
	telemetry_set_text(t, TM_COMMAND_REPLY, text);
	return CODEC_OK;
}

static enum codec_status set_gbk(struct telemetry *t, struct span gbk, const struct jt808_message *m,
	const struct jt808_options *options)
{
	struct writer w = telemetry_scratch(t);
	if (m->from_gbk != NULL)
		m->from_gbk(gbk, &w);
	else
		writer_span_put(&w, gbk);
	return set_answer(t, gbk, &w, m, options);
}

enum codec_status jt808_text(
	struct telemetry *t, const struct jt808_message *m, const struct jt808_options *options)
{
	mark_name(t, span_part(m->body, 0, 1), "coding");
	return set_gbk(t, span_after(m->body, 1), m, options);
}

enum codec_status jt808_counted_text(
	struct telemetry *t, const struct jt808_message *m, const struct jt808_options *options)
{
	struct reader r = reader_of(m->body);
	struct span text = reader_take(&r, reader_u32(&r));
	if (!r.bad)
		mark_number(t, span_part(m->body, 0, 4), "length", (int64_t)text.len);
	return r.bad ? jt808_payload(t, m, options) : set_gbk(t, text, m, options);
}

/* Characters that are no single unit of UTF-16 are not to be expected: the text is shown as bytes then. */
static void put_utf8(struct writer *w, uint16_t c)
{
	if (c < 0x80) {
		writer_u8(w, (uint8_t)c);
	} else if (c < 0x800) {
		writer_u8(w, (uint8_t)(0xc0 | c >> 6));
		writer_u8(w, (uint8_t)(0x80 | (c & 63)));
	} else if (c >> 11 != 0x1b) {
		writer_u8(w, (uint8_t)(0xe0 | c >> 12));
		writer_u8(w, (uint8_t)(0x80 | (c >> 6 & 63)));
		writer_u8(w, (uint8_t)(0x80 | (c & 63)));
	} else {
		w->full = true;
	}
}

enum codec_status jt808_wide_text(
	struct telemetry *t, const struct jt808_message *m, const struct jt808_options *options)
{
	struct writer w = telemetry_scratch(t);
	struct reader r = reader_of(m->body);
	telemetry_set(t, TM_REPLY_SEQNUM, reader_u16(&r));
	mark(t, reader_last(&r, 2), TM_REPLY_SEQNUM);
	while (reader_left(&r) >= 2)
		put_utf8(&w, reader_u16(&r));
	if (r.bad || reader_left(&r) != 0)
		return jt808_payload(t, m, options);
	return set_answer(t, span_after(m->body, 2), &w, m, options);
}
