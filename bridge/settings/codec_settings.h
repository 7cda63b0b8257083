// SPDX-License-Identifier: MIT
/* codec_settings: what the codecs want to be set, with its values: for each codec the struct that its rows describe.
 * Uses: codecs.
 * Not: know any codec by its name. */
#ifndef T2M_CODEC_SETTINGS_H
#define T2M_CODEC_SETTINGS_H

#include "codecs/codec.h"

struct codec_settings;

/* All defaults. NULL: no memory, or a codec's own table is wrong. */
struct codec_settings *codec_settings_open(void);
void codec_settings_free(struct codec_settings *settings);

/* What codec_unit.options is to point to, for units that have none of their own; it stays where it is, and is never NULL. `codec`
 * is one of codecs[]. */
void *codec_settings_of(const struct codec_settings *settings, const struct codec *codec);

/* The stream's unit, when one is known, gets the options of the stream's codec: the one that it has or that these bytes begin. For
 * those who name a unit before its protocol is known. */
void codec_settings_use(const struct codec_settings *settings, struct codec_stream *stream, struct span in);

#endif
