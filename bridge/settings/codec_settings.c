// SPDX-License-Identifier: MIT
/* codec_settings: see codec_settings.h. */
#include "bridge/settings/codec_settings.h"

#include "bridge/settings/option_types.h"

#include <stdlib.h>

struct codec_settings {
	size_t count;
	void *options[]; /* in the order of codecs[] */
};

struct codec_settings *codec_settings_open(void)
{
	size_t count = 0;
	while (codecs[count] != NULL)
		count++;
	struct codec_settings *s = calloc(1, sizeof(*s) + count * sizeof(s->options[0]));
	if (s == NULL)
		return NULL;
	s->count = count;
	bool ok = true;
	for (size_t i = 0; i < count; i++) {
		size_t size = codecs[i]->options_size;
		s->options[i] = calloc(1, size > 0 ? size : 1);
		ok = ok && s->options[i] != NULL && options_use_standard(codecs[i]->options, s->options[i]);
	}
	if (ok)
		return s;
	codec_settings_free(s);
	return NULL;
}

void codec_settings_free(struct codec_settings *s)
{
	for (size_t i = 0; s != NULL && i < s->count; i++) {
		if (s->options[i] != NULL)
			options_free_strings(codecs[i]->options, s->options[i]);
		free(s->options[i]);
	}
	free(s);
}

void *codec_settings_of(const struct codec_settings *s, const struct codec *codec)
{
	size_t i = 0;
	while (i + 1 < s->count && codecs[i] != codec)
		i++;
	return s->options[i];
}

void codec_settings_use(const struct codec_settings *s, struct codec_stream *stream, struct span in)
{
	struct codec_stream ahead = *stream;
	struct frame frame;
	if (stream->link.unit == NULL)
		return;
	if (ahead.codec == NULL)
		codec_next(&ahead, in, &frame);
	if (ahead.codec != NULL)
		stream->link.unit->options = codec_settings_of(s, ahead.codec);
}
