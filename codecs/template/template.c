// SPDX-License-Identifier: MIT
/* template: a small protocol, to copy from when a new one is added. The program does not speak it; the tests build it and run it.
 * Uses: codecs, codecs/record.
 * Not: allocate, log, ask the time, keep anything outside of link->priv and unit->priv.
 *
 * To add a protocol: copy this folder and rename it, write one line in codecs.c, and replace what stands here step by step, with the
 * vectors first. Write the layout of a frame here, as this comment does, and where it is described.
 *
 *   !T,<ident>,P,<YYMMDDhhmmss>,<A|V>,<latitude>,<longitude>,<km/h>,<alarms>*<CC>\n     a position; alarms: 1 SOS, 2 low battery
 *   !T,<ident>,H*<CC>\n                                                                 a heartbeat
 *   !T,<ident>,R,<word>,<result>*<CC>\n                                                 the answer to a command
 *   !S,<ident>,A*<CC>\n   from the server: taken          !S,<ident>,C,<word>[,<value>]*<CC>\n   a command
 *
 * Coordinates are decimal degrees with up to seven decimals, south and west negative. CC is the exclusive or of all bytes
 * between `!` and `*`, in hex. */
#include "codecs/codec.h"
#include "codecs/record/mark.h"
#include "codecs/record/calendar.h"

#define FRAME_MAX 160
#define FIELDS_MAX 10

/* What can be set: the section [template] of the configuration, and in the units file what is PER_UNIT. The program reads the rows,
 * fills in the struct and gives it as link->unit->options; nothing else has to be written for an option. */
struct template_options {
	int64_t ack;
};
enum { ACK_ALL = 0, ACK_POSITIONS };
static const char *const acks[] = {[ACK_ALL] = "all", [ACK_POSITIONS] = "positions", NULL};
static const struct option_row option_rows[] = {
	{"ack", OPTION_CHOICE, OPTION_RELOAD | OPTION_PER_UNIT, offsetof(struct template_options, ack), "all",
		0, 0, acks, "Which frames are acknowledged: all of them, or only positions."},
	{.key = NULL},
};

/* --- step 1: does a frame start here, and where does it end? --- */

static enum codec_status template_sniff(struct span head)
{
	static const char start[] = "!T,";
	size_t len = head.len < sizeof(start) - 1 ? head.len : sizeof(start) - 1;
	if (memcmp(head.ptr, start, len) != 0)
		return CODEC_NOT_MINE;
	return len == sizeof(start) - 1 ? CODEC_OK : CODEC_MORE;
}

/* A frame ends at its line feed. What is no start is noise; a start that finds no end is dropped with a reason, so that it is
 * counted, and the search goes on behind it. */
static enum codec_status template_frame(struct codec_link *link, struct span in, struct frame *out)
{
	bool final = link->quiet_ms == CODEC_QUIET_FINAL;
	enum codec_status start = CODEC_NOT_MINE;
	for (out->skip = 0; out->skip < in.len; out->skip++)
		if ((start = template_sniff(span_after(in, out->skip))) != CODEC_NOT_MINE)
			break;
	struct span head = span_after(in, out->skip);
	if (start == CODEC_NOT_MINE || (start == CODEC_MORE && !final))
		return CODEC_MORE;
	size_t most = head.len < FRAME_MAX ? head.len : FRAME_MAX;
	const uint8_t *end = memchr(head.ptr, '\n', most), *next = memchr(head.ptr + 1, '!', most - 1);
	if (next != NULL && (end == NULL || next < end)) { /* the end of this one is lost */
		out->len = (size_t)(next - head.ptr);
		return CODEC_NO_TERMINATOR;
	}
	out->len = end != NULL ? (size_t)(end - head.ptr) + 1 : most;
	if (end != NULL)
		return CODEC_OK;
	if (most == FRAME_MAX)
		return CODEC_OVERSIZE;
	return final ? CODEC_TRUNCATED : CODEC_MORE;
}

/* --- step 2: what both directions share --- */

static uint8_t check_of(struct span bytes)
{
	uint8_t check = 0;
	for (size_t i = 0; i < bytes.len; i++)
		check ^= bytes.ptr[i];
	return check;
}

