// SPDX-License-Identifier: MIT
/* show: values as people read them: text on one line, numbers with their unit, dates.
 * Uses: codecs/record.
 * Not: know where they stood. */
#ifndef T2M_SHOW_H
#define T2M_SHOW_H

#include "codecs/record/telemetry.h"

/* All but printable ASCII as \xNN. No room for all of it: as much as fits, and `w` is full. */
void show_text(struct writer *w, struct span text);
/* A number that counts units of its last decimal. */
void show_number(struct writer *w, int64_t number, unsigned decimals);
/* A blank and the unit of the parameter; nothing when it has none. */
void show_unit(struct writer *w, const struct param *param);
/* Is it a moment, in seconds since 1970? */
bool show_is_moment(const struct param *param);
/* 2016-12-13T12:35:06Z */
void show_moment(struct writer *w, int64_t unix_s);
/* The value that the record has of this parameter, with unit; of a moment with its date. Nothing: it has none. */
void show_value(struct writer *w, const struct telemetry *t, enum telemetry_field field);

#endif
