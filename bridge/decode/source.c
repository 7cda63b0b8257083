// SPDX-License-Identifier: MIT
/* source: see source.h. */
#include "bridge/decode/source.h"

void source_open(struct source *s, FILE *file)
{
	s->file = file;
	s->pos = 0;
	s->head_len = fread(s->head, 1, sizeof(s->head), file);
}

size_t source_read(struct source *s, void *to, size_t n)
{
	size_t left = s->head_len - s->pos, have = left < n ? left : n;
	memcpy(to, s->head + s->pos, have);
	s->pos += have;
	return have < n ? have + fread((uint8_t *)to + have, 1, n - have, s->file) : have;
}

static int next(struct source *s)
{
	return s->pos < s->head_len ? s->head[s->pos++] : getc(s->file);
}

bool source_line(struct source *s, char *line, size_t max, size_t *len, bool *cut)
{
	int c = next(s);
	*len = 0;
	*cut = false;
	if (c == EOF)
		return false;
	for (; c != EOF && c != '\n'; c = next(s)) {
		if (*len < max)
			line[(*len)++] = (char)c;
		else
			*cut = true;
	}
	while (*len > 0 && line[*len - 1] == '\r')
		--*len;
	return true;
}
