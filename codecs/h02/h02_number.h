// SPDX-License-Identifier: MIT
/* h02_number: numbers and coordinates as H02 text frames write them.
 * Uses: codecs/record.
 * Not: know field orders. */
#ifndef T2M_H02_NUMBER_H
#define T2M_H02_NUMBER_H

#include "codecs/record/bytes.h"

/* The number digits / 10^scale. */
struct h02_decimal {
	int64_t digits;
	unsigned scale;
};

/* 1 to 10 digits, with a minus in front when `negative` allows it. false, here and below: it is no such number. */
bool h02_whole(struct span s, bool negative, int64_t *out);

/* 1 to 8 hex digits. */
bool h02_hex(struct span s, int64_t *out);

/* Nothing, or `null`: the unit says that it does not know. */
static inline bool h02_is_empty(struct span s)
{
	return s.len == 0 || (s.ptr[0] == 'n' && span_is(s, "null"));
}

/* Digits with at most one point. In front of it at most 9, leading zeros not counted; behind it those after the ninth are dropped.
 * One for which h02_is_empty says yes is 0 when `empty` allows it. */
bool h02_decimal(struct span s, bool empty, struct h02_decimal *out);

/* d * mul / div with `decimals` decimals, rounded to the nearest. */
int64_t h02_scaled(struct h02_decimal d, int64_t mul, int64_t div, unsigned decimals);

/* Degrees and minutes, absolute, in 1e-7 degrees: DDMM.MMMM, DD-MM.MMMM, or DDMMMMMM without a point. One that does not exist, with 60
 * minutes for example, gives INT64_MAX. */
bool h02_coordinate(struct span s, int64_t *out);

#endif
