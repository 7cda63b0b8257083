// SPDX-License-Identifier: MIT
/* gt06_command: commands to a GT06 unit: its SMS texts, sent over the connection.
 * Uses: nothing else.
 *
 *   78 78 | length 1 | 80 | 4 + length of the text 1 | flag 4 | text | [language 2] | serial 2 | check 2 | 0D 0A
 *
 * The reply repeats the flag. Flags are made from the time, so that none comes again while its command waits, not even after the unit
 * or the bridge was started anew.
 *
 * Pattern of a row: the text without its `#`. {name} is the argument, {name:60} the argument divided by 60 and rounded up, {kind} 0 when
 * the argument `host` is an address and 1 when it is a name. What stands in [ ] is left out when its first argument is 0 or empty. Several
 * texts stand behind each other with a `|` between: the first whose condition holds is sent; `form=2?` is true when the argument is 2,
 * `password?` when it is given. */
#include "codecs/gt06/gt06_private.h"

enum { COMMAND = 0x80, FLAG_BYTES = 4, TEXT_AT = 9 };

/* --- tables --- */

#define FORM(most, help) COMMAND_NUMBER("form", 1, most, "", help, "1")

const struct command_spec gt06_commands[] = {
	{"engine.stop", "cut fuel or power; refused without a fix or above 20 km/h", 0,
		"password?DYD,{password}|form=2?DYD|RELAY,1",
		{COMMAND_TEXT("password", 0, 20, "for units that want DYD,<password>", "", "123456"),
			FORM(2, "1: RELAY,1; 2: DYD")}},
	{"engine.resume", "restore fuel or power", 0, "password?HFYD,{password}|form=2?HFYD|RELAY,0",
		{COMMAND_TEXT("password", 0, 20, "for units that want HFYD,<password>", "", "123456"),
			FORM(2, "1: RELAY,0; 2: HFYD")}},
	{"report.interval", "report interval", 0, "TIMER,{interval}[,{off}]",
		{COMMAND_NUMBER("interval", 5, 18000, "s", "seconds between two reports", NULL),
			COMMAND_NUMBER(
				"off", 0, 18000, "s", "the same while the ignition is off; 0: not set", "0")}},
	{"heartbeat.interval", "heartbeat interval", 0, "HBT,{interval:60}[,{off:60}]",
		{COMMAND_NUMBER("interval", 1, 18000, "s",
			 "seconds between two heartbeats; sent as minutes, rounded up", NULL),
			COMMAND_NUMBER(
				"off", 0, 18000, "s", "the same while the ignition is off; 0: not set", "0")}},
	{"position.request", "one position now", 0, "form=2?LJDW|form=3?DWXX|WHERE",
		{FORM(3, "1: WHERE; 2: LJDW; 3: DWXX")}},
	{"parameters.request", "read the settings", 0, "PARAM", {{{0}, NULL, NULL}}},
	{"status.request", "read battery, network, GNSS, ignition", 0, "STATUS", {{{0}, NULL, NULL}}},
	{"version.request", "read the firmware version", 0, "VERSION", {{{0}, NULL, NULL}}},
	{"server.request", "read the server", 0, "form=2?GPRSSET|SERVER", {FORM(2, "1: SERVER; 2: GPRSSET")}},
	{"server.set", "server and port", 0, "SERVER,{kind},{host},{port},{udp}",
		{COMMAND_TEXT("host", 1, 100, "name or address", NULL, "203.0.113.1"),
			COMMAND_NUMBER("port", 1, 65535, "", "TCP or UDP port", NULL),
			COMMAND_NUMBER("udp", 0, 1, "", "0: TCP; 1: UDP", "0")}},
	{"apn.set", "access point of the SIM", 0, "user?APN,{apn},{user},{password}|APN,{apn}",
		{COMMAND_TEXT("apn", 1, 60, "access point name", NULL, "internet"),
			COMMAND_TEXT("user", 0, 60, "user name", "", "user"),
			COMMAND_TEXT("password", 0, 60, "password", "", "secret")}},
	{"timezone.set", "time zone of the unit's times", 0, "GMT,{direction},{hours},{minutes}",
		{COMMAND_TEXT("direction", 1, 1, "E or W", "E", "E"),
			COMMAND_NUMBER("hours", 0, 12, "h", "hours from Greenwich", "0"),
			COMMAND_NUMBER("minutes", 0, 45, "min", "0, 15, 30 or 45", "0")}},
	{"speed.limit", "overspeed alarm", 0, "speed=0?SPEED,OFF|SPEED,ON,{duration},{speed},{way}",
		{COMMAND_NUMBER("speed", 0, 255, "km/h", "highest speed; 0: off", NULL),
			COMMAND_NUMBER("duration", 5, 600, "s", "for how long", "10"),
			COMMAND_NUMBER("way", 0, 1, "", "0: to the server; 1: also by SMS", "0")}},
	{"geofence.set", "define a round geofence", 0,
		"mode=1?FENCE,B,ON,0,{latitude},{longitude},{radius},IN,{way}|"
		"mode=2?FENCE,B,ON,0,{latitude},{longitude},{radius},OUT,{way}|"
		"FENCE,B,ON,0,{latitude},{longitude},{radius},IN or OUT,{way}",
		{COMMAND_TEXT("latitude", 1, 12, "of its centre, in degrees", NULL, "50.0755"),
			COMMAND_TEXT("longitude", 1, 12, "of its centre, in degrees", NULL, "14.4378"),
			COMMAND_NUMBER("radius", 1, 9999, "", "in the unit's own measure, mostly 100 m", NULL),
			COMMAND_NUMBER("mode", 1, 3, "", "1: alarm on entering; 2: on leaving; 3: both", "3"),
			COMMAND_NUMBER("way", 0, 1, "", "0: to the server; 1: also by SMS", "0")}},
	{"phone.sos.set", "telephones for SOS", 0, "SOS,A,{number}[,{number2}][,{number3}]",
		{COMMAND_TEXT("number", 3, 20, "first telephone number", NULL, "+420123456789"),
			COMMAND_TEXT("number2", 0, 20, "second one", "", "+420987654321"),
			COMMAND_TEXT("number3", 0, 20, "third one", "", "+420555555555")}},
	{"phone.master.set", "telephone of the master", 0, "CENTER,A,{number}",
		{COMMAND_TEXT("number", 3, 20, "telephone number", NULL, "+420123456789")}},
	{"alarm.arm", "arm; many units take it by SMS only", 0, "111", {{{0}, NULL, NULL}}},
	{"alarm.disarm", "disarm; many units take it by SMS only", 0, "000", {{{0}, NULL, NULL}}},
	{"mileage.request", "read the odometer", 0, "MILEAGE", {{{0}, NULL, NULL}}},
	{"mileage.reset", "odometer to zero", 0, "form=2?MILEAGE,0|MILEAGE,ON,0",
		{FORM(2, "1: MILEAGE,ON,0; 2: MILEAGE,0")}},
	{"listen.in", "call the master", 0, "MONITOR", {{{0}, NULL, NULL}}},
	{"restart", "restart the unit", 0, "RESET", {{{0}, NULL, NULL}}},
	{"factory.reset", "factory settings; most units keep the server address", 0, "FACTORY",
		{{{0}, NULL, NULL}}},
	{NULL, NULL, 0, NULL, {{{0}, NULL, NULL}}},
};

