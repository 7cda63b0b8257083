// SPDX-License-Identifier: MIT
/* jt808_command: commands to a JT/T 808 unit.
 * Uses: nothing else.
 *
 * Pattern of a row: hex digits are bytes; {name:N} is the argument as N bytes, big endian; {name:s} is a text behind
 * a byte with its length; a blank separates and is not sent. */
#include "codecs/jt808/jt808_private.h"

/* --- tables --- */

#define U32 4294967295LL

const struct command_spec jt808_commands[] = {
	{"engine.stop", "cut fuel or power", 0x8105, "{control:1}",
		{COMMAND_NUMBER("control", 0, 255, "", "command word of the maker: 240, or 100", "240")}},
	{"engine.resume", "restore fuel or power", 0x8105, "{control:1}",
		{COMMAND_NUMBER("control", 0, 255, "", "command word of the maker: 241, or 101", "241")}},
	{"report.interval", "default report interval", 0x8103, "01 00000029 04 {interval:4}",
		{COMMAND_NUMBER("interval", 1, 86400, "s", "seconds between two reports", NULL)}},
	{"report.interval.sleep", "report interval asleep", 0x8103, "01 00000027 04 {interval:4}",
		{COMMAND_NUMBER("interval", 1, 86400, "s", "seconds between two reports", NULL)}},
	{"heartbeat.interval", "heartbeat interval", 0x8103, "01 00000001 04 {interval:4}",
		{COMMAND_NUMBER("interval", 1, 86400, "s", "seconds between two heartbeats", NULL)}},
	{"position.request", "one position now", 0x8201, "", {{{0}, NULL, NULL}}},
	{"position.track", "report more often for a while", 0x8202, "{interval:2} {duration:4}",
		{COMMAND_NUMBER("interval", 1, 65535, "s", "seconds between two reports", NULL),
			COMMAND_NUMBER("duration", 1, U32, "s", "for how long", NULL)}},
	{"position.track.stop", "end of position.track", 0x8202, "0000", {{{0}, NULL, NULL}}},
	{"parameters.request", "read all parameters", 0x8104, "", {{{0}, NULL, NULL}}},
	{"parameter.request", "read one parameter", 0x8106, "01 {parameter:4}",
		{COMMAND_NUMBER("parameter", 0, U32, "", "id of the parameter", NULL)}},
	{"parameter.set", "set a parameter of four bytes", 0x8103, "01 {parameter:4} 04 {value:4}",
		{COMMAND_NUMBER("parameter", 0, U32, "", "id of the parameter", NULL),
			COMMAND_NUMBER("value", 0, U32, "", "its value", NULL)}},
	{"parameter.text.set", "set a text parameter", 0x8103, "01 {parameter:4} {value:s}",
		{COMMAND_NUMBER("parameter", 0, U32, "", "id of the parameter", NULL),
			COMMAND_TEXT("value", 0, 200, "its value", NULL, "internet")}},
	{"attributes.request", "model, versions, SIM", 0x8107, "", {{{0}, NULL, NULL}}},
	{"server.set", "server and TCP port", 0x8103, "02 00000013 {host:s} 00000018 04 {port:4}",
		{COMMAND_TEXT("host", 1, 100, "name or address", NULL, "203.0.113.1"),
			COMMAND_NUMBER("port", 1, 65535, "", "TCP port", NULL)}},
	{"apn.set", "access point of the SIM", 0x8103,
		"03 00000010 {apn:s} 00000011 {user:s} 00000012 {password:s}",
		{COMMAND_TEXT("apn", 1, 60, "access point name", NULL, "internet"),
			COMMAND_TEXT("user", 0, 60, "user name", "", "user"),
			COMMAND_TEXT("password", 0, 60, "password", "", "secret")}},
	{"speed.limit", "overspeed alarm", 0x8103, "01 00000055 04 {speed:4}",
		{COMMAND_NUMBER("speed", 1, 300, "km/h", "highest speed", NULL)}},
	{"alarm.clear", "confirm all alarms", 0x8203, "0000 {alarms:4}",
		{COMMAND_NUMBER("alarms", 0, U32, "", "alarm bits", "4294967295")}},
	{"door.lock", "lock the doors", 0x8500, "01", {{{0}, NULL, NULL}}},
	{"door.unlock", "unlock the doors", 0x8500, "00", {{{0}, NULL, NULL}}},
	{"restart", "restart the unit", 0x8105, "04", {{{0}, NULL, NULL}}},
	{"factory.reset", "factory settings; loses the server address", 0x8105, "05", {{{0}, NULL, NULL}}},
	{"power.off", "switch the unit off", 0x8105, "03", {{{0}, NULL, NULL}}},
	{NULL, NULL, 0, NULL, {{{0}, NULL, NULL}}},
};

