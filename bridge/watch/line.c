// SPDX-License-Identifier: MIT
/* line: see line.h. */
#include "bridge/watch/line_private.h"

#include <math.h>
#include <stdlib.h>

#define SINCE_MS 60000

static const struct {
	const char *leaf;   /* below the unit, or below the instance of a bridge */
	const char *word;   /* in the line */
	bool bridge, needs; /* needs: its payload is a document */
} kinds[LINE_KIND_COUNT] = {
	[LINE_POSITION] = {"position", "position", false, true},
	[LINE_TELEMETRY] = {"telemetry", "telemetry", false, true},
	[LINE_ALARM] = {"alarm", "ALARM", false, true},
	[LINE_STATUS] = {"status", "status", false, true},
	[LINE_REQUEST] = {"cmd", "command", false, false},
	[LINE_REPLY] = {"cmd/reply", "command", false, true},
	[LINE_RAW] = {"raw", "raw", false, true},
	[LINE_BRIDGE] = {"status", "status", true, false},
	[LINE_UNKNOWN] = {"unknown", "unknown", true, true},
};

/* The first level of a path, and what stands behind it. */
static struct span level_of(struct span path, struct span *rest)
{
	const uint8_t *slash = path.len > 0 ? memchr(path.ptr, '/', path.len) : NULL;
	*rest = span_of(NULL, 0);
	if (slash == NULL)
		return path;
	size_t len = (size_t)(slash - path.ptr);
	*rest = span_after(path, len + 1);
	return span_part(path, 0, len);
}

enum line_kind line_kind_of(const char *prefix, struct span topic, struct span *name)
{
	size_t before = strlen(prefix);
	*name = topic;
	if (topic.len <= before || memcmp(topic.ptr, prefix, before) != 0 || topic.ptr[before] != '/')
		return LINE_OTHER;
	struct span leaf, first = level_of(span_after(topic, before + 1), &leaf);
	bool bridge = span_is(first, "bridge");
	if (bridge)
		first = level_of(leaf, &leaf);
	for (size_t i = LINE_OTHER + 1; i < LINE_KIND_COUNT; i++) {
		if (kinds[i].bridge != bridge || !span_is(leaf, kinds[i].leaf))
			continue;
		*name = first;
		return (enum line_kind)i;
	}
	return LINE_OTHER;
}

/* Since when, if that is not just now. */
static void write_since(struct pen *pen, const struct sight *sight)
{
	double seconds;
	char text[FACT_TIME_MAX];
	if (!document_number(sight->document, "since", &seconds) || !(fabs(seconds) < 1e11))
		return;
	if (fabs((double)sight->now_ms - seconds * 1000) < SINCE_MS)
		return;
	fact_time((int64_t)(seconds * 1000), sight->now_ms, text);
	fact_of(pen, PAINT_DIM, "since %s", text);
}

static void write_status(struct pen *pen, const struct sight *sight, bool online)
{
	const char *protocol = document_text(sight->document, "protocol"),
		   *reason = document_text(sight->document, "reason"),
		   *transport = document_text(sight->document, "transport"),
		   *peer = document_text(sight->document, "peer");
	if (online && protocol != NULL && transport != NULL && peer != NULL)
		fact_of(pen, PAINT_NONE, "%s over %s from %s", protocol, transport, peer);
	if (!online && reason != NULL && *reason != '\0')
		fact_text(pen, PAINT_NONE, reason);
	write_since(pen, sight);
}

static void write_request(struct pen *pen, const struct sight *sight)
{
	const struct document *d = sight->document;
	const char *text = d != NULL ? document_text(d, "command") : NULL,
		   *id = d != NULL ? document_text(d, "id") : NULL;
	if (text == NULL && d != NULL)
		text = document_text(d, "payload");
	if (text != NULL)
		fact_text(pen, PAINT_ASK, text);
	else
		fact(pen, PAINT_ASK, sight->payload);
	char *args =
		d != NULL ? cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(d->root, "args")) : NULL;
	if (args != NULL)
		fact_text(pen, PAINT_NONE, args);
	cJSON_free(args);
	if (id != NULL)
		fact_of(pen, PAINT_DIM, "id %.100s", id);
	fact_text(pen, PAINT_DIM, sight->retained ? "retained: no bridge takes it" : "asked");
}

