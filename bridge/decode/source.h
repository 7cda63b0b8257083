// SPDX-License-Identifier: MIT
/* source: the bytes of a file or pipe, with a look at how they begin.
 * Uses: codecs/record.
 * Not: know what they are. */
#ifndef T2M_SOURCE_H
#define T2M_SOURCE_H

#include "codecs/record/bytes.h"

#include <stdio.h>

enum { SOURCE_HEAD = 4096 };

struct source {
	FILE *file;
	size_t head_len, pos; /* of the head; pos: how much of it has been read */
	uint8_t head[SOURCE_HEAD];
};

/* Reads the head. */
void source_open(struct source *source, FILE *file);
/* How it begins. */
static inline struct span source_head(const struct source *source)
{
	return span_of(source->head, source->head_len);
}
/* Up to `n` bytes, as many as there are until the end. */
size_t source_read(struct source *source, void *to, size_t n);
/* A line without its end, of at most `max` bytes; the rest of a longer one is dropped, and *cut is set. false: there is none. */
bool source_line(struct source *source, char *line, size_t max, size_t *len, bool *cut);

#endif
