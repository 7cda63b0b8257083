/* h02_text: what the files of the text half share.
 * May use: h02. May not: be included outside of codecs/h02_text*.c. */
#ifndef T2M_H02_TEXT_H
#define T2M_H02_TEXT_H

#include "codecs/h02/h02.h"

#define H02_FIELDS_MAX 1024 /* a frame of commas only */

/* One text frame, split: field 0 is the id, 1 the type, 2 the first one behind the type; trimmed. */
struct h02_text {
	struct telemetry *t;
	struct span type;
	bool long_id; /* 15 digits: watches and clones, other cell numbers */
	bool has_reply;
	struct command_reply reply;
	struct span body;
	size_t count;
	struct span field[H02_FIELDS_MAX];
	size_t start[H02_FIELDS_MAX];
};

/* Empty when there is no such field. */
static inline struct span h02_field(const struct h02_text *x, size_t i)
{
	return i < x->count ? x->field[i] : span_of(NULL, 0);
}
/* From this field to the end of the frame, as sent. */
struct span h02_raw(const struct h02_text *x, size_t i);
/* The fields from `from` to before `to`, joined by commas, as a parameter. */
void h02_join(struct h02_text *x, enum telemetry_field field, size_t from, size_t to);
/* HHMMSS and DDMMYY, each may be empty; false: neither. An impossible time leaves it out (R-TIME). */
bool h02_clock(struct h02_text *x, struct span time, struct span date);
/* false: not a status word. */
bool h02_status_field(struct h02_text *x, struct span s);
void h02_iccid(struct h02_text *x, struct span s);

/* The message types with a layout of their own. `at`: the field with the time. */
enum codec_status h02_block(struct h02_text *x, size_t at);
enum codec_status h02_confirmation(struct h02_text *x);
enum codec_status h02_nbr(struct h02_text *x);
enum codec_status h02_cell_report(struct h02_text *x);
enum codec_status h02_vp1(struct h02_text *x);

/* Sets a parameter from a field; false: it is no such number. */
bool h02_put_decimal(struct h02_text *x, enum telemetry_field field, struct span s, int64_t mul, int64_t div);
bool h02_put_whole(struct h02_text *x, enum telemetry_field field, struct span s);
void h02_put_battery(struct h02_text *x, struct span s);
/* The serving cell (n = 0) or a neighbour, with an optional level; 0 is unknown. */
void h02_put_cell(struct h02_text *x, int64_t n, int64_t lac, int64_t cellid, bool has_dbm, int16_t dbm);

/* Fields behind the status word (h02.md 3.5), from `at` to the end. */
void h02_tail(struct h02_text *x, size_t at);

#endif