/* --- patterns --- */

/* The argument whose name stands from `from` on, up to one of `ends`; NULL: the table names one that it does not have. */
static const struct command_value *find_value(
	const struct command *command, const char *from, const char *ends, const struct command_arg **arg)
{
	return command_value(command, span_of(from, strcspn(from, ends)), arg);
}

static bool is_set(const struct command_value *value, const struct command_arg *arg)
{
	return arg->param.type == PARAM_INTEGER ? value->number != 0 : value->text.len > 0;
}

static bool is_address_byte(uint8_t c)
{
	return byte_is_digit(c) || c == '.' || c == ':';
}

static int64_t number_at(const char *p)
{
	int64_t v = 0;
	for (; byte_is_digit((uint8_t)*p); p++)
		v = v * 10 + (*p - '0');
	return v;
}

static void put_argument(struct writer *w, const char *name, const struct command *command)
{
	const struct command_arg *arg;
	bool kind = strncmp(name, "kind}", 5) == 0;
	const struct command_value *value = find_value(command, kind ? "host}" : name, ":}", &arg);
	const char *divisor = name + strcspn(name, ":}");
	if (value == NULL) {
		w->full = true;
	} else if (kind) {
		writer_u8(w, span_all(value->text, is_address_byte) ? '0' : '1');
	} else if (arg->param.type == PARAM_TEXT) {
		writer_span_put(w, value->text);
	} else {
		int64_t by = *divisor == ':' ? number_at(divisor + 1) : 1;
		writer_decimal(w, (uint64_t)((value->number + by - 1) / by), 1);
	}
}

