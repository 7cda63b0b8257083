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

/* Writes a field behind another pair and moves *at behind it; up to `end` there is WALK_PAIR_ROOM at least. `off`: the booleans of the field's
 * word that are false; neighbours of these are written with it. False: it is too long for that. */
static inline bool walk_pair(const struct telemetry *t, const struct telemetry_keys *k, size_t field,
	uint64_t off, uint8_t **at, const uint8_t *end, walk_number *number, walk_word *word)
{
	const struct telemetry_ready *r = &k->ready[field];
	uint8_t *value = *at + r->len, kind = r->value;
	if (kind > EMIT_DECIMALS_MAX && (off >> field % 64 & 1)) {
		size_t len = (size_t)(r[walk_ones(off >> field % 64)].at - r->at);
		if (len > (size_t)(end - *at))
			return false;
		*at = (uint8_t *)memcpy(*at, k->text + r->at, len) + len;
		return true;
	}
	memcpy(*at, k->text + r->at, WRITER_SHORT); /* a constant size: a few instructions, no call */
	if (kind <= EMIT_DECIMALS_MAX) {
		*at = number(value, t->value[field].number, kind);
	} else if (kind == READY_TEXT) {
		struct span text = t->value[field].text;
		if (text.len > WALK_WORD_MAX)
			return false;
		*at = word(value, text);
	} else {
		memcpy(value, k->yes, sizeof(k->yes));
		*at = value + k->yes_len;
	}
	return true;
}

/* The fields of the set, in the order of the table. What is long, and pairs for which there may be no room, go the slow way. The first pair
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
		uint64_t off = shown[w] & k->booleans[w] & ~t->truth[w];
		/* of booleans that are false and neighbours, the first stands for all */
		for (uint64_t left = shown[w] & ~(off & off << 1); left != 0; left &= left - 1) {
			unsigned b = (unsigned)__builtin_ctzll(left);
			size_t field = w * 64 + b;
			if (at < last && walk_pair(t, k, field, off, &at, end, number, word))
				continue;
			out->len = (size_t)(at - out->ptr);
			telemetry_emit_pairs(t, e, k, field, walk_ones(off >> b));
			at = out->ptr + out->len;
			if (out->full)
				last = at;
		}
	}
	out->len = (size_t)(at - out->ptr);
	*opening = opener;
}

#endif
