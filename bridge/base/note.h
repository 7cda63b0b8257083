// SPDX-License-Identifier: MIT
/* note: what is kept of a unit, in parts; each part belongs to one room, which alone knows what stands in it.
 * Uses: codecs/record.
 * Not: know what stands in a part.
 *
 * A note: a byte for its form, then for each part a letter, the length in 4 bytes, and its bytes. Parts whose letter nobody knows are
 * passed over, so that a later version may add some. */
#ifndef T2M_NOTE_H
#define T2M_NOTE_H

#include "codecs/record/bytes.h"

void note_begin(struct writer *out);
/* Begins a part; what is written until note_part_end belongs to it. Returns where it begins, for note_part_end. An empty part is left
 * out. */
size_t note_part_begin(struct writer *out, char letter);
void note_part_end(struct writer *out, size_t begin);

/* Are these the bytes of a note? */
bool note_is_one(struct span note);
/* The bytes of a part; empty: the note has none with this letter. */
struct span note_part(struct span note, char letter);

/* Numbers and texts in a part. */
void note_put_number(struct writer *out, int64_t number);
int64_t note_take_number(struct reader *in);
void note_put_text(struct writer *out, struct span text); /* at most 255 bytes of it */
struct span note_take_text(struct reader *in);

#endif
