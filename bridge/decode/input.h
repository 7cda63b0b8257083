// SPDX-License-Identifier: MIT
/* input: one file or pipe, whatever of the known kinds it is, to the decoder.
 * Uses: nothing else.
 * Not: know any protocol. */
#ifndef T2M_INPUT_H
#define T2M_INPUT_H

#include "bridge/decode/decoder.h"
#include "bridge/decode/line.h"

struct input_options {
	enum input_kind { INPUT_AUTO = 0, INPUT_LINES, INPUT_RAW, INPUT_PCAP } kind;
	enum line_kind lines;
	uint16_t port;  /* of a capture: what is sent to it; 0: what the side sends that speaks first */
	int64_t now_ms; /* for what has no time */
};

/* The kind of this name, which is allowed in --input. */
bool input_kind_find(const char *name, struct input_options *out);

/* Reads to the end. `name`: for the lines about it. */
void input_read(struct decoder *decoder, const struct input_options *options, const char *name, FILE *file);

#endif
