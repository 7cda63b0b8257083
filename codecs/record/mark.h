// SPDX-License-Identifier: MIT
/* mark: which bytes of a frame a codec has read, and as what, for tracker2mqtt-decode --explain.
 * Uses: nothing else.
 * Not: read anything a second time, know how a mark is shown.
 *
 * A codec marks where it reads: mark(t, reader_last(&r, 2), TM_SPEED). The value is not given: it is what the record has in the end.
 * Texts and items are marked by telemetry_set_text and telemetry_add_item themselves. Only a build with T2M_MARKS has marks; in the
 * bridge all that stands here is empty and costs no instruction. Bytes that do not stand in the frame at hand are ignored. */
#ifndef T2M_MARK_H
#define T2M_MARK_H

#include "codecs/record/telemetry.h"

struct mark {
	struct span bytes;
	const char *name;           /* what no parameter holds; NULL: it is `field` */
	enum telemetry_field field; /* with `cell`: of that neighbour, 1 and on */
	unsigned cell;
	const struct telemetry_flags *bits; /* not NULL: the bytes end with these flags */
	const struct telemetry_item *item;  /* not NULL: the value has no row in the table */
	const int64_t *number;              /* of `name`; NULL: none */
};

/* Who takes the marks; see bridge/decode/explain.c. */
struct marker {
	void (*mark)(struct marker *marker, const struct mark *mark);
	/* The byte at `to` is a copy of the one, or of the escaped pair, that begins at `from`. Told for each byte in order, and at
	 * last for the end behind them. */
	void (*copied)(struct marker *marker, const uint8_t *to, const uint8_t *from);
	/* These are the bytes of all parts of a message, in order. */
	void (*message)(struct marker *marker, struct span whole);
	/* The record is about to be reset: what was marked until now is in it. */
	void (*settle)(struct marker *marker, const struct telemetry *t);
};

#ifdef T2M_MARKS
#define MARKER(t) ((t)->marker)
#else
#define MARKER(t) ((void)(t), (struct marker *)NULL)
#endif

static inline void mark_put(struct telemetry *t, const struct mark *m)
{
	if (MARKER(t) != NULL && m->bytes.len > 0)
		MARKER(t)->mark(MARKER(t), m);
}

/* These bytes are this parameter. */
static inline void mark(struct telemetry *t, struct span bytes, enum telemetry_field field)
{
	const struct mark m = {.bytes = bytes, .field = field};
	mark_put(t, &m);
}

/* The same of the neighbour cell `cell`, counted from 1; 0: of the serving cell. */
static inline void mark_cell(struct telemetry *t, struct span bytes, enum telemetry_field field, unsigned cell)
{
	const struct mark m = {.bytes = bytes, .field = field, .cell = cell};
	mark_put(t, &m);
}

/* These bytes are what no parameter holds: a mark of the frame, a length, a check code. `name`: a literal. */
static inline void mark_name(struct telemetry *t, struct span bytes, const char *name)
{
	const struct mark m = {.bytes = bytes, .name = name};
	mark_put(t, &m);
}

/* The same of a number. */
static inline void mark_number(struct telemetry *t, struct span bytes, const char *name, int64_t number)
{
	const struct mark m = {.bytes = bytes, .name = name, .number = &number};
	mark_put(t, &m);
}

/* These bytes are this parameter, and each bit is the boolean that the table says. */
static inline void mark_bits(
	struct telemetry *t, struct span bytes, enum telemetry_field field, const struct telemetry_flags *bits)
{
	const struct mark m = {.bytes = bytes, .field = field, .bits = bits};
	mark_put(t, &m);
}

static inline void mark_item(struct telemetry *t, const struct telemetry_item *item)
{
	const struct mark m = {.bytes = item->value, .item = item};
	mark_put(t, &m);
}

static inline void mark_copied(struct telemetry *t, const uint8_t *to, const uint8_t *from)
{
	if (MARKER(t) != NULL)
		MARKER(t)->copied(MARKER(t), to, from);
}

/* The same for each byte of `from`. */
static inline void mark_copied_all(struct telemetry *t, const uint8_t *to, struct span from)
{
	for (size_t i = 0; MARKER(t) != NULL && i < from.len; i++)
		MARKER(t)->copied(MARKER(t), to + i, from.ptr + i);
}

static inline void mark_message(struct telemetry *t, struct span whole)
{
	if (MARKER(t) != NULL)
		MARKER(t)->message(MARKER(t), whole);
}

static inline void mark_settle(struct telemetry *t)
{
	if (MARKER(t) != NULL)
		MARKER(t)->settle(MARKER(t), t);
}

#undef MARKER
#endif
