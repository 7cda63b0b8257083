// SPDX-License-Identifier: MIT
/* h02_command: commands to an H02 unit.
 * Uses: nothing else.
 *
 * Pattern of a row: what stands between `*XX,<ident>,` and `#`; {time} is HHMMSS now, {name} an argument. */
#include "codecs/h02/h02_private.h"

/* --- tables --- */

const struct command_spec h02_commands[] = {
	{"engine.stop", "cut fuel or power", 0, "S20,{time},1,1", {{{0}, NULL, NULL}}},
	{"engine.resume", "restore fuel or power", 0, "S20,{time},{form},0",
		{COMMAND_NUMBER(
			"form", 0, 1, "", "0: S20,0,0; 1: S20,1,0, for units that obey only that", "0")}},
	{"report.interval", "report interval", 0, "S71,{time},22,{interval}",
		{COMMAND_NUMBER("interval", 5, 65535, "s", "seconds between two reports", NULL)}},
	{"monitor.interval", "interval of the automatic monitor", 0, "S17,{time},{interval}",
		{COMMAND_NUMBER("interval", 5, 65535, "s", "seconds between two reports", NULL)}},
	{"position.request", "one position now", 0, "D1,{time},0,0", {{{0}, NULL, NULL}}},
	{"position.track", "report at an interval, so many times", 0, "D1,{time},{interval},{count}",
		{COMMAND_NUMBER("interval", 5, 65535, "s", "seconds between two reports", NULL),
			COMMAND_NUMBER("count", 1, 65535, "", "reports", "65535")}},
	{"mileage.request", "read the odometer", 0, "S32,{time},1", {{{0}, NULL, NULL}}},
	{"mileage.reset", "odometer to zero", 0, "S32,{time},0", {{{0}, NULL, NULL}}},
	{"alarm.arm", "arm", 0, "SCF,{time},0,0", {{{0}, NULL, NULL}}},
	{"alarm.disarm", "disarm", 0, "SCF,{time},1,1", {{{0}, NULL, NULL}}},
	{"alarm.clear", "clear the alarms; units do not answer it", 0, "R7,{time}", {{{0}, NULL, NULL}}},
	{"speed.limit", "overspeed alarm", 0, "S14,{time},{max},{min},{mode},{duration}",
		{COMMAND_NUMBER("max", 0, 999, "knots", "highest speed", NULL),
			COMMAND_NUMBER("min", 0, 999, "knots", "lowest speed", "0"),
			COMMAND_NUMBER("mode", 0, 2, "", "0 query, 1 only with a fix, 2 always", "1"),
			COMMAND_NUMBER("duration", 0, 65535, "s", "for how long; 0: off", "5")}},
	{"geofence.set", "define a geofence", 0,
		"S21,{time},{fence},{mode},{ns},{latmin},{latmax},{ew},{lonmin},{lonmax}",
		{COMMAND_NUMBER("fence", 0, 255, "", "number; 0: all", NULL),
			COMMAND_NUMBER("mode", 0, 5, "", "0: cancel", NULL),
			COMMAND_TEXT("ns", 1, 1, "N or S", NULL, "N"),
			COMMAND_TEXT("latmin", 7, 10, "DDMM.mmm", NULL, "5000.000"),
			COMMAND_TEXT("latmax", 7, 10, "DDMM.mmm", NULL, "5010.000"),
			COMMAND_TEXT("ew", 1, 1, "E or W", NULL, "E"),
			COMMAND_TEXT("lonmin", 8, 11, "DDDMM.mmm", NULL, "01420.000"),
			COMMAND_TEXT("lonmax", 8, 11, "DDDMM.mmm", NULL, "01440.000")}},
	{"phone.master.set", "telephone of the master", 0, "S71,{time},01,{number}",
		{COMMAND_TEXT("number", 3, 20, "telephone number", NULL, "+420123456789")}},
	{"phone.sos.set", "telephones for SOS", 0, "S71,{time},02,{number},{number2}",
		{COMMAND_TEXT("number", 3, 20, "first telephone number", NULL, "+420123456789"),
			COMMAND_TEXT("number2", 0, 20, "second one", "", "+420987654321")}},
	{"server.set", "server and port", 0, "S23,{time},{host},{port}",
		{COMMAND_TEXT("host", 1, 100, "name or address", NULL, "203.0.113.1"),
			COMMAND_NUMBER("port", 1, 65535, "", "TCP or UDP port", NULL)}},
	{"apn.set", "access point of the SIM", 0, "S24,{time},{apn},{user},{password}",
		{COMMAND_TEXT("apn", 1, 60, "access point name", NULL, "internet"),
			COMMAND_TEXT("user", 0, 60, "user name", "", "user"),
			COMMAND_TEXT("password", 0, 60, "password", "", "secret")}},
	{"parameters.request", "read the settings", 0, "S26,{time}", {{{0}, NULL, NULL}}},
	{"listen.in", "call the master", 0, "R8,{time}", {{{0}, NULL, NULL}}},
	{"restart", "restart the unit; units do not answer it", 0, "R1,{time}", {{{0}, NULL, NULL}}},
	{"factory.reset", "factory settings; loses the server address", 0, "S25,{time}", {{{0}, NULL, NULL}}},
	{NULL, NULL, 0, NULL, {{{0}, NULL, NULL}}},
};

