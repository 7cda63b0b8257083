// SPDX-License-Identifier: MIT
/* telemetry: one record, the parameter table, and the one walk that writes a record.
 * Uses: nothing else.
 * Not: know any protocol, allocate, ask the time.
 *
 * A number is an integer that counts units of the last decimal of its row: a speed of 12.345 km/h is 12345. A text is a span that
 * somebody else owns: it must stay valid until the record is written. A parameter is absent when its presence bit is 0; no value
 * means "absent". */
#ifndef T2M_TELEMETRY_H
#define T2M_TELEMETRY_H

#include "codecs/record/bytes.h"
#include "codecs/record/emit.h"

enum telemetry_field {
#define FIELD(name, ...) TM_##name,
#include "codecs/record/telemetry_fields.h"
#undef FIELD
	/* must stay last */
	TM_FIELD_COUNT
};

enum param_type {
	PARAM_INTEGER = 0,
	PARAM_TEXT, /* min and max are lengths in bytes */
	PARAM_BOOLEAN,
	PARAM_ALARM, /* a boolean that raises an alarm when it becomes true */
};

struct param {
	const char *key;
	enum param_type type;
	uint8_t decimals;
	int64_t min, max;
	const char *unit, *help;
};

extern const struct param telemetry_params[TM_FIELD_COUNT];
/* The names of the types, for people; the index is the type. */
extern const char *const param_type_names[];

/* Sets of parameters are bits: the parameter `field` is bit field % 64 of word field / 64. */
#define TM_WORDS ((TM_FIELD_COUNT + 63) / 64)
#define TM_WORDS_MAX 8   /* 512 parameters: TM_FLAGS has a macro for each word */
#define TM_CELLS_MAX 176 /* as many as fit into the largest H02 text frame */

static inline void params_add(uint64_t *set, size_t field)
{
	set[field / 64] |= UINT64_C(1) << field % 64;
}

static inline bool params_have(const uint64_t *set, size_t field)
{
	return set[field / 64] >> field % 64 & 1;
}

static inline bool params_any(const uint64_t set[TM_WORDS])
{
	uint64_t all = 0;
	for (size_t i = 0; i < TM_WORDS; i++)
		all |= set[i];
	return all != 0;
}

struct telemetry_cell { /* a neighbour cell; 0: that part is absent */
	uint32_t lac, cellid;
	int16_t dbm;
	bool has_dbm;
};

#define TM_ITEMS_MAX 512 /* more than the largest JT/T 808 body can hold */

struct telemetry_item { /* a value that the table has no row for; its key is <prefix>0x<id>[.<repeat>] */
	const char *prefix;
	uint32_t id;
	uint8_t digits; /* hex digits of the id */
	uint8_t repeat; /* 0 for the first of this id, 2 for the second, and so on */
	enum item_form { ITEM_HEX = 0, ITEM_TEXT, ITEM_NUMBER } form;
	struct span value;
};

struct marker;

struct telemetry {
#ifdef T2M_MARKS
	struct marker
		*marker; /* who is told which bytes are what: see mark.h; NULL: nobody. No reset changes it. */
#endif
	uint64_t present[TM_WORDS];
	uint64_t rejected[TM_WORDS]; /* the frame carries it, but its value is out of range and was dropped */
	uint64_t alarms[TM_WORDS];   /* true now and not in the record before: see telemetry_raise */
	uint64_t truth[TM_WORDS];    /* values of booleans and alarms; 0 in the bits of all others */
	union {
		int64_t number;
		struct span text;
	} value[TM_FIELD_COUNT]; /* of numbers and texts */
	unsigned cell_count;
	struct telemetry_cell cells[TM_CELLS_MAX];
	unsigned item_count;
	struct telemetry_item items[TM_ITEMS_MAX];
	size_t scratch_len;
	uint8_t scratch[4096];
};

#ifdef T2M_MARKS
/* mark() and mark_settle() of mark.h. */
void telemetry_mark_text(struct telemetry *t, enum telemetry_field field, struct span text);
void telemetry_mark_settle(struct telemetry *t);
#else
static inline void telemetry_mark_text(struct telemetry *t, enum telemetry_field field, struct span text)
{
	(void)t;
	(void)field;
	(void)text;
}
static inline void telemetry_mark_settle(struct telemetry *t)
{
	(void)t;
}
#endif

