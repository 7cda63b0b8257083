// SPDX-License-Identifier: MIT
/* screen: texts from anybody, made fit for a terminal or a pipe.
 * Uses: codecs/record.
 * Not: know topics, records or the broker.
 *
 * No control character leaves it raw: not those of ASCII, not DEL, not those from U+0080 to U+009F, and none that turns the direction
 * of writing. Bytes of any kind are accepted. */
#ifndef T2M_SCREEN_H
#define T2M_SCREEN_H

#include "codecs/record/bytes.h"

#include <stdio.h>

struct screen {
	bool utf8;        /* else everything that is not ASCII is written as \uNNNN */
	bool colour;      /* SGR sequences may be written */
	unsigned columns; /* of the terminal; 0: no limit */
};

enum paint { PAINT_NONE = 0, PAINT_DIM, PAINT_BOLD, PAINT_GOOD, PAINT_WARN, PAINT_BAD, PAINT_ASK };

/* What stands behind `out`: a terminal or not, its columns, and what LC_ALL, LC_CTYPE, LANG and NO_COLOR say. */
struct screen screen_of(FILE *out);

/* Writes a text; a byte that is not UTF-8 becomes \xNN. Returns the columns that it takes. `out` NULL: only counts. */
unsigned screen_text(const struct screen *screen, struct span text, FILE *out);

/* Writes a text as a JSON string with its quotes; a byte that is not UTF-8 becomes the character of the same number (Latin-1). */
void screen_json(const struct screen *screen, struct span text, FILE *out);

/* Writes what stands between the quotes of a string in valid JSON, escapes as they are. */
void screen_json_again(const struct screen *screen, struct span text, FILE *out);

/* From here on in this colour; PAINT_NONE ends it. */
void screen_paint(const struct screen *screen, enum paint paint, FILE *out);

#endif