static void write_reply(struct pen *pen, const struct sight *sight)
{
	const struct document *d = sight->document;
	const char *command = document_text(d, "command"), *status = document_text(d, "status"),
		   *id = document_text(d, "id"), *result = document_text(d, "result"),
		   *reply = document_text(d, "reply"), *frame = document_text(d, "frame"),
		   *reason = document_text(d, "reason");
	double elapsed;
	if (command != NULL)
		fact_text(pen, PAINT_ASK, command);
	if (id != NULL)
		fact_of(pen, PAINT_DIM, "id %.100s", id);
	if (status == NULL)
		status = "?";
	bool answered = strcmp(status, "answered") == 0,
	     step = strcmp(status, "sent") == 0 || strcmp(status, "held") == 0;
	if (answered && document_number(d, "elapsed", &elapsed))
		fact_of(pen, PAINT_GOOD, "answered in %.2f s", elapsed);
	else
		fact_text(pen, answered ? PAINT_GOOD : step ? PAINT_NONE : PAINT_BAD, status);
	const char *words = answered                ? (result != NULL ? result : reply)
			    : step && frame != NULL ? frame
						    : reason;
	if (words != NULL)
		fact_text(pen, PAINT_NONE, words);
}

/* The text of a frame when it can be read, else its hex. */
static void write_bytes(struct pen *pen, const struct document *d)
{
	const char *text = document_text(d, "text"), *hex = document_text(d, "hex");
	bool whole = text != NULL && hex != NULL && strlen(hex) == 2 * strlen(text);
	for (size_t i = 0; whole && text[i] != '\0'; i++)
		whole = (text[i] >= 0x20 && text[i] < 0x7f) || text[i] == '\r' || text[i] == '\n';
	if (whole || hex != NULL)
		fact_text(pen, PAINT_NONE, whole ? text : hex);
}

/* What became of a request for a unit's frames. */
static void write_until(struct pen *pen, const struct sight *sight, double seconds)
{
	char text[FACT_TIME_MAX];
	if (!(fabs(seconds) < 1e11))
		return;
	fact_time((int64_t)(seconds * 1000), sight->now_ms, text);
	if (seconds > 0)
		fact_of(pen, PAINT_NONE, "each frame until %s", text);
	else
		fact_text(pen, PAINT_NONE, "no longer each frame");
}

static void write_raw(struct pen *pen, const struct sight *sight)
{
	const struct document *d = sight->document;
	const char *direction = document_text(d, "direction"), *error = document_text(d, "error");
	double until;
	if (document_number(d, "until", &until))
		write_until(pen, sight, until);
	else if (direction != NULL)
		fact_text(pen, PAINT_DIM, direction);
	if (error != NULL)
		fact_text(pen, PAINT_BAD, error);
	write_bytes(pen, d);
}

/* What speaks no known protocol, or is a unit that is not admitted. */
static void write_unknown(struct pen *pen, const struct document *d)
{
	const char *peer = document_text(d, "peer"), *transport = document_text(d, "transport"),
		   *like = document_text(d, "looks.like"), *ident = document_text(d, "ident"),
		   *protocol = document_text(d, "protocol"), *reason = document_text(d, "reason"),
		   *hint = document_text(d, "hint");
	if (ident != NULL)
		fact_of(pen, PAINT_BOLD, "unit %.100s%s%.40s%s", ident, protocol != NULL ? " (" : "",
			protocol != NULL ? protocol : "", protocol != NULL ? ")" : "");
	if (peer != NULL)
		fact_of(pen, PAINT_NONE, "%.100s%s%.20s", peer, transport != NULL ? " over " : "",
			transport != NULL ? transport : "");
	if (like != NULL)
		fact_of(pen, PAINT_WARN, "looks like %.200s", like);
	if (hint != NULL || reason != NULL)
		fact_text(pen, PAINT_WARN, hint != NULL ? hint : reason);
	if (ident == NULL) /* of a unit its name tells more */
		write_bytes(pen, d);
}

