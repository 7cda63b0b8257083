// SPDX-License-Identifier: MIT
/* decoder: bytes through the codecs, and what comes out of them as lines.
 * Uses: bridge/base, bridge/settings, bridge/units, codecs.
 * Not: know where the bytes were found. */
#ifndef T2M_DECODER_H
#define T2M_DECODER_H

#include "codecs/codec.h"

#include <stdio.h>

struct decoder_options {
	const struct emit_format *format;
	bool pretty, explain;
	const char *ident; /* the unit that is known from before; NULL: none */
	FILE *out, *err;
};

struct decoder;

/* NULL: no memory. */
struct decoder *decoder_open(const struct decoder_options *options);
/* Says what is incomplete, and frees it. Returns whether anything failed. */
bool decoder_close(struct decoder *decoder);

/* What stands in front of a line about the bytes that follow: `file:12`. */
void decoder_at(struct decoder *decoder, const char *file, unsigned long line);
/* A new file begins: no unit is known but the one of the options. */
void decoder_forget(struct decoder *decoder);
/* Writes a line about the place at hand to `err`; `failed`: the program ends with 1. */
void decoder_say(struct decoder *decoder, bool failed, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* A whole datagram, from the unit that spoke last. */
void decoder_datagram(struct decoder *decoder, struct span in, int64_t now_ms);

/* One connection: its bytes are kept until a frame is whole, 64 KiB at the most. */
struct decoder_stream;
/* NULL: no memory. */
struct decoder_stream *decoder_stream_open(void);
/* `stranger_fails`: bytes that no codec knows are a failure. Returns false when no codec knew any of its bytes. */
bool decoder_stream_close(struct decoder *decoder, struct decoder_stream *stream, bool stranger_fails);
/* More of its bytes. `pause_ms`: how long the peer was silent before them. */
void decoder_stream_bytes(struct decoder *decoder, struct decoder_stream *stream, struct span in,
	int64_t now_ms, int64_t pause_ms);
/* The peer has been silent for so long behind the bytes that it has sent. CODEC_QUIET_FINAL: they are all. */
void decoder_stream_quiet(struct decoder *decoder, struct decoder_stream *stream, int32_t quiet_ms);

#endif
