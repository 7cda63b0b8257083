// SPDX-License-Identifier: MIT
/* h02_number: see h02_number.h. */
#include "codecs/h02/h02_number.h"

#define DIGITS_MAX 9
#define WHOLE_MAX 999999999

bool h02_whole(struct span s, bool negative, int64_t *out)
{
	bool minus = negative && s.len > 1 && s.ptr[0] == '-';
	if (minus)
		s = span_after(s, 1);
	if (s.len == 0 || s.len > 10)
		return false;
	int64_t v = 0;
	for (size_t i = 0; i < s.len; i++) {
		if (!byte_is_digit(s.ptr[i]))
			return false;
		v = v * 10 + (s.ptr[i] - '0');
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

bool h02_decimal(struct span s, bool empty, struct h02_decimal *out)
{
	*out = (struct h02_decimal){0};
	if (empty && h02_is_empty(s))
		return true;
	int64_t v = 0;
	size_t i = 0, point, scale = 0;
	for (; i < s.len && byte_is_digit(s.ptr[i]); i++) {
		v = v * 10 + (s.ptr[i] - '0');
		if (v > WHOLE_MAX)
			return false;
	}
	point = i;
	if (i < s.len && s.ptr[i] == '.') {
		for (i++; i < s.len && byte_is_digit(s.ptr[i]); i++)
			if (scale < DIGITS_MAX) {
				v = v * 10 + (s.ptr[i] - '0');
				scale++;
			}
	}
	*out = (struct h02_decimal){v, (unsigned)scale};
	return i == s.len && (point > 0 || scale > 0);
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

/* From degrees and minutes, each as a text. */
static bool from_parts(struct span degrees, struct span minutes, int64_t *out)
{
	struct h02_decimal d, m;
	if (!h02_decimal(degrees, true, &d) || !h02_decimal(minutes, false, &m))
		return false;
	if (d.digits > 180 || m.digits >= 60 * power10(m.scale))
		*out = INT64_MAX;
	else
		*out = d.digits * 10000000 + h02_scaled(m, 1, 60, 7);
	return true;
}

bool h02_coordinate(struct span s, int64_t *out)
{
	if (s.len > 1 && s.ptr[0] == '-')
		s = span_after(s, 1);
	size_t dash = s.len, point = s.len;
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '-' && dash == s.len)
			dash = i;
		if (s.ptr[i] == '.' && point == s.len)
			point = i;
	}
	if (dash < s.len)
		return from_parts(span_of(s.ptr, dash), span_after(s, dash + 1), out);
	if (point < s.len) {
		size_t degrees = point > 2 ? point - 2 : 0;
		return from_parts(span_of(s.ptr, degrees), span_after(s, degrees), out);
	}
	/* no point: the last six digits are minutes in 1/10000 */
	size_t degrees = s.len > 6 ? s.len - 6 : 0;
	struct h02_decimal d, m;
	if (!h02_decimal(span_of(s.ptr, degrees), true, &d) || !h02_decimal(span_after(s, degrees), false, &m))
		return false;
	if (d.digits > 180 || m.digits >= 600000)
		*out = INT64_MAX;
	else
		*out = d.digits * 10000000 + h02_scaled(m, 1, 600000, 7);
	return true;
}