/* Behind the condition of the first text whose condition holds. The last one has none. */
static const char *choose(const struct command *command)
{
	const char *p = command->spec->pattern;
	for (;;) {
		const struct command_arg *arg;
		const char *end = p + strcspn(p, "|"), *question = p + strcspn(p, "?|");
		if (*question != '?')
			return p;
		const struct command_value *value = find_value(command, p, "=?", &arg);
		const char *equals = p + strcspn(p, "=?");
		bool holds = value != NULL &&
			     (*equals == '=' ? value->number == number_at(equals + 1) : is_set(value, arg));
		if (holds)
			return question + 1;
		p = end + 1;
	}
}

static void put_pattern(struct writer *w, const struct command *command)
{
	for (const char *p = choose(command); *p != '\0' && *p != '|'; p++) {
		const struct command_arg *arg;
		if (*p == '{') {
			put_argument(w, p + 1, command);
			p += strcspn(p, "}");
		} else if (*p == '[') {
			const struct command_value *value =
				find_value(command, p + strcspn(p, "{") + 1, ":}", &arg);
			if (value == NULL || !is_set(value, arg))
				p += strcspn(p, "]");
		} else if (*p != ']') {
			writer_u8(w, (uint8_t)*p);
		}
	}
}

/* --- path --- */

/* Not 0, and not one that was given to the unit on this connection. Ten a second are enough: commands go one by one. */
static uint32_t next_flag(struct gt06_unit *u, int64_t now_ms)
{
	uint32_t flag = (uint32_t)(now_ms / 100 % INT32_MAX) + 1;
	if (flag <= u->flag && u->flag - flag < INT32_MAX / 2)
		flag = u->flag % INT32_MAX + 1;
	u->flag = flag;
	return flag;
}

static void put_word(struct command_token *token, struct span text)
{
	size_t n = 0;
	while (n < text.len && text.ptr[n] != ',' && text.ptr[n] != '#')
		n++;
	span_copy(span_of(text.ptr, n), token->word, sizeof(token->word));
}

enum codec_status gt06_encode(
	struct codec_link *link, const struct command *command, struct writer *out, struct command_token *token)
{
	uint8_t buf[256];
	struct writer w = writer_of(buf, sizeof(buf) - GT06_LENGTH_MIN);
	struct gt06_unit *u = (struct gt06_unit *)(void *)link->unit->priv;
	const struct gt06_options *options = link->unit->options;
	uint32_t flag = next_flag(u, link->now_ms);
	writer_u8(&w, 0);
	writer_u32(&w, flag);
	size_t from = w.len;
	if (command->spec != NULL)
		put_pattern(&w, command);
	else
		writer_span_put(&w, command->text);
	if (w.full || w.len == from)
		return CODEC_NO_ROOM;
	if (buf[w.len - 1] != '#')
		writer_u8(&w, '#');
	buf[0] = (uint8_t)(w.len - 1);
	*token = (struct command_token){.serial = (int32_t)flag};
	put_word(token, span_of(buf + from, w.len - from));
	if (options != NULL && options->language != GT06_LANGUAGE_NONE)
		writer_u16(&w, (uint16_t)options->language);
	if (w.full)
		return CODEC_NO_ROOM;
	gt06_frame_write(out, GT06_SHORT, COMMAND, writer_span(&w), ++u->serial);
	return out->full ? CODEC_NO_ROOM : CODEC_OK;
}

/* 78 78, length, 80, length of flag and text, flag, text, … 0D 0A. */
bool gt06_is_whole(struct span bytes, bool own, struct codec_whole *out)
{
	(void)own;
	const uint8_t *b = bytes.ptr;
	if (bytes.len < TEXT_AT + 1 || b[0] != 0x78 || b[1] != 0x78 || b[3] != COMMAND || b[4] < FLAG_BYTES)
		return false;
	*out = (struct codec_whole){.text = span_part(bytes, TEXT_AT, (size_t)b[4] - FLAG_BYTES)};
	return true;
}
