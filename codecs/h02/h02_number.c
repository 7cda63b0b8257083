// SPDX-License-Identifier: MIT
/* h02_number: see h02_number.h. */
#include "codecs/h02/h02_number.h"

#define DIGITS_MAX 9

bool h02_whole(struct span s, bool negative, int64_t *out)
{
	bool minus = negative && s.len > 1 && s.ptr[0] == '-';
	if (minus)
		s = span_after(s, 1);
	if (s.len == 0 || s.len > 10)
		return false;
	int64_t v = 0;
	for (const uint8_t *c = s.ptr, *end = c + s.len; c < end; c++) {
		unsigned digit = (unsigned)*c - '0';
		if (digit > 9)
			return false;
		v = v * 10 + digit;
	}
	*out = minus ? -v : v;
	return true;
}

bool h02_hex(struct span s, int64_t *out)
{
	if (s.len == 0 || s.len > 8)
		return false;
	*out = 0;
	for (size_t i = 0; i < s.len; i++) {
		int n = byte_hex(s.ptr[i]);
		if (n < 0)
			return false;
		*out = *out * 16 + n;
	}
	return true;
}

/* The digits from `c` on, behind those in `v`; where they end. */
static const uint8_t *take_digits(const uint8_t *c, const uint8_t *end, uint64_t *v)
{
	for (; c < end; c++) {
		unsigned digit = (unsigned)*c - '0';
		if (digit > 9)
			break;
		*v = *v * 10 + digit;
	}
	return c;
}

bool h02_decimal(struct span s, bool empty, struct h02_decimal *out)
{
	*out = (struct h02_decimal){0};
	if (s.len == 0 || (empty && h02_is_empty(s)))
		return empty;
	uint64_t v = 0;
	const uint8_t *first = s.ptr, *end = s.ptr + s.len;
	while (first < end && *first == '0')
		first++;
	const uint8_t *c = take_digits(first, end, &v);
	bool any = c > s.ptr;
	if (c - first > DIGITS_MAX)
		return false;
	if (c < end && *c == '.') {
		const uint8_t *point = c++;
		c = take_digits(c, end - c > DIGITS_MAX ? c + DIGITS_MAX : end, &v);
		out->scale = (unsigned)(c - point - 1);
		while (c < end && byte_is_digit(*c))
			c++;
	}
	out->digits = (int64_t)v;
	return c == end && (any || out->scale > 0);
}

int64_t h02_scaled(struct h02_decimal d, int64_t mul, int64_t div, unsigned decimals)
{
	unsigned both = decimals < d.scale ? decimals : d.scale; /* powers of ten that cancel out */
	int64_t up = mul * power10(decimals - both), down = div * power10(d.scale - both), number;
	if (!__builtin_mul_overflow(d.digits, up, &number) && number <= INT64_MAX - down / 2)
		return (number + down / 2) / down;
	/* the product is too large: divide first. up * down fits: they are at most 1852 and 3600000 * 10^9 */
	return d.digits / down * up + (d.digits % down * up + down / 2) / down;
}

/* In 1e-7 degrees. */
static int64_t from_minutes(int64_t degrees, struct h02_decimal minutes)
{
	if (degrees > 180 || minutes.digits >= 60 * power10(minutes.scale))
		return INT64_MAX;
	return degrees * 10000000 + h02_scaled(minutes, 1, 60, 7);
}

/* Each of the two as a text. `scale`: of minutes that have no point. */
static bool from_parts(struct span degrees, struct span minutes, unsigned scale, int64_t *out)
{
	struct h02_decimal d, m;
	if (!h02_decimal(degrees, true, &d) || !h02_decimal(minutes, false, &m))
		return false;
	if (m.scale == 0)
		m.scale = scale;
	*out = from_minutes(d.digits, m);
	return true;
}

bool h02_coordinate(struct span s, int64_t *out)
{
	if (s.len > 1 && s.ptr[0] == '-')
		s = span_after(s, 1);
	struct h02_decimal d;
	if (h02_decimal(s, false, &d) && d.scale > 0) { /* as nearly all units write it: read at once */
		int64_t degree = 100 * power10(d.scale);
		*out = from_minutes(d.digits / degree, (struct h02_decimal){d.digits % degree, d.scale});
		return true;
	}
	size_t dash = s.len, point = s.len;
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '-' && dash == s.len)
			dash = i;
		if (s.ptr[i] == '.' && point == s.len)
			point = i;
	}
	if (dash < s.len)
		return from_parts(span_of(s.ptr, dash), span_after(s, dash + 1), 0, out);
	if (point < s.len) {
		size_t degrees = point > 2 ? point - 2 : 0;
		return from_parts(span_of(s.ptr, degrees), span_after(s, degrees), 0, out);
	}
	/* no point: the last six digits are minutes in 1/10000 */
	size_t degrees = s.len > 6 ? s.len - 6 : 0;
	return from_parts(span_of(s.ptr, degrees), span_after(s, degrees), 4, out);
}
