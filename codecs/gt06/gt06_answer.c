// SPDX-License-Identifier: MIT
/* gt06_answer: what a GT06 unit is answered, and what it answers to commands.
 * Uses: nothing else.
 * Not: know what messages say.
 *
 *   78 78 | 05 | type | serial number | check code | 0D 0A             type and serial number are those of the message
 *   79 79 | 00 05 | the same
 *   78 78 | 0B | 8A | date 6, binary, UTC | serial number | check code | 0D 0A
 *   78 78 | 00 | type | date 6, as it came | 0D 0A                     to the short WiFi form
 *
 * A unit sends again what was not answered, or with another serial number. */
#include "codecs/gt06/gt06_private.h"

enum { ANSWER_MOST = 24, DATE_AT = 2, DATE_BYTES = 6 };

static void put_time(struct writer *w, int64_t now_ms)
{
	struct calendar c = calendar_of(now_ms / 1000);
	const int date[] = {c.year % 100, c.month, c.day, c.hour, c.minute, c.second};
	for (size_t i = 0; i < DATE_BYTES; i++)
		writer_u8(w, (uint8_t)date[i]);
}

void gt06_answer(const struct codec_link *link, const struct gt06_message *m, enum gt06_answer answer,
	const struct codec_sink *sink)
{
	uint8_t buf[ANSWER_MOST], date[DATE_BYTES];
	struct writer w = writer_of(buf, sizeof(buf)), content = writer_of(date, sizeof(date));
	switch (answer) {
	case GT06_ANSWER_NONE:
		return;
	case GT06_ANSWER_WIFI:
		writer_text(&w, "xx");
		writer_u8(&w, 0);
		writer_u8(&w, m->type);
		writer_span_put(&w, span_part(m->content, DATE_AT, DATE_BYTES));
		writer_text(&w, "\r\n");
		break;
	case GT06_ANSWER_TIME:
		put_time(&content, link->now_ms);
		gt06_frame_write(&w, GT06_SHORT, m->type, writer_span(&content), m->serial);
		break;
	case GT06_ANSWER_SHORT:
		gt06_frame_write(&w, GT06_SHORT, m->type, span_of(NULL, 0), m->serial);
		break;
	case GT06_ANSWER_LONG:
		gt06_frame_write(&w, GT06_LONG, m->type, span_of(NULL, 0), m->serial);
		break;
	}
	if (!w.full)
		sink->send(sink->ctx, writer_span(&w));
}

/* Some firmware returns zeros, or a number of its own: then it answers the oldest command that waits. */
void gt06_tell_reply(const struct telemetry *t, struct span frame, const struct codec_sink *sink)
{
	int64_t flag = telemetry_number(t, TM_REPLY_SEQNUM);
	struct command_reply reply = {.frame = frame, .token = {.serial = -1, .any_serial = true}};
	if (flag > 0 && flag <= INT32_MAX)
		reply.token.serial = (int32_t)flag;
	if (telemetry_has(t, TM_COMMAND_REPLY))
		reply.result = t->value[TM_COMMAND_REPLY].text;
	sink->reply(sink->ctx, &reply);
}
