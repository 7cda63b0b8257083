// SPDX-License-Identifier: MIT
/* facts: what a line tells, one fact behind the other, and below the first where the terminal is too narrow.
 * Uses: nothing else.
 * Not: know topics or records. */
#ifndef T2M_FACTS_H
#define T2M_FACTS_H

#include "bridge/watch/screen.h"

struct pen {
	FILE *out;
	const struct screen *screen;
	unsigned column, indent; /* where the next byte goes, where the facts begin */
};

/* A fact; one that is longer than a line goes on below, word by word; a very long one is cut, and ends with "...". */
void fact(struct pen *pen, enum paint paint, struct span text);
void fact_text(struct pen *pen, enum paint paint, const char *text);
__attribute__((format(printf, 3, 4))) void fact_of(struct pen *pen, enum paint paint, const char *format, ...);

#define FACT_TIME_MAX 32
/* "14:02:41", with the date in front when it is another day than that of `now_ms`; local time. */
void fact_time(int64_t ms, int64_t now_ms, char out[FACT_TIME_MAX]);

#endif
