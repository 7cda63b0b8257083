// SPDX-License-Identifier: MIT
/* document: a payload as JSON, whichever format it came in.
 * Uses: codecs/record; <cJSON.h>. */
#ifndef T2M_DOCUMENT_H
#define T2M_DOCUMENT_H

#include "bridge/watch/screen.h"

#include <cJSON.h>

#define DOCUMENT_MOST ((size_t)1 << 20) /* bytes of a payload that is looked into */

struct document {
	cJSON *root;      /* to look keys up in; a number is a double there, a text ends at its first NUL */
	struct span json; /* the same as it was written; in the payload, or in `own` */
	char *own;
	bool msgpack;
};

/* Reads a map, in JSON or MessagePack, whichever its first byte says. False: it is none, or larger than DOCUMENT_MOST. After true the
 * payload must stay until document_free. */
bool document_read(struct document *d, struct span payload);
void document_free(struct document *d);

/* The text of a key; NULL: there is none, or it is no text. */
const char *document_text(const struct document *d, const char *key);
/* False: there is no such key, or its value is no number. */
bool document_number(const struct document *d, const char *key, double *number);
/* 1 or 0; -1: there is no such key, or its value is no boolean. */
int document_truth(const struct document *d, const char *key);

/* Writes valid JSON in one line; `indent` above 0: a key a line, each line that many columns to the right. Ends without a line feed. */
void document_write(const struct screen *screen, struct span json, unsigned indent, FILE *out);

/* Writes one MessagePack value as JSON and takes it from the reader. False: it is none, or nested deeper than 30. */
bool document_unpack(struct reader *in, unsigned depth, FILE *out);

#endif