/* --- path --- */

/* Writes the argument that {name:N} or {name:s} at `p` names; returns what stands behind the brace. */
static const char *put_argument(struct writer *w, const char *p, const struct command *command)
{
	const struct command_arg *arg;
	size_t n = strcspn(p + 1, ":");
	const struct command_value *value = command_value(command, span_of(p + 1, n), &arg);
	char form = p[1 + n + 1];
	if (value == NULL) {
		w->full = true; /* the table names an argument that it does not have */
	} else if (form == 's') {
		writer_u8(w, (uint8_t)value->text.len);
		writer_span_put(w, value->text);
	} else {
		for (int i = form - '0'; i-- > 0;)
			writer_u8(w, (uint8_t)(value->number >> 8 * i));
	}
	return strchr(p, '}') + 1;
}

static void put_pattern(struct writer *w, const struct command *command)
{
	const char *p = command->spec->pattern;
	while (*p != '\0') {
		if (*p == '{') {
			p = put_argument(w, p, command);
		} else if (*p == ' ') {
			p++;
		} else {
			writer_u8(w, (uint8_t)(byte_hex((uint8_t)p[0]) << 4 | byte_hex((uint8_t)p[1])));
			p += 2;
		}
	}
}

/* 0x8300: flags 1, which units that take text commands expect; in 2019 also the kind of text, 1; then the text. */
static void put_text(struct writer *w, const struct codec_unit *unit, struct span text)
{
	writer_u8(w, 1);
	if (((const struct jt808_unit *)(const void *)unit->priv)->version_2019)
		writer_u8(w, 1);
	writer_span_put(w, text);
}

/* 0x8500 of 2019: WORD count, then WORD type 0001 and the BYTE of the older version. */
static void widen_control(struct writer *w)
{
	uint8_t control = w->ptr[0];
	w->len = 0;
	writer_u16(w, 1);
	writer_u16(w, 1);
	writer_u8(w, control);
}

enum codec_status jt808_encode(
	struct codec_link *link, const struct command *command, struct writer *out, struct command_token *token)
{
	uint8_t buf[JT808_BODY_MAX] = {0};
	struct writer body = writer_of(buf, sizeof(buf));
	uint16_t id = command->spec != NULL ? command->spec->message : 0x8300;
	if (command->spec != NULL)
		put_pattern(&body, command);
	else
		put_text(&body, link->unit, command->text);
	if (id == 0x8500 && jt808_unit(link->unit)->version_2019)
		widen_control(&body);
	if (body.full)
		return CODEC_NO_ROOM;
	*token = (struct command_token){.serial = jt808_frame_write(link->unit, id, writer_span(&body), out)};
	struct writer w = writer_of(token->word, sizeof(token->word) - 1);
	writer_id(&w, id, 4);
	return out->full ? CODEC_NO_ROOM : CODEC_OK;
}

/* 7E, message id, the rest of the header, body, check, 7E. */
bool jt808_is_whole(struct span bytes, bool own, struct codec_whole *out)
{
	bool delimited = bytes.len >= JT808_UNESCAPED_MIN + 2 && bytes.ptr[0] == 0x7e &&
			 bytes.ptr[bytes.len - 1] == 0x7e;
	size_t at = delimited ? 1 : 0;
	if (!delimited && (!own || bytes.len < JT808_UNESCAPED_MIN))
		return false;
	*out = (struct codec_whole){span_of(NULL, 0), (uint16_t)(bytes.ptr[at] << 8 | bytes.ptr[at + 1])};
	bool known = delimited;
	for (const struct command_spec *s = jt808_commands; s->name != NULL; s++)
		known |= s->message == out->message;
	return known;
}
