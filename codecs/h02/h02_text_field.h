// SPDX-License-Identifier: MIT
/* h02_text_field: one text frame as fields, and what a single field can set.
 * Uses: codecs/record.
 * Not: be included outside of codecs/h02. */
#ifndef T2M_H02_TEXT_FIELD_H
#define T2M_H02_TEXT_FIELD_H

#include "codecs/h02/h02_private.h"
#include "codecs/record/mark.h"

#define H02_FIELDS_MAX 1024 /* a frame of commas only */

/* One text frame, split: field 0 is the id, 1 the type, 2 the first one behind the type; each without blanks at its ends. */
struct h02_text {
	struct telemetry *t;
	struct span type;
	bool long_id;   /* 15 digits: a watch or clone, which writes cells another way */
	bool has_reply; /* the frame answers a command: `reply` is set */
	struct command_reply reply;
	struct span body;
	size_t count;
	struct span field[H02_FIELDS_MAX];
};

/* Splits what stands between `*XX,` and `#`. At most H02_FIELDS_MAX fields. */
void h02_split(struct h02_text *x, struct span body);
/* Empty when there is no such field. */
static inline struct span h02_field(const struct h02_text *x, size_t i)
{
	return i < x->count ? x->field[i] : span_of(NULL, 0);
}
/* From this field to the end of the frame, as sent. */
struct span h02_raw(const struct h02_text *x, size_t i);
/* Sets a parameter to the fields from `from` to before `to`, joined by commas. */
void h02_join(struct h02_text *x, enum telemetry_field field, size_t from, size_t to);

/* Sets the time from HHMMSS and DDMMYY; an empty one: no time is set. false: one of them is neither empty nor six digits. */
bool h02_put_clock_fields(struct h02_text *x, struct span time, struct span date);
/* false: not a status word; nothing is set. */
bool h02_put_status(struct h02_text *x, struct span s);
/* Sets the number of the SIM; nothing when the field does not look like one. */
void h02_put_iccid(struct h02_text *x, struct span s);
/* Cuts the time of the command, which a reply repeats, off its fields `from` to before `end`: the last field or the first one, when it
 * has six digits. Empty: there is none. */
struct span h02_take_echo(const struct h02_text *x, size_t *from, size_t *end);
/* A number times mul / div, in units of the parameter's decimals. false: the field is no such number; nothing is set. */
bool h02_put_decimal(struct h02_text *x, enum telemetry_field field, struct span s, int64_t mul, int64_t div);
bool h02_put_whole(struct h02_text *x, enum telemetry_field field, struct span s);
/* Sets the charge from a battery code; nothing when the field is no number up to 255. */
void h02_put_battery(struct h02_text *x, struct span s);
/* A signal level: 0 to 63 is RXLEV, above -110 dBm; a negative number is dBm; any other is unknown: false. */
bool h02_level_dbm(int64_t level, int16_t *dbm);
/* Which fields a network and a cell were read from. `dbm` 0: from none. */
static inline void h02_mark_network(struct h02_text *x, size_t mcc, size_t mnc)
{
	mark(x->t, h02_field(x, mcc), TM_GSM_MCC);
	mark(x->t, h02_field(x, mnc), TM_GSM_MNC);
}
static inline void h02_mark_cell(struct h02_text *x, int64_t n, size_t lac, size_t cellid, size_t dbm)
{
	mark_cell(x->t, h02_field(x, lac), TM_GSM_LAC, (unsigned)n);
	mark_cell(x->t, h02_field(x, cellid), TM_GSM_CELLID, (unsigned)n);
	if (dbm > 0)
		mark_cell(x->t, h02_field(x, dbm), TM_GSM_DBM, (unsigned)n);
}
/* The serving cell (n = 0) or a neighbour; lac and cellid: 0 is unknown. */
void h02_put_cell(struct h02_text *x, int64_t n, int64_t lac, int64_t cellid, bool has_dbm, int16_t dbm);

#endif
