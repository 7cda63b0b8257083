// SPDX-License-Identifier: MIT
/* line: a line of text as people have it, and the bytes of a frame in it.
 * Uses: codecs/record.
 * Not: know any protocol, decode. */
#ifndef T2M_LINE_H
#define T2M_LINE_H

#include "codecs/record/bytes.h"

/* What a line is. AUTO: the line itself tells. */
enum line_kind { LINE_AUTO = 0, LINE_TRACCAR, LINE_JSON, LINE_LOG, LINE_HEX, LINE_TEXT };

enum line_found {
	LINE_NOTHING = 0, /* a comment, or a line that carries no bytes of a unit */
	LINE_BYTES,
	LINE_PART,  /* bytes of a connection: see `stream` */
	LINE_WRONG, /* not of the kind that was asked for */
};

enum { LINE_MAX_BYTES = 1 << 17 };

struct line {
	struct span bytes; /* valid until the next line is read */
	char stream[64];   /* PART: the name of the connection */
	bool cut;          /* the bytes are only the beginning of what was received */
};

/* Between lines: a C array may stand in several. All zero at first. */
struct line_reader {
	bool in_array;
	size_t len; /* of `bytes`, as the array has given them */
	uint8_t bytes[LINE_MAX_BYTES];
};

enum line_found line_read(struct line_reader *reader, enum line_kind kind, struct span text, struct line *out);
/* The file ends; bytes of an array that was not closed. */
enum line_found line_end(struct line_reader *reader, struct line *out);

/* The kind of this name, or false. "auto" is one. */
bool line_kind_find(const char *name, enum line_kind *out);

#endif