/* Makes an empty record of any memory: needed before the first record and between two. With T2M_MARKS, `marker` must be set before. */
static inline void telemetry_reset(struct telemetry *t)
{
	telemetry_mark_settle(t);
	memset(t->present, 0, sizeof(t->present));
	memset(t->rejected, 0, sizeof(t->rejected));
	memset(t->alarms, 0, sizeof(t->alarms));
	memset(t->truth, 0, sizeof(t->truth));
	t->cell_count = 0;
	t->item_count = 0;
	t->scratch_len = 0;
}

/* What telemetry_set and telemetry_set_text need of the rows: here, so that a call which names its parameter costs no look into a table. */
struct telemetry_range {
	int64_t min, max;
	bool boolean;
};
static const struct telemetry_range telemetry_ranges[TM_FIELD_COUNT] = {
#define FIELD(name, key, type, decimals, min, max, ...) [TM_##name] = {min, max, PARAM_##type >= PARAM_BOOLEAN},
#include "codecs/record/telemetry_fields.h"
#undef FIELD
};

/* Sets a number or boolean (0 is false). Out of the range of its row: not set, but marked as rejected. */
static inline void telemetry_set(struct telemetry *t, enum telemetry_field field, int64_t number)
{
	const struct telemetry_range *r = &telemetry_ranges[field];
	if (number < r->min || number > r->max) {
		params_add(t->rejected, field);
		return;
	}
	params_add(t->present, field);
	if (!r->boolean) {
		t->value[field].number = number;
		return;
	}
	uint64_t bit = UINT64_C(1) << field % 64;
	t->truth[field / 64] = (t->truth[field / 64] & ~bit) | (number != 0 ? bit : 0);
}

/* Which boolean each bit of a status word is. Const tables of these are written as
 *	#define BITS(X) X(0, TM_SOS_ALARM) X(1, TM_OVERSPEEDING_EVENT)
 *	static const struct telemetry_flags bits = TM_FLAGS(BITS);
 * `all` is the set of these booleans: they become present at once, and only the bits that are 1, mostly few, are looked at one by
 * one. */
struct telemetry_flags {
	uint16_t field[32]; /* of each bit, plus one; 0: the bit is no boolean */
	uint64_t all[TM_WORDS_MAX];
};
#define TM_FLAG_FIELD(bit, field) [bit] = (field) + 1,
#define TM_FLAG_IN(word, field) ((field) / 64 == (word) ? UINT64_C(1) << (field) % 64 : 0) |
#define TM_FLAG_0(bit, field) TM_FLAG_IN(0, field)
#define TM_FLAG_1(bit, field) TM_FLAG_IN(1, field)
#define TM_FLAG_2(bit, field) TM_FLAG_IN(2, field)
#define TM_FLAG_3(bit, field) TM_FLAG_IN(3, field)
#define TM_FLAG_4(bit, field) TM_FLAG_IN(4, field)
#define TM_FLAG_5(bit, field) TM_FLAG_IN(5, field)
#define TM_FLAG_6(bit, field) TM_FLAG_IN(6, field)
#define TM_FLAG_7(bit, field) TM_FLAG_IN(7, field)
/* Versions of clang-format differ on braces in macros. */
/* clang-format off */
#define TM_FLAGS(rows)                                                                                         \
	{                                                                                                      \
		{rows(TM_FLAG_FIELD)},                                                                         \
		{                                                                                              \
			rows(TM_FLAG_0) 0, rows(TM_FLAG_1) 0, rows(TM_FLAG_2) 0, rows(TM_FLAG_3) 0,            \
				rows(TM_FLAG_4) 0, rows(TM_FLAG_5) 0, rows(TM_FLAG_6) 0, rows(TM_FLAG_7) 0     \
		}                                                                                              \
	}
/* clang-format on */
/* Sets all booleans of the table: true where the word has a 1. Where a 0 means true, give ~word. */
void telemetry_set_flags(struct telemetry *t, uint32_t word, const struct telemetry_flags *flags);

/* Sets a text. An empty one is absent; one whose length is out of the range of its row is rejected. The bytes are not copied. */
static inline void telemetry_set_text(struct telemetry *t, enum telemetry_field field, struct span text)
{
	const struct telemetry_range *r = &telemetry_ranges[field];
	if (text.len == 0)
		return;
	telemetry_mark_text(t, field, text);
	if ((int64_t)text.len < r->min || (int64_t)text.len > r->max) {
		params_add(t->rejected, field);
		return;
	}
	t->value[field].text = text;
	params_add(t->present, field);
}

/* For a text that does not stand in the frame as it is: write it into telemetry_scratch, then set it with telemetry_set_scratch,
 * before scratch is asked for again. The bytes stay in the record until it is reset. One that did not fit is rejected. */
