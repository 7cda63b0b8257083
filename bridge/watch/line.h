// SPDX-License-Identifier: MIT
/* line: a message of the bridge as a line that people read.
 * Uses: nothing else. */
#ifndef T2M_LINE_H
#define T2M_LINE_H

#include "bridge/watch/document.h"

/* What has come, and when. */
struct sight {
	struct span topic, payload;
	bool retained;
	int64_t now_ms;                  /* Unix time */
	const struct document *document; /* of the payload; NULL: it is none */
};

struct line_style {
	struct screen screen;
	const char *prefix;  /* of the topics, as in the configuration of the bridge */
	unsigned name_width; /* columns for the name of a unit; grows to the longest that came */
};
#define LINE_NAME_WIDTH 10

/* Which of the bridge's messages is it? LINE_OTHER: none that has a line of its own. */
enum line_kind {
	LINE_OTHER = 0,
	LINE_POSITION,
	LINE_TELEMETRY,
	LINE_ALARM,
	LINE_STATUS,
	LINE_REQUEST,
	LINE_REPLY,
	LINE_RAW,
	LINE_BRIDGE,
	LINE_UNKNOWN,
	LINE_KIND_COUNT
};

/* The kind by its topic alone; `name` becomes the unit's (or the topic, if it is LINE_OTHER). */
enum line_kind line_kind_of(const char *prefix, struct span topic, struct span *name);

/* Writes the line with its line feed: time, name, kind, facts. Where the screen has columns, facts that do not fit go on below, under
 * the first. */
void line_write(struct line_style *style, const struct sight *sight, FILE *out);

#endif
