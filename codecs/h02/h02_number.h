/* h02_number: numbers and coordinates as H02 text frames write them.
 * May use: bytes. May not: know field orders. */
#ifndef T2M_H02_NUMBER_H
#define T2M_H02_NUMBER_H

#include "codecs/record/bytes.h"

/* digits / 10^scale */
struct h02_decimal {
	int64_t digits;
	unsigned scale;
};

/* 1 to 10 digits (R-NUM), with a sign when `negative` allows it. */
bool h02_whole(struct span s, bool negative, int64_t *out);

/* 1 to 8 hex digits. */
bool h02_hex(struct span s, int64_t *out);

/* Digits with at most one point; at most 9 before it, leading zeros aside; what is behind the ninth
 * decimal is dropped. Empty and `null` are 0 when `empty` allows it. */
bool h02_decimal(struct span s, bool empty, struct h02_decimal *out);

/* d * mul / div with `decimals` decimals, rounded to the nearest. */
int64_t h02_scaled(struct h02_decimal d, int64_t mul, int64_t div, unsigned decimals);

/* DDMM.MMMM in all its variants (h02.md 3.1), absolute, in 1e-7 degrees; impossible ones give INT64_MAX.
 * false: not a coordinate at all. */
bool h02_coordinate(struct span s, int64_t *out);

#endif