static void write_facts(
	struct pen *pen, enum line_kind kind, const struct sight *sight, struct span name, bool online)
{
	switch (kind) {
	case LINE_POSITION:
	case LINE_TELEMETRY:
		line_record(pen, kind, sight);
		return;
	case LINE_ALARM:
		line_alarms(pen, sight);
		return;
	case LINE_STATUS:
		write_status(pen, sight, online);
		return;
	case LINE_REQUEST:
		write_request(pen, sight);
		return;
	case LINE_REPLY:
		write_reply(pen, sight);
		return;
	case LINE_RAW:
		write_raw(pen, sight);
		return;
	case LINE_BRIDGE:
		fact(pen, PAINT_NONE, name);
		return;
	case LINE_UNKNOWN:
		write_unknown(pen, sight->document);
		return;
	case LINE_OTHER:
	case LINE_KIND_COUNT:
		break;
	}
	fact(pen, PAINT_NONE, sight->payload);
}

/* Does the status say that a unit, or the bridge, is there? */
static bool says_online(enum line_kind kind, const struct sight *sight)
{
	const char *state =
		kind == LINE_STATUS && sight->document != NULL ? document_text(sight->document, "state") : NULL;
	return kind == LINE_BRIDGE ? span_is(sight->payload, "online")
				   : state != NULL && strcmp(state, "online") == 0;
}

/* `unit`: the column of names may grow with this one. */
static void write_head(struct pen *pen, struct line_style *style, int64_t now_ms, struct span name, bool unit)
{
	char at[FACT_TIME_MAX];
	fact_time(now_ms, now_ms, at);
	screen_paint(&style->screen, PAINT_DIM, pen->out);
	fputs(at, pen->out);
	screen_paint(&style->screen, PAINT_NONE, pen->out);
	fputs("  ", pen->out);
	unsigned width = screen_text(&style->screen, name, pen->out);
	if (unit && width > style->name_width && width <= 20) /* as long as an ident may be */
		style->name_width = width;
	unsigned pad = width < style->name_width ? style->name_width - width : 0;
	fprintf(pen->out, "%*s  ", (int)pad, "");
	pen->column = (unsigned)strlen(at) + 2 + width + pad + 2;
}

static void write_strange(struct pen *pen, struct span payload)
{
	fact_text(pen, PAINT_WARN,
		payload.len > DOCUMENT_MOST ? "too large to be looked into:" : "neither JSON nor MessagePack:");
	fact(pen, PAINT_NONE, payload);
}

void line_write(struct line_style *style, const struct sight *sight, FILE *out)
{
	struct pen pen = {.out = out, .screen = &style->screen};
	struct span name;
	enum line_kind kind = line_kind_of(style->prefix, sight->topic, &name);
	bool status = kind == LINE_STATUS || kind == LINE_BRIDGE, online = says_online(kind, sight);
	bool told = sight->payload.len > 0 && (sight->document != NULL || !kinds[kind].needs);
	const char *word = kind == LINE_OTHER ? ""
			   : status && told   ? (online ? "on line" : "off line")
					      : kinds[kind].word;
	enum paint paint = kind == LINE_ALARM ? PAINT_BAD
			   : !status          ? PAINT_NONE
			   : online           ? PAINT_GOOD
					      : PAINT_WARN;
	bool bridge = kinds[kind].bridge;
	write_head(&pen, style, sight->now_ms, bridge ? span_text("bridge") : name, kind != LINE_OTHER);
	if (kind != LINE_OTHER) {
		if (paint != PAINT_NONE)
			screen_paint(&style->screen, paint, out);
		fprintf(out, "%-9s", word);
		if (paint != PAINT_NONE)
			screen_paint(&style->screen, PAINT_NONE, out);
		putc(' ', out);
		pen.column += 10;
	}
	pen.indent = pen.column;
	if (sight->payload.len == 0)
		fact_text(&pen, PAINT_DIM, "cleared");
	else if (told)
		write_facts(&pen, kind, sight, name, online);
	else
		write_strange(&pen, sight->payload);
	putc('\n', out);
}
