/* h02_command: what goes to an H02 unit: answers and commands.
 * May use: codec, h02. May not: allocate, log, ask the time (link->now_ms is given). */
#include "h02.h"

static void put_head(struct writer *w, const struct codec_unit *unit)
{
	const uint8_t *vendor = &unit->priv[H02_VENDOR];
	writer_u8(w, '*');
	if (vendor[0] != 0)
		writer_bytes(w, vendor, 2);
	else
		writer_text(w, "HQ");
	writer_u8(w, ',');
	writer_text(w, unit->ident);
	writer_u8(w, ',');
}

static void put_clock(struct writer *w, int64_t now_ms, bool date)
{
	struct calendar c = calendar_of(now_ms / 1000);
	if (date) {
		writer_decimal(w, (uint64_t)c.year, 4);
		writer_decimal(w, (uint64_t)c.month, 2);
		writer_decimal(w, (uint64_t)c.day, 2);
	}
	writer_decimal(w, (uint64_t)c.hour, 2);
	writer_decimal(w, (uint64_t)c.minute, 2);
	writer_decimal(w, (uint64_t)c.second, 2);
}

/* The form that the options make of the one that the reference gives. */
static enum h02_answer choose(enum h02_ack ack, enum h02_answer form)
{
	switch (ack) {
	case H02_ACK_AUTO:
		return form;
	case H02_ACK_V4: /* a binary frame has no V4 form: its type is no word */
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
	if (!sink->record(sink->ctx, t))
		return CODEC_REFUSED;
	form = choose(link->unit->options->h02_ack, form);
	if (form == H02_ANSWER_V4 && !byte_is_alnum(type.ptr[0]))
		form = H02_ANSWER_R12;
	if (form == H02_ANSWER_V4 && span_is(type, "X"))
		form = H02_ANSWER_R12;
	if (form == H02_ANSWER_NONE)
		return CODEC_OK;
	uint8_t buf[96];
	struct writer w = writer_of(buf, sizeof(buf));
	put_head(&w, link->unit);
	switch (form) {
	case H02_ANSWER_V4:
		writer_text(&w, "V4,");
		writer_span_put(&w, type);
		writer_u8(&w, ',');
		put_clock(&w, link->now_ms, true);
		break;
	case H02_ANSWER_ECHO:
		writer_span_put(&w, type);
		break;
	case H02_ANSWER_R12:
		writer_text(&w, "R12,");
		put_clock(&w, link->now_ms, false);
		break;
	case H02_ANSWER_NONE:
		break;
	}
	writer_u8(&w, '#');
	if (!w.full)
		sink->send(sink->ctx, writer_span(&w));
	return CODEC_OK;
}

enum codec_status h02_encode(
	struct codec_link *link, const struct command *command, struct writer *out, struct command_token *token)
{
	put_head(out, link->unit);
	writer_span_put(out, command->text);
	writer_u8(out, '#');
	struct span rest = command->text;
	size_t word = 0;
	while (word < rest.len && rest.ptr[word] != ',')
		word++;
	command_token_copy(token->word, sizeof(token->word), span_of(rest.ptr, word));
	rest = span_after(rest, word + 1);
	size_t time = 0;
	while (time < rest.len && byte_is_digit(rest.ptr[time]))
		time++;
	bool whole = time == 6 && (time == rest.len || rest.ptr[time] == ',');
	command_token_copy(token->time, sizeof(token->time), span_of(rest.ptr, whole ? time : 0));
	return out->full ? CODEC_NO_ROOM : CODEC_OK;
}
