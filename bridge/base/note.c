// SPDX-License-Identifier: MIT
/* note: see note.h. */
#include "bridge/base/note.h"

#define FORM 1
#define HEAD 5 /* of a part: letter and length */

void note_begin(struct writer *out)
{
	writer_u8(out, FORM);
}

size_t note_part_begin(struct writer *out, char letter)
{
	size_t begin = out->len;
	writer_u8(out, (uint8_t)letter);
	writer_u32(out, 0);
	return begin;
}

void note_part_end(struct writer *out, size_t begin)
{
	size_t end = out->len;
	if (out->full)
		return;
	out->len = begin;
	if (end == begin + HEAD)
		return;
	out->len++;
	writer_u32(out, (uint32_t)(end - begin - HEAD));
	out->len = end;
}

/* The next part. False: there is none, or what follows is none. */
static bool next(struct reader *r, char *letter, struct span *part)
{
	if (reader_left(r) == 0)
		return false;
	*letter = (char)reader_u8(r);
	*part = reader_take(r, reader_u32(r));
	return !r->bad;
}

static struct reader parts_of(struct span note)
{
	struct reader r = reader_of(note);
	r.bad = reader_u8(&r) != FORM || r.bad;
	return r;
}

bool note_is_one(struct span note)
{
	struct reader r = parts_of(note);
	char letter;
	struct span part;
	while (next(&r, &letter, &part))
		;
	return !r.bad;
}

struct span note_part(struct span note, char wanted)
{
	struct reader r = parts_of(note);
	char letter;
	struct span part;
	while (next(&r, &letter, &part))
		if (letter == wanted)
			return part;
	return span_of(NULL, 0);
}

void note_put_number(struct writer *out, int64_t number)
{
	writer_u64(out, (uint64_t)number);
}

int64_t note_take_number(struct reader *in)
{
	return (int64_t)reader_u64(in);
}

void note_put_text(struct writer *out, struct span text)
{
	size_t len = text.len < UINT8_MAX ? text.len : UINT8_MAX;
	writer_u8(out, (uint8_t)len);
	writer_bytes(out, text.ptr, len);
}

struct span note_take_text(struct reader *in)
{
	return reader_take(in, reader_u8(in));
}