/* Between `!` and `*`; empty when the check code is missing or wrong. */
static struct span body_of(struct span frame)
{
	const size_t around = sizeof("!*CC\n") - 1;
	if (frame.len <= around || frame.ptr[frame.len - 4] != '*')
		return span_of(NULL, 0);
	struct span body = span_of(frame.ptr + 1, frame.len - around);
	int high = byte_hex(frame.ptr[frame.len - 3]), low = byte_hex(frame.ptr[frame.len - 2]);
	return high >= 0 && low >= 0 && (high << 4 | low) == check_of(body) ? body : span_of(NULL, 0);
}

/* Writes `!`, the body that stands behind `from`, the check code and the end. */
static void close_frame(struct writer *out, size_t from)
{
	uint8_t check = out->full ? 0 : check_of(span_of(out->ptr + from, out->len - from));
	writer_text(out, "*");
	writer_hex(out, span_of(&check, 1));
	writer_text(out, "\n");
}

static size_t split(struct span body, struct span field[FIELDS_MAX])
{
	size_t n = 0;
	while (n < FIELDS_MAX) {
		const uint8_t *comma = body.len > 0 ? memchr(body.ptr, ',', body.len) : NULL;
		size_t len = comma != NULL ? (size_t)(comma - body.ptr) : body.len;
		field[n++] = span_of(body.ptr, len);
		if (comma == NULL)
			return n;
		body = span_after(body, len + 1);
	}
	return FIELDS_MAX + 1;
}

/* A decimal number with at most `decimals` decimals, as an integer with that scale. */
static bool number(struct span text, unsigned decimals, int64_t *out)
{
	bool minus = text.len > 0 && text.ptr[0] == '-', point = false;
	int64_t value = 0;
	unsigned digits = 0, behind = 0;
	for (size_t i = minus; i < text.len; i++) {
		uint8_t c = text.ptr[i];
		if (c == '.' && !point && digits > 0) {
			point = true;
			continue;
		}
		if (!byte_is_digit(c) || ++digits > 12 || (point && ++behind > decimals))
			return false;
		value = value * 10 + (c - '0');
	}
	for (; behind < decimals; behind++)
		value *= 10;
	*out = minus ? -value : value;
	return digits > 0;
}

/* --- step 3: what a frame means --- */

static void set_time(struct telemetry *t, struct span text)
{
	int64_t part[6], unix_s;
	for (size_t i = 0; i < 6; i++)
		if (text.len != 12 || !number(span_of(text.ptr + 2 * i, 2), 0, &part[i]))
			return; /* no date: the bridge says so in the record */
	struct calendar c = {
		2000 + (int)part[0], (int)part[1], (int)part[2], (int)part[3], (int)part[4], (int)part[5]};
	if (calendar_unix(&c, &unix_s))
		telemetry_set(t, TM_TIMESTAMP, unix_s * 1000);
	mark(t, text, TM_TIMESTAMP); /* which bytes are what, for tracker2mqtt-decode --explain */
}

/* !T,ident,P,time,A,latitude,longitude,speed,alarms */
static enum codec_status set_position(struct telemetry *t, const struct span field[FIELDS_MAX], size_t fields)
{
	int64_t latitude, longitude, speed, alarms;
	if (fields != 9 || field[4].len != 1 || !number(field[5], 7, &latitude) ||
		!number(field[6], 7, &longitude) || !number(field[7], 0, &speed) ||
		!number(field[8], 0, &alarms))
		return CODEC_BAD_FIELDS;
	static const enum telemetry_field marks[] = {
		TM_POSITION_VALID, TM_LATITUDE, TM_LONGITUDE, TM_SPEED, TM_SOS_ALARM};
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		mark(t, field[4 + i], marks[i]);
	mark(t, field[8], TM_BATTERY_LOW_ALARM);
	bool valid = field[4].ptr[0] == 'A';
	set_time(t, field[3]);
	telemetry_set(t, TM_POSITION_VALID, valid);
	telemetry_set(t, TM_SPEED, speed * 1000); /* see the scale of each parameter in telemetry_fields.h */
	telemetry_set(t, TM_SOS_ALARM, alarms & 1);
	telemetry_set(t, TM_BATTERY_LOW_ALARM, alarms >> 1 & 1);
	return codec_set_place(t, valid, latitude, longitude);
}

static void reply(const struct span field[FIELDS_MAX], struct span frame, const struct codec_sink *sink)
{
	struct command_reply r = {.token = {.serial = -1}, .result = field[4], .frame = frame};
	span_copy(field[3], r.token.word, sizeof(r.token.word));
	sink->reply(sink->ctx, &r);
}

