/* telemetry: one record, the parameter table, and the one walk that writes a record.
 * May use: bytes, emit.
 * May not: know any protocol, allocate, ask the time.
 *
 * Numbers are integers with the scale of the table ("decimals"); texts are spans that stay valid until
 * `decode` returns. What is absent has no presence bit; there is no other way to say absent. */
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
extern const char *const param_type_names[];

#define TM_WORDS ((TM_FIELD_COUNT + 63) / 64)
#define TM_CELLS_MAX 176 /* as many as fit into the largest H02 text frame */

struct telemetry_cell { /* a neighbour cell; 0 = absent, for each of them */
	uint32_t lac, cellid;
	int16_t dbm;
	bool has_dbm;
};

#define TM_ITEMS_MAX 512 /* more than the largest JT/T 808 body can hold */

struct telemetry_item { /* something without a name: <prefix>0x<id> */
	const char *prefix;
	uint32_t id;
	uint8_t digits; /* hex digits of the id */
	uint8_t repeat; /* 0, or 2 for the second of this id, and so on: a suffix */
	enum item_form { ITEM_HEX = 0, ITEM_TEXT, ITEM_NUMBER } form;
	struct span value;
};

struct telemetry {
	uint64_t present[TM_WORDS];
	uint64_t rejected[TM_WORDS]; /* carried by the frame, but out of range: left out */
	uint64_t alarms[TM_WORDS];   /* newly raised; set by the bridge for the alarm topic */
	uint64_t truth[TM_WORDS];    /* values of booleans and alarms */
	union {
		int64_t number;
		struct span text;
	} value[TM_FIELD_COUNT]; /* of all others */
	unsigned cell_count;
	struct telemetry_cell cells[TM_CELLS_MAX];
	unsigned item_count;
	struct telemetry_item items[TM_ITEMS_MAX];
	size_t scratch_len;
	uint8_t scratch[4096];
};

void telemetry_reset(struct telemetry *t);

/* Sets a number or boolean. Out of the table's range: not set, but marked as rejected. */
void telemetry_set(struct telemetry *t, enum telemetry_field field, int64_t number);

/* Booleans that lie in a status word. Made from a list of rows, X(bit, field), with TM_FLAGS; most words have few bits set, so
 * only those are looked at one by one. */
struct telemetry_flags {
	uint16_t field[32]; /* of each bit, plus one; 0: not one of them */
	uint64_t all[TM_WORDS];
};
#define TM_FLAG_FIELD(bit, field) [bit] = (field) + 1,
#define TM_FLAG_IN(word, field) ((field) / 64 == (word) ? UINT64_C(1) << (field) % 64 : 0) |
#define TM_FLAG_0(bit, field) TM_FLAG_IN(0, field)
#define TM_FLAG_1(bit, field) TM_FLAG_IN(1, field)
#define TM_FLAG_2(bit, field) TM_FLAG_IN(2, field)
#define TM_FLAGS(rows)                                                                                         \
	{                                                                                                      \
		{rows(TM_FLAG_FIELD)},                                                                         \
		{                                                                                              \
			rows(TM_FLAG_0) 0, rows(TM_FLAG_1) 0, rows(TM_FLAG_2) 0                                \
		}                                                                                              \
	}
/* A 1 bit is true; for negative logic give ~word. */
void telemetry_set_flags(struct telemetry *t, uint32_t word, const struct telemetry_flags *flags);

/* Sets a text; an empty one is absent, a too long one is rejected. The bytes are not copied. */
void telemetry_set_text(struct telemetry *t, enum telemetry_field field, struct span text);

/* Room for a text that is not in the frame as it is: write, then telemetry_set_scratch. */
struct writer telemetry_scratch(struct telemetry *t);
void telemetry_set_scratch(struct telemetry *t, enum telemetry_field field, const struct writer *w);

void telemetry_reject(struct telemetry *t, enum telemetry_field field);
bool telemetry_has(const struct telemetry *t, enum telemetry_field field);
/* 0 when absent. */
int64_t telemetry_number(const struct telemetry *t, enum telemetry_field field);

/* The next neighbour cell; one more than TM_CELLS_MAX is ignored (no frame can hold it). */
void telemetry_add_cell(struct telemetry *t, struct telemetry_cell cell);

/* Something without a name, so that it is not lost; one more than TM_ITEMS_MAX is ignored. A number has 1 to 4
 * bytes, big endian. */
void telemetry_add_item(struct telemetry *t, const char *prefix, uint32_t id, uint8_t digits,
	enum item_form form, struct span value);

/* Finds alarms that are true here and were not in `before`; sets t->alarms; updates `before` by the
 * alarms that this record carries. True when there is a new one. */
bool telemetry_raise(struct telemetry *t, uint64_t before[TM_WORDS]);

/* Writes the record as one map. The first use of a format prepares its keys: not from two threads at once. */
void telemetry_emit(const struct telemetry *t, struct emitter *e);

#endif
