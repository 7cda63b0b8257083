// SPDX-License-Identifier: MIT
/* test_numbers: numbers are read and written exactly. */
#include "harness.h"

#include "codecs/h02/h02_number.h"

#include <inttypes.h>
#include <stdio.h>

static void test_numbers_are_exact(void **state)
{
	(void)state;
	static const struct {
		int64_t number;
		unsigned decimals;
		const char *json;
	} rows[] = {{0, 0, "0"}, {0, 7, "0"}, {-5, 1, "-0.5"}, {1234567890, 7, "123.456789"}, {100, 2, "1"},
		{INT64_MAX, 0, "9223372036854775807"}, {INT64_MIN, 0, "-9223372036854775808"},
		{1, 8, "0.00000001"}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char buf[64];
		struct writer w = writer_of(buf, sizeof(buf));
		struct emitter e = emitter_of(&emit_json, &w);
		emit_fixed(&e, rows[i].number, rows[i].decimals);
		assert_true(span_is(writer_span(&w), rows[i].json));
	}
}

/* Numbers of each length, with each number of decimals. */
static void test_numbers_are_those_of_printf(void **state)
{
	(void)state;
	uint64_t random = 1;
	for (size_t i = 0; i < 200000; i++) {
		char buf[64], want[64];
		random = random * 6364136223846793005u + 1442695040888963407u;
		unsigned shift = (unsigned)(random >> 58);
		uint64_t v = (random ^ random << 32) >> shift;
		if (i % 4 == 0 && shift < 20) /* the ends of a length */
			for (v = 1; shift > 0; shift--)
				v *= 10;
		v -= i % 8 == 4 && v > 0;
		struct writer w = writer_of(buf, sizeof(buf));
		unsigned zeros = (unsigned)(i % 21);
		writer_decimal(&w, v, zeros);
		snprintf(want, sizeof(want), "%0*" PRIu64, (int)zeros, v);
		assert_true(span_is(writer_span(&w), want));
		unsigned decimals = (unsigned)(i % (EMIT_DECIMALS_MAX + 1));
		int64_t number = (int64_t)(v >> 1) * (i % 2 == 0 ? 1 : -1), scale = power10(decimals);
		w.len = 0;
		struct emitter e = emitter_of(&emit_json, &w);
		emit_fixed(&e, number, decimals);
		int len = snprintf(
			want, sizeof(want), "%s%" PRId64, number < 0 ? "-" : "", (int64_t)(v >> 1) / scale);
		if ((int64_t)(v >> 1) % scale != 0) {
			len += snprintf(want + len, sizeof(want) - (size_t)len, ".%0*" PRId64, (int)decimals,
				(int64_t)(v >> 1) % scale);
			while (want[len - 1] == '0')
				want[--len] = '\0';
		}
		assert_true(span_is(writer_span(&w), want));
	}
}

/* Also where a product of 64 bits is too small. */
static void test_scaled_numbers_are_exact(void **state)
{
	(void)state;
	static const struct {
		struct h02_decimal d;
		int64_t mul, div;
		unsigned decimals;
		int64_t want;
	} rows[] = {
		{{1, 0}, 1, 1, 0, 1},
		{{15, 1}, 1, 1, 0, 2},
		{{25, 1}, 1, 1, 0, 3},
		{{5, 1}, 1852, 1000, 3, 926},
		{{999999999, 0}, 1852, 1000, 3, 1851999998148},
		{{999999999999999999, 9}, 1852, 1000, 3, 1852000000000},
		{{999999999999999999, 9}, 1852, 3600 * 1000, 3, 514444444},
		{{123456789123456789, 9}, 1852, 3600 * 1000, 3, 63511659},
		{{59999999999, 9}, 1, 60, 7, 10000000},
		{{59123456789, 9}, 1, 60, 7, 9853909},
		{{599999, 0}, 1, 600000, 7, 9999983},
		{{999999999999999999, 9}, 1, 1, 7, 9999999999999999LL + 1},
		{{999999999999999999, 9}, 1, 10, 3, 100000000000},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(
			h02_scaled(rows[i].d, rows[i].mul, rows[i].div, rows[i].decimals), rows[i].want);
}

/* Every text of these characters, the empty one as units' frames give it: without a place. */
static void test_short_texts_are_numbers_or_none(void **state)
{
	(void)state;
	static const char alphabet[] = "09.-";
	for (unsigned n = 0; n < 1 + 4 + 16 + 64 + 256; n++) {
		char text[5] = "";
		size_t len = 0, digits = 0, points = 0, others = 0;
		for (unsigned left = n; left > 0; left = (left - 1) / 4) {
			char c = alphabet[(left - 1) % 4];
			text[len++] = c;
			digits += c == '0' || c == '9';
			points += c == '.';
			others += c == '-';
		}
		struct span s = len > 0 ? span_text(text) : span_of(NULL, 0);
		struct h02_decimal d;
		int64_t place;
		bool number = digits > 0 && points <= 1 && others == 0;
		assert_int_equal(h02_decimal(s, false, &d), number);
		assert_int_equal(h02_decimal(s, true, &d), number || len == 0);
		if (digits == 0)
			assert_false(h02_coordinate(s, &place));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_short_texts_are_numbers_or_none),
		cmocka_unit_test(test_numbers_are_exact),
		cmocka_unit_test(test_numbers_are_those_of_printf),
		cmocka_unit_test(test_scaled_numbers_are_exact),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