/* The order matters: identify, record, and only then what is to be sent, for it may leave only when the record is stored. */
static enum codec_status template_decode(
	struct codec_link *link, struct span frame, struct telemetry *scratch, const struct codec_sink *sink)
{
	struct span field[FIELDS_MAX], body = body_of(frame);
	mark_name(scratch, span_part(frame, 0, 2), "start");
	if (body.len == 0)
		return CODEC_BAD_CHECKSUM;
	size_t fields = split(body, field);
	if (fields < 3 || fields > FIELDS_MAX || field[2].len != 1)
		return CODEC_BAD_FIELDS;
	struct span ident = field[1];
	if (ident.len < 1 || ident.len > CODEC_IDENT_MAX || !span_all(ident, byte_is_alnum))
		return CODEC_BAD_ID;
	uint8_t type = field[2].ptr[0];
	mark(scratch, ident, TM_IDENT);
	mark_name(scratch, span_of(body.ptr + body.len, 4), "check code and end");
	if (type != 'P' && type != 'H' && (type != 'R' || fields != 5))
		return CODEC_UNSUPPORTED;
	telemetry_reset(scratch);
	enum codec_status status = type == 'P' ? set_position(scratch, field, fields) : CODEC_OK;
	if (status != CODEC_OK)
		return status;
	link->unit = sink->identify(sink->ctx, ident);
	if (link->unit == NULL)
		return CODEC_REFUSED;
	telemetry_set_text(scratch, TM_IDENT, ident);
	telemetry_set_text(scratch, TM_MESSAGE_TYPE, field[2]);
	if (!sink->record(sink->ctx, scratch))
		return CODEC_REFUSED;
	if (type == 'R')
		reply(field, frame, sink);
	const struct template_options *options = link->unit->options;
	if (type == 'R' || (options->ack == ACK_POSITIONS && type != 'P'))
		return CODEC_OK;
	uint8_t bytes[FRAME_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	writer_text(&w, "!S,");
	writer_bytes(&w, ident.ptr, ident.len);
	writer_text(&w, ",A");
	close_frame(&w, 1);
	sink->send(sink->ctx, writer_span(&w));
	return CODEC_OK;
}

/* --- step 4: commands --- */

static const struct command_spec commands[] = {
	{"position.request", "one position now", 1, "POS", {{{0}, NULL, NULL}}},
	{"report.interval", "report interval", 2, "INT,{interval}",
		{COMMAND_NUMBER("interval", 5, 65535, "s", "seconds between two reports", NULL)}},
	{.name = NULL},
};

static bool template_is_whole(struct span bytes, bool own, struct codec_whole *out)
{
	(void)own;
	*out = (struct codec_whole){0};
	return bytes.len > 3 && memcmp(bytes.ptr, "!S,", 3) == 0;
}

static enum codec_status template_encode(
	struct codec_link *link, const struct command *command, struct writer *out, struct command_token *token)
{
	size_t from = out->len + 1;
	struct span text = command->spec != NULL ? span_text(command->spec->pattern) : command->text;
	const uint8_t *comma = text.len > 0 ? memchr(text.ptr, ',', text.len) : NULL;
	struct span word = span_of(text.ptr, comma != NULL ? (size_t)(comma - text.ptr) : text.len);
	writer_text(out, "!S,");
	writer_text(out, link->unit->ident);
	writer_text(out, ",C,");
	writer_bytes(out, word.ptr, word.len);
	if (command->spec == NULL) {
		writer_bytes(out, text.ptr + word.len, text.len - word.len);
	} else if (comma != NULL) { /* the only argument of these commands is a number */
		writer_text(out, ",");
		writer_decimal(out, (uint64_t)command->values[0].number, 1);
	}
	close_frame(out, from);
	*token = (struct command_token){.serial = -1};
	span_copy(word, token->word, sizeof(token->word));
	return out->full ? CODEC_NO_ROOM : CODEC_OK;
}

/* --- step 5: the row of the table --- */

const struct codec codec_template = {
	.name = "template",
	.label = "template",
	.title = "a protocol to copy from",
	.max_frame = FRAME_MAX,
	.max_command = FRAME_MAX - 40,
	.commands = commands,
	.options = option_rows,
	.options_size = sizeof(struct template_options),
	.marks = {.frame = "!*", .field = ", "},
	.sniff = template_sniff,
	.frame = template_frame,
	.decode = template_decode,
	.is_whole = template_is_whole,
	.encode = template_encode,
};
