/* facts: see facts.h. */
#include "bridge/watch/facts.h"

#include <stdarg.h>
#include <time.h>

#define FACT_MOST 240 /* bytes of a fact */

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

void fact(struct pen *pen, enum paint paint, struct span text)
{
	bool cut = text.len > FACT_MOST;
	if (cut)
		text.len = FACT_MOST;
	while (cut && text.len > FACT_MOST - 4 &&
		(text.ptr[text.len] & 0xc0) == 0x80) /* not inside a character */
		text.len--;
	unsigned width = screen_text(pen->screen, text, NULL) + (cut ? 3 : 0);
	bool first = pen->column <= pen->indent;
	if (!first && pen->screen->columns > 0 && pen->column + 2 + width > pen->screen->columns) {
		fprintf(pen->out, "\n%*s", (int)pen->indent, "");
		pen->column = pen->indent;
	} else if (!first) {
		fputs("  ", pen->out);
		pen->column += 2;
	}
	if (paint != PAINT_NONE)
		screen_paint(pen->screen, paint, pen->out);
	screen_text(pen->screen, text, pen->out);
	if (cut)
		fputs("...", pen->out);
	if (paint != PAINT_NONE)
		screen_paint(pen->screen, PAINT_NONE, pen->out);
	pen->column += width;
}

void fact_text(struct pen *pen, enum paint paint, const char *text)
{
	fact(pen, paint, span_text(text));
}

void fact_of(struct pen *pen, enum paint paint, const char *format, ...)
{
	char text[512];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fact_text(pen, paint, text);
}
