// SPDX-License-Identifier: MIT
/* jt808_answer: what a JT/T 808 unit is answered, and what it answers to commands.
 * Uses: nothing else.
 * Not: know what messages say.
 *
 *   0x8001   WORD serial and WORD id of what is answered, BYTE result
 *   0x8003   WORD serial of the first part, count (BYTE, in 2019 WORD), then a WORD for each missing part
 *   0x8800   DWORD id of the multimedia data that is here in full
 *   0x8100   WORD serial of the registration, BYTE result, then the authentication code
 *
 * A message in parts is answered when all of it is recorded: a general answer for each part, in the order of their numbers.
 * Some units wait for the answer to the part that they sent last, others for one to each part in the order of sending: both get it.
 * What was refused for good gets a result that makes the unit stop; what may succeed later gets no answer. */
#include "codecs/jt808/jt808_private.h"

#define UDP_FACTOR 3 /* over UDP an answer may be three times as long as what it answers */

/* --- answers --- */

static void send_body(
	struct codec_link *link, uint16_t id, const struct writer *body, const struct codec_sink *sink)
{
	uint8_t buf[JT808_FRAME_MAX];
	struct writer w = writer_of(buf, sizeof(buf));
	jt808_frame_write(link->unit, id, writer_span(body), &w);
	if (!w.full && !body->full)
		sink->send(sink->ctx, writer_span(&w));
}

static void send_general(struct codec_link *link, const struct jt808_message *m, enum jt808_result result,
	const struct codec_sink *sink)
{
	uint8_t buf[8];
	struct writer w = writer_of(buf, sizeof(buf));
	writer_u16(&w, m->serial);
	writer_u16(&w, m->id);
	writer_u8(&w, (uint8_t)result);
	send_body(link, 0x8001, &w, sink);
}

static void send_registration(
	struct codec_link *link, const struct jt808_message *m, const struct codec_sink *sink)
{
	uint8_t buf[JT808_BODY_MAX];
	struct writer w = writer_of(buf, sizeof(buf));
	const struct jt808_options *o = link->unit->options;
	bool accept = o == NULL || o->registration == JT808_REGISTER_ACCEPT;
	writer_u16(&w, m->serial);
	writer_u8(&w, accept ? 0 : 4); /* 4: no such terminal */
	if (accept)
		writer_text(&w, o == NULL || o->auth_code[0] == '\0' ? link->unit->ident : o->auth_code);
	send_body(link, 0x8100, &w, sink);
}

static uint8_t bcd(int v)
{
	return (uint8_t)(v / 10 * 16 + v % 10);
}

static void send_time(struct codec_link *link, bool vendor, const struct codec_sink *sink)
{
	uint8_t buf[8];
	struct writer w = writer_of(buf, sizeof(buf));
	struct calendar c = calendar_of(link->now_ms / 1000);
	if (vendor)
		writer_u16(&w, (uint16_t)c.year);
	else
		writer_u8(&w, bcd(c.year % 100));
	const int rest[] = {c.month, c.day, c.hour, c.minute, c.second};
	for (size_t i = 0; i < 5; i++)
		writer_u8(&w, vendor ? (uint8_t)rest[i] : bcd(rest[i]));
	if (vendor)
		writer_u8(&w, 0);
	send_body(link, vendor ? 0x8109 : 0x8004, &w, sink);
}

/* The body of 0x0801 begins with its id. */
static void send_media(struct codec_link *link, const struct jt808_message *m, const struct codec_sink *sink)
{
	uint8_t buf[4];
	struct writer w = writer_of(buf, sizeof(buf));
	writer_span_put(&w, span_part(m->body, 0, 4));
	if (w.len > 0)
		send_body(link, 0x8800, &w, sink);
}

static void send_answer(struct codec_link *link, const struct jt808_message *m, enum jt808_answer answer,
	enum jt808_result result, const struct codec_sink *sink)
{
	switch (answer) {
	case JT808_ANSWER_NONE:
		return;
	case JT808_ANSWER_GENERAL:
		send_general(link, m, result, sink);
		return;
	case JT808_ANSWER_MEDIA:
		send_general(link, m, result, sink);
		send_media(link, m, sink);
		return;
	case JT808_ANSWER_REGISTRATION:
		send_registration(link, m, sink);
		return;
	case JT808_ANSWER_TIME:
	case JT808_ANSWER_VENDOR_TIME:
		send_time(link, answer == JT808_ANSWER_VENDOR_TIME, sink);
		return;
	}
}

static enum jt808_result result_of(enum codec_status status)
{
	if (status == CODEC_OK)
		return JT808_RESULT_OK;
	if (status == CODEC_UNSUPPORTED || status == CODEC_OVERSIZE || status == CODEC_ENCRYPTED)
		return JT808_RESULT_UNSUPPORTED;
	return JT808_RESULT_WRONG; /* resent, it would be refused again */
}

