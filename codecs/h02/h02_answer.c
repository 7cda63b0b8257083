// SPDX-License-Identifier: MIT
/* h02_answer: what the unit is answered once its record is stored.
 * Uses: nothing else.
 * Not: know commands. */
#include "codecs/h02/h02_private.h"

void h02_put_head(struct writer *w, const struct codec_unit *unit)
{
	const uint8_t *vendor = &unit->priv[H02_VENDOR];
	bool known = vendor[0] != 0;
	const uint8_t head[4] = {'*', known ? vendor[0] : 'H', known ? vendor[1] : 'Q', ','};
	writer_bytes(w, head, sizeof(head));
	writer_text(w, unit->ident);
	writer_u8(w, ',');
}

void h02_put_date(struct writer *w, int64_t now_ms)
{
	struct calendar c = calendar_of(now_ms / 1000);
	uint8_t digits[8];
	bytes_word_put(digits, decimal_split((uint32_t)((c.year * 100 + c.month) * 100 + c.day)) | EIGHT('0'));
	writer_bytes(w, digits, sizeof(digits));
}

void h02_put_clock(struct writer *w, int64_t now_ms)
{
	struct calendar c = calendar_of(now_ms / 1000);
	uint64_t pairs = (uint64_t)c.hour | (uint64_t)c.minute << 16 | (uint64_t)c.second << 32;
	uint8_t digits[8];
	bytes_word_put(digits, decimal_pairs(pairs) | EIGHT('0'));
	writer_bytes(w, digits, 6);
}

/* The form to answer in: the one of the frame's type, or the one that the options prefer to it. */
static enum h02_answer choose(enum h02_ack ack, enum h02_answer form)
{
	switch (ack) {
	case H02_ACK_AUTO:
		return form;
	case H02_ACK_V4:
		return form == H02_ANSWER_R12 ? H02_ANSWER_V4 : form;
	case H02_ACK_R12:
		return form == H02_ANSWER_V4 ? H02_ANSWER_R12 : form;
	case H02_ACK_OFF:
		return H02_ANSWER_NONE;
	}
	return form;
}

enum codec_status h02_finish(struct codec_link *link, struct telemetry *t, struct span type,
	enum h02_answer form, const struct codec_sink *sink)
{
	const struct h02_options *options = link->unit->options;
	int64_t ahead_ms = options->timezone * 1000;
	if (ahead_ms != 0 && telemetry_has(t, TM_TIMESTAMP))
		telemetry_set(t, TM_TIMESTAMP, telemetry_number(t, TM_TIMESTAMP) - ahead_ms);
	if (!sink->record(sink->ctx, t))
		return CODEC_REFUSED;
	form = choose((enum h02_ack)options->ack, form);
	if (form == H02_ANSWER_NONE)
		return CODEC_OK;
	uint8_t buf[96];
	struct writer w = writer_of(buf, sizeof(buf));
	h02_put_head(&w, link->unit);
	switch (form) {
	case H02_ANSWER_V4:
		writer_text(&w, "V4,");
		writer_span_put(&w, type);
		writer_u8(&w, ',');
		h02_put_date(&w, link->now_ms);
		h02_put_clock(&w, link->now_ms);
		break;
	case H02_ANSWER_ECHO:
		writer_span_put(&w, type);
		break;
	case H02_ANSWER_R12:
	case H02_ANSWER_BINARY:
		writer_text(&w, "R12,");
		h02_put_clock(&w, link->now_ms);
		break;
	case H02_ANSWER_NONE:
		break;
	}
	writer_u8(&w, '#');
	if (!w.full)
		sink->send(sink->ctx, writer_span(&w));
	return CODEC_OK;
}
