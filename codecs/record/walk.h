// SPDX-License-Identifier: MIT
/* walk: the walk over the fields of a record, for each format to compile with its own two values in it: nearly all that a document costs.
 * Uses: nothing else.
 * Not: know how a format writes anything. */
#ifndef T2M_WALK_H
#define T2M_WALK_H

#include "codecs/record/telemetry.h"

/* How a format writes a number and a text of at most WALK_WORD_MAX bytes at `at`, where there are WALK_VALUE_ROOM bytes. Both return the
 * end. */
#define WALK_WORD_MAX 24
#define WALK_VALUE_ROOM (6 * WALK_WORD_MAX + 8) /* JSON writes some bytes as six */
typedef uint8_t *walk_number(uint8_t *at, int64_t number, unsigned decimals);
typedef uint8_t *walk_word(uint8_t *at, struct span text);

#define WALK_PAIR_ROOM (WRITER_SHORT + WALK_VALUE_ROOM)

/* How many of the lowest bits are 1, up to the first 0. */
static inline unsigned walk_ones(uint64_t bits)
{
	return ~bits != 0 ? (unsigned)__builtin_ctzll(~bits) : 64;
}

/* Writes a field that is no false boolean behind another pair, where there is WALK_PAIR_ROOM. Returns the end; NULL: the text is too long
 * for that. */
static inline uint8_t *walk_pair(const struct telemetry *t, const struct telemetry_keys *k, size_t field,
	uint8_t *at, walk_number *number, walk_word *word)
{
	struct telemetry_ready r = k->ready[field];
	memcpy(at, k->text + r.at, WRITER_SHORT); /* a constant size: a few instructions, no call */
	at += r.len;
	if (r.value <= EMIT_DECIMALS_MAX)
		return number(at, t->value[field].number, r.value);
	if (r.value == READY_TEXT) {
		struct span text = t->value[field].text;
		return text.len <= WALK_WORD_MAX ? word(at, text) : NULL;
	}
	memcpy(at, k->yes, sizeof(k->yes));
	return at + k->yes_len;
}

/* The fields of the set, in the order of the table. A long text, and pairs for which there may be no room, go the slow way. The first pair
 * has no separator in front of it: that is written over the end of what opens the map, which is put back at last. */
static inline void walk_fields(struct emitter *e, const struct telemetry *t, const struct telemetry_keys *k,
	const uint64_t *shown, walk_number *number, walk_word *word)
{
	struct writer *out = e->out;
	if (out->full || !params_any(shown))
		return;
	uint8_t *opening = out->ptr + out->len - 1, opener = *opening;
	uint8_t *at = opening + 1 - k->format->separator;
	const uint8_t *end = out->ptr + out->cap;
	const uint8_t *last = out->cap > WALK_PAIR_ROOM ? end - WALK_PAIR_ROOM : opening;
	e->not_first |= 1u << e->depth;
	for (size_t w = 0; w < TM_WORDS; w++) {
		uint64_t left = shown[w], off = left & k->booleans[w] & ~t->truth[w];
		while (left != 0) {
			unsigned b = (unsigned)__builtin_ctzll(left), booleans = 0;
			size_t field = w * 64 + b;
			uint8_t *behind = NULL;
			uint64_t bit = left & -left;
			left ^= bit;
			if (off & bit) {
				const struct telemetry_ready *r = &k->ready[field];
				booleans = walk_ones(off >> b);
				left &= ~off | (off + bit);
				size_t len = (size_t)(r[booleans].at - r->at);
				if (len <= (size_t)(end - at))
					behind = (uint8_t *)memcpy(at, k->text + r->at, len) + len;
			} else if (at < last) {
				behind = walk_pair(t, k, field, at, number, word);
			}
			if (behind == NULL) {
				out->len = (size_t)(at - out->ptr);
				telemetry_emit_pairs(t, e, k, field, booleans);
				behind = out->ptr + out->len;
				if (out->full)
					end = last = behind;
			}
			at = behind;
		}
	}
	out->len = (size_t)(at - out->ptr);
	*opening = opener;
}

#endif