/* The frames that answer a command besides V4 with its word. Text commands of SMS form are answered by SMS, and some units by a frame
 * whose type is the command's own word: see h02_text.c. */
static const struct {
	const char *word, *type;
} answers[] = {
	{"D1", "V1"}, /* one position now; reports at an interval are confirmed by V4 */
	{"D1", "V6"},
	{"D1", "VP1"},
	{"D1", "NBR"}, /* without a fix */
	{"S26", "LINK"},
};

/* --- path --- */

void h02_tell_answer(struct span type, struct span frame, const struct codec_sink *sink)
{
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		if (!span_is(type, answers[i].type))
			continue;
		struct command_reply reply = {.token = {.serial = -1, .report = true}, .frame = frame};
		span_copy(span_text(answers[i].word), reply.token.word, sizeof(reply.token.word));
		sink->reply(sink->ctx, &reply);
	}
}

static void put_pattern(struct writer *w, const struct command *command, int64_t now_ms)
{
	for (const char *p = command->spec->pattern; *p != '\0'; p++) {
		if (*p != '{') {
			writer_u8(w, (uint8_t)*p);
			continue;
		}
		size_t n = strcspn(p + 1, "}");
		struct span name = span_of(p + 1, n);
		const struct command_arg *arg;
		const struct command_value *value = command_value(command, name, &arg);
		p += 1 + n;
		if (span_is(name, "time"))
			h02_put_clock(w, now_ms);
		else if (value == NULL)
			w->full = true; /* the table names an argument that it does not have */
		else if (arg->param.type == PARAM_INTEGER)
			writer_decimal(w, (uint64_t)value->number, 1);
		else
			writer_span_put(w, value->text);
	}
	while (w->len > 0 && !w->full && w->ptr[w->len - 1] == ',')
		w->len--; /* texts that were not given leave nothing but their commas */
}

/* The word of a command's text, and its second field when that is a time of six digits: the reply repeats both. */
static void read_token(struct span rest, struct command_token *token)
{
	token->report = false;
	size_t word = 0, time = 0;
	while (word < rest.len && rest.ptr[word] != ',')
		word++;
	span_copy(span_of(rest.ptr, word), token->word, sizeof(token->word));
	rest = span_after(rest, word + 1);
	while (time < rest.len && byte_is_digit(rest.ptr[time]))
		time++;
	bool whole = time == 6 && (time == rest.len || rest.ptr[time] == ',');
	span_copy(span_of(rest.ptr, whole ? time : 0), token->time, sizeof(token->time));
	token->serial = -1;
	rest = span_after(rest, whole ? time + 1 : 0);
	bool once = rest.len == 0 || (rest.ptr[0] == '0' && (rest.len == 1 || rest.ptr[1] == ','));
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		if (strcmp(token->word, answers[i].word) == 0)
			token->report = once;
}

enum codec_status h02_encode(
	struct codec_link *link, const struct command *command, struct writer *out, struct command_token *token)
{
	h02_put_head(out, link->unit);
	size_t from = out->len;
	if (command->spec != NULL)
		put_pattern(out, command, link->now_ms);
	else
		writer_span_put(out, command->text);
	read_token(span_of(out->ptr + from, out->len - from), token);
	writer_u8(out, '#');
	return out->full ? CODEC_NO_ROOM : CODEC_OK;
}

/* Cuts off the text in front of the first comma, and the comma; returns that text. */
static struct span take_field(struct span *rest)
{
	size_t n = 0;
	while (n < rest->len && rest->ptr[n] != ',')
		n++;
	struct span field = span_of(rest->ptr, n);
	*rest = span_after(*rest, n < rest->len ? n + 1 : n);
	return field;
}

/* *XX,<ident>,<text>#. The `*` may be missing when the ident is a number; then the `#` must be there, unless `own` is set. */
bool h02_is_whole(struct span bytes, bool own, struct codec_whole *out)
{
	bool star = bytes.len > 0 && bytes.ptr[0] == '*',
	     end = bytes.len > 0 && bytes.ptr[bytes.len - 1] == '#';
	struct span rest = span_after(bytes, star ? 1 : 0), maker = take_field(&rest),
		    ident = take_field(&rest);
	for (size_t i = 0; i < maker.len; i++)
		if (maker.ptr[i] < 'A' || maker.ptr[i] > 'Z')
			return false;
	bool number = ident.len >= 10 && span_all(ident, byte_is_digit);
	if (maker.len != 2 || !(star || (number && (end || own))) || rest.len == 0)
		return false;
	size_t n = 0;
	while (n < rest.len && rest.ptr[n] != '#')
		n++;
	*out = (struct codec_whole){span_of(rest.ptr, n), 0};
	return true;
}
