// SPDX-License-Identifier: MIT
/* explain: each range of bytes of a frame, with what the codec has read it as.
 * Uses: codecs, codecs/record.
 * Not: decode anything: it only collects the marks that the codec's own readers leave (codecs/record/mark.h). */
#ifndef T2M_EXPLAIN_H
#define T2M_EXPLAIN_H

#include "codecs/codec.h"

#include <stdio.h>

struct explain;

/* NULL: no memory. */
struct explain *explain_open(void);
void explain_free(struct explain *explain);

/* Who takes the marks: to be set as the marker of the record that the codec fills. */
struct marker *explain_marker(struct explain *explain);

/* The frames that follow stand in these bytes. */
void explain_begin(struct explain *explain, struct span in);

/* The record is whole: what was marked until now is in it. */
void explain_record(struct explain *explain, const struct telemetry *t);

/* Prints what was marked in this frame, then forgets it. `t`: what the codec has filled last. */
void explain_frame(struct explain *explain, FILE *out, const struct codec *codec, enum codec_status status,
	struct span frame, const struct telemetry *t);

#endif