void jt808_answer(struct codec_link *link, const struct jt808_message *m, const uint16_t *serials,
	enum jt808_answer answer, enum codec_status status, const struct codec_sink *sink)
{
	bool taken = status == CODEC_OK || status == CODEC_UNSUPPORTED;
	if (answer != JT808_ANSWER_NONE && !taken)
		answer = JT808_ANSWER_GENERAL;
	if (serials == NULL) {
		send_answer(link, m, answer, result_of(status), sink);
		return;
	}
	bool media = answer == JT808_ANSWER_MEDIA; /* behind the answers to the parts */
	for (unsigned i = 0; i < m->total; i++) {
		struct jt808_message part = *m;
		bool last = i + 1u == m->number && answer != JT808_ANSWER_NONE && !media;
		part.serial = serials[i];
		send_answer(link, &part, last ? answer : JT808_ANSWER_GENERAL, result_of(status), sink);
	}
	if (media)
		send_media(link, m, sink);
}

void jt808_answer_part(struct codec_link *link, const struct jt808_message *m, enum codec_status status,
	const struct codec_sink *sink)
{
	send_general(link, m, result_of(status), sink);
}

static void put_missing(
	struct writer *w, struct codec_unit *unit, const struct codec_parts *parts, size_t count)
{
	writer_u16(w, parts->first_serial);
	if (jt808_unit(unit)->version_2019)
		writer_u16(w, (uint16_t)count);
	else
		writer_u8(w, (uint8_t)count);
	for (size_t i = 0; i < count; i++)
		writer_u16(w, parts->missing[i]);
}

void jt808_ask_parts(struct codec_link *link, const struct codec_parts *parts, struct writer *out)
{
	uint8_t buf[JT808_BODY_MAX];
	struct writer w = writer_of(buf, sizeof(buf));
	put_missing(&w, link->unit, parts, parts->missing_count);
	jt808_frame_write(link->unit, 0x8003, writer_span(&w), out);
}

void jt808_answer_missing(struct codec_link *link, const struct codec_parts *parts, size_t frame_len,
	const struct codec_sink *sink)
{
	/* most bytes besides the list: header of 2019, serial and count, check and delimiters; and escapes may double them all */
	enum { AROUND = 17 + 4 + 3 };
	uint8_t buf[JT808_BODY_MAX];
	struct writer w = writer_of(buf, sizeof(buf));
	size_t bytes = frame_len * UDP_FACTOR / 2, most = bytes > AROUND ? (bytes - AROUND) / 2 : 0;
	size_t count = parts->missing_count < most ? parts->missing_count : most;
	if (count == 0)
		return;
	put_missing(&w, link->unit, parts, count);
	send_body(link, 0x8003, &w, sink);
}

/* --- replies to our commands --- */

/* The messages that answer a command, besides the general 0x0001. Where a message answers several, its serial number tells which; the
 * reply names the first. */
static const struct {
	uint16_t message, command;
	bool has_serial; /* the body begins with the serial number of the command */
	bool always; /* the standard wants it: a general answer before it is a receipt; else that is the end, for nothing may follow */
} replies[] = {
	{0x0104, 0x8104, true, true},
	{0x0104, 0x8106, true, true},
	{0x0107, 0x8107, false, true},
	{0x0201, 0x8201, true, true},
	{0x0500, 0x8500, true, true},
	{0x0701, 0x8300, false, false},
	{0x1300, 0x8300, true, false},
	{0x6006, 0x8300, false, false},
};
#define REPLY_COUNT (sizeof(replies) / sizeof(replies[0]))

static struct span result_name(uint8_t result)
{
	static const char *const names[] = {"ok", "failure", "wrong", "unsupported"};
	return span_text(result < 4 ? names[result] : "unknown result");
}

static void tell(struct command_reply *reply, uint16_t command, const struct codec_sink *sink)
{
	struct writer w = writer_of(reply->token.word, sizeof(reply->token.word) - 1);
	writer_id(&w, command, 4);
	sink->reply(sink->ctx, reply);
}

/* 0x0001: WORD serial and WORD id of the command, BYTE result */
static void tell_general(
	const struct jt808_message *m, struct command_reply *reply, const struct codec_sink *sink)
{
	struct reader r = reader_of(m->body);
	reply->token.serial = reader_u16(&r);
	uint16_t command = reader_u16(&r);
	uint8_t result = reader_u8(&r);
	for (size_t i = 0; i < REPLY_COUNT; i++)
		reply->receipt |=
			result == JT808_RESULT_OK && replies[i].command == command && replies[i].always;
	reply->result = result_name(result);
	tell(reply, command, sink);
}

void jt808_tell_reply(const struct jt808_message *m, const struct telemetry *t, struct span frame,
	const struct codec_sink *sink)
{
	struct command_reply reply = {.frame = frame, .token.serial = -1};
	if (telemetry_has(t, TM_COMMAND_REPLY))
		reply.result = t->value[TM_COMMAND_REPLY].text;
	if (m->id == 0x0001) {
		tell_general(m, &reply, sink);
		return;
	}
	for (size_t i = 0; i < REPLY_COUNT; i++) {
		if (replies[i].message != m->id)
			continue;
		struct reader r = reader_of(m->body);
		if (replies[i].has_serial)
			reply.token.serial = reader_u16(&r);
		tell(&reply, replies[i].command, sink);
		return;
	}
}
