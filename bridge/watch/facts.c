// SPDX-License-Identifier: MIT
/* facts: see facts.h. */
#include "bridge/watch/facts.h"

#include <stdarg.h>
#include <time.h>

#define FACT_MOST 800 /* bytes of a fact: as long as the bridge's longest advice */

void fact_time(int64_t ms, int64_t now_ms, char out[FACT_TIME_MAX])
{
	time_t at = (time_t)(ms / 1000), now = (time_t)(now_ms / 1000);
	struct tm day, today;
	if (localtime_r(&at, &day) == NULL || localtime_r(&now, &today) == NULL) {
		snprintf(out, FACT_TIME_MAX, "%lld", (long long)(ms / 1000));
		return;
	}
	bool same = day.tm_yday == today.tm_yday && day.tm_year == today.tm_year;
	strftime(out, FACT_TIME_MAX, same ? "%H:%M:%S" : "%Y-%m-%d %H:%M:%S", &day);
}

static void new_line(struct pen *pen)
{
	fprintf(pen->out, "\n%*s", (int)pen->indent, "");
	pen->column = pen->indent;
}

/* Writes as many words as the line has room for, at least one, and takes them from the text. */
static void write_words(struct pen *pen, struct span *text)
{
	unsigned room = pen->screen->columns > pen->column ? pen->screen->columns - pen->column : 0;
	size_t fits = 0;
	for (size_t i = 1; i <= text->len; i++) {
		if (i < text->len && text->ptr[i] != ' ')
			continue;
		if (fits > 0 && pen->screen->columns > 0 &&
			screen_text(pen->screen, span_part(*text, 0, i), NULL) > room)
			break;
		fits = i;
	}
	pen->column += screen_text(pen->screen, span_part(*text, 0, fits), pen->out);
	*text = span_after(*text, fits);
	while (text->len > 0 && text->ptr[0] == ' ' && pen->screen->columns > 0)
		*text = span_after(*text, 1);
}

void fact(struct pen *pen, enum paint paint, struct span text)
{
	const struct screen *screen = pen->screen;
	bool cut = text.len > FACT_MOST;
	if (cut)
		text.len = FACT_MOST;
	while (cut && text.len > FACT_MOST - 4 &&
		(text.ptr[text.len] & 0xc0) == 0x80) /* not inside a character */
		text.len--;
	bool first = pen->column <= pen->indent;
	if (!first && screen->columns > 0 &&
		pen->column + 2 + screen_text(screen, text, NULL) > screen->columns) {
		new_line(pen);
	} else if (!first) {
		fputs("  ", pen->out);
		pen->column += 2;
	}
	if (paint != PAINT_NONE)
		screen_paint(screen, paint, pen->out);
	while (text.len > 0) {
		write_words(pen, &text);
		if (text.len > 0)
			new_line(pen);
	}
	if (cut)
		fputs("...", pen->out);
	if (paint != PAINT_NONE)
		screen_paint(screen, PAINT_NONE, pen->out);
}

void fact_text(struct pen *pen, enum paint paint, const char *text)
{
	fact(pen, paint, span_text(text));
}

void fact_of(struct pen *pen, enum paint paint, const char *format, ...)
{
	char text[FACT_MOST + 1];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fact_text(pen, paint, text);
}
