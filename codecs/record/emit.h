// SPDX-License-Identifier: MIT
/* emit: the few verbs that an output format must know.
 * Uses: nothing else.
 * Not: know any field name, allocate, print.
 *
 * A document is written as: emit_map(e, pairs), then `pairs` times emit_key and one value, then
 * emit_end. Arrays likewise. Exactly the announced number must follow: MessagePack relies on it. At most 31 maps
 * and arrays may be open at a time. All calls write into the writer given at the start; its `.full` tells, at the end, that there was
 * no room. */
#ifndef T2M_EMIT_H
#define T2M_EMIT_H

#include "codecs/record/bytes.h"

struct emitter;
struct telemetry;
struct telemetry_keys;

struct emit_format {
	const char *name;         /* as in the option `format` */
	const char *content_type; /* MIME type */
	uint8_t separator;        /* bytes between two pairs of a map: 1 for a comma, or 0 */
	bool counts;              /* how many pairs a map has stands in front of them; else `pairs` may be 0 */
	void (*map)(struct emitter *, unsigned pairs);
	void (*array)(struct emitter *, unsigned items);
	void (*end)(struct emitter *);
	void (*boolean)(struct emitter *, bool);
	void (*fixed)(struct emitter *, int64_t number, unsigned decimals);
	void (*text)(struct emitter *, struct span);
	void (*key)(struct emitter *, struct span);
	/* The fields `shown` of a record, each as a pair: see walk.h. */
	void (*fields)(struct emitter *, const struct telemetry *, const struct telemetry_keys *,
		const uint64_t *shown);
};

#define EMIT_DECIMALS_MAX 8

struct emitter {
	const struct emit_format *format;
	struct writer *out;
	uint32_t open_map;  /* one bit per depth: 1 = map */
	uint32_t not_first; /* one bit per depth: 1 = a comma is due (JSON) */
	unsigned depth;
	bool after_key; /* a value comes next, to the key that was just written */
};

/* json.c, msgpack.c */
extern const struct emit_format emit_json;
extern const struct emit_format emit_msgpack;

/* NULL when there is no format of this name. */
const struct emit_format *emit_format_find(const char *name);

static inline struct emitter emitter_of(const struct emit_format *format, struct writer *out)
{
	return (struct emitter){.format = format, .out = out};
}

static inline void emit_map(struct emitter *e, unsigned pairs)
{
	e->format->map(e, pairs);
}

static inline void emit_array(struct emitter *e, unsigned items)
{
	e->format->array(e, items);
}

static inline void emit_end(struct emitter *e)
{
	e->format->end(e);
}

static inline void emit_boolean(struct emitter *e, bool v)
{
	e->format->boolean(e, v);
}

/* `number` / 10^decimals, exactly. decimals: 0 to EMIT_DECIMALS_MAX. */
static inline void emit_fixed(struct emitter *e, int64_t number, unsigned decimals)
{
	e->format->fixed(e, number, decimals);
}

static inline void emit_integer(struct emitter *e, int64_t number)
{
	e->format->fixed(e, number, 0);
}

/* Text of any bytes. Valid UTF-8 stays; every other byte becomes the character of the same number
 * (Latin-1), so that the output is always valid UTF-8 and nothing is lost. */
static inline void emit_text(struct emitter *e, struct span text)
{
	e->format->text(e, text);
}

static inline void emit_key(struct emitter *e, const char *key)
{
	e->format->key(e, span_text(key));
}

/* Copies pairs that this format wrote earlier, so that they need not be encoded again. `pairs` begins with the separator that stood in
 * front of the first of them; it is dropped where the copy opens a map. WRITER_SHORT bytes must be readable from pairs.ptr on.
 * `value_due`: the bytes end with a key, and the caller writes its value next. */
static inline void emit_again(struct emitter *e, struct span pairs, bool value_due)
{
	uint32_t bit = 1u << e->depth;
	if (!(e->not_first & bit))
		pairs = span_after(pairs, e->format->separator);
	e->not_first |= bit;
	e->after_key = value_due;
	writer_short(e->out, pairs);
}

static inline void emit_pair_text(struct emitter *e, const char *key, struct span text)
{
	emit_key(e, key);
	emit_text(e, text);
}

static inline void emit_pair_integer(struct emitter *e, const char *key, int64_t number)
{
	emit_key(e, key);
	emit_integer(e, number);
}

/* Length of the valid UTF-8 sequence that `s` begins with, or 0. */
size_t emit_utf8_length(struct span s);
/* Is all of it UTF-8? */
bool emit_is_utf8(struct span s);

#endif