static inline struct writer telemetry_scratch(struct telemetry *t)
{
	return writer_of(t->scratch + t->scratch_len, sizeof(t->scratch) - t->scratch_len);
}
static inline void telemetry_set_scratch(
	struct telemetry *t, enum telemetry_field field, const struct writer *w)
{
	if (w->full) {
		params_add(t->rejected, field);
		return;
	}
	t->scratch_len += w->len;
	telemetry_set_text(t, field, writer_span(w));
}

/* Marks as rejected a value that was not even set. */
void telemetry_reject(struct telemetry *t, enum telemetry_field field);
static inline bool telemetry_has(const struct telemetry *t, enum telemetry_field field)
{
	return params_have(t->present, field);
}
/* The value of a number or boolean; 0 when it is absent. */
static inline int64_t telemetry_number(const struct telemetry *t, enum telemetry_field field)
{
	if (!telemetry_has(t, field))
		return 0;
	return telemetry_ranges[field].boolean ? params_have(t->truth, field) : t->value[field].number;
}

/* Adds a neighbour cell. More than TM_CELLS_MAX are ignored: no frame can hold them. */
void telemetry_add_cell(struct telemetry *t, struct telemetry_cell cell);

/* Adds a value that the table has no row for, so that it is not lost. Neither `prefix` nor `value` is copied. `digits`: of the id in
 * the key, 2, 4, 6 or 8. ITEM_NUMBER: 1 to 4 bytes, big endian; ITEM_HEX: at most 1024 bytes. More than TM_ITEMS_MAX are ignored. */
void telemetry_add_item(struct telemetry *t, const char *prefix, uint32_t id, uint8_t digits,
	enum item_form form, struct span value);

/* Writes the key of such a value, without a NUL: at most 63 bytes. */
void telemetry_item_key(const struct telemetry_item *item, struct writer *out);

/* Sets t->alarms to the alarms that are true here and not in `before`, and answers whether there are any. `before` holds the booleans
 * of the unit as they were last reported (zero at first); those that this record carries replace theirs. */
bool telemetry_raise(struct telemetry *t, uint64_t before[TM_WORDS]);

/* What is written of the parameters and items under `custom.`: all of them; no boolean that is false and no number that is 0; none. */
enum telemetry_custom { CUSTOM_ALL = 0, CUSTOM_ACTIVE, CUSTOM_NONE };

/* One format, made ready to write records. For speed: all keys of the table as this format writes them, one behind the other in the
 * order of the table; the key of a boolean is followed by the value `false`. So booleans that are neighbours and false are written
 * with one copy. */
enum {
	TM_KEYS_BYTES = WRITER_SHORT + 16 /* what opens the map, and a pair that is never copied */
#define FIELD(name, key, ...) +(int)sizeof(key) + 8
#include "codecs/record/telemetry_fields.h"
#undef FIELD
};
struct telemetry_ready {
	uint16_t at;   /* where the key begins in `text` */
	uint8_t len;   /* of the key */
	uint8_t value; /* a number with so many decimals, or one of these: */
};
enum { READY_TEXT = EMIT_DECIMALS_MAX + 1, READY_BOOLEAN };
struct telemetry_keys {
	const struct emit_format *format;
	enum telemetry_custom custom;
	uint64_t never[TM_WORDS];        /* the parameters that are not written, */
	uint64_t unless_false[TM_WORDS]; /* the booleans that are written when they are true only, */
	uint64_t unless_zero[TM_WORDS];  /* and the numbers that are when they are not 0 */
	uint64_t booleans[TM_WORDS];     /* the parameters that are booleans or alarms */
	uint8_t yes[8];                  /* the value `true` */
	size_t yes_len;
	struct telemetry_ready ready[TM_FIELD_COUNT + 1];
	uint8_t text[TM_KEYS_BYTES];
};

/* Made once by whoever writes records, never for each record. Only read afterwards: several threads may share it. */
void telemetry_keys_make(
	struct telemetry_keys *keys, const struct emit_format *format, enum telemetry_custom custom);

/* Writes the record as one document of the format of `keys`. No room for it: `out` is full. */
void telemetry_emit(const struct telemetry *t, const struct telemetry_keys *keys, struct writer *out);

/* What walk.h leaves to others: writes this field, or so many booleans that are false, wherever there is room. */
void telemetry_emit_pairs(const struct telemetry *t, struct emitter *e, const struct telemetry_keys *keys,
	size_t field, size_t booleans);

#endif
