// SPDX-License-Identifier: MIT
/* test_log: a line is one line, whatever is in it; a flood of lines is counted; a topic is one that brokers take. */
#include "harness.h"

#include "bridge/base/log.h"
#include "bridge/base/topic.h"

#include <stdlib.h>

/* What the line is, with its newline; free it. */
static char *line_of(const char *text)
{
	char *line;
	size_t size;
	FILE *out = open_memstream(&line, &size);
	log_fault(out, "%s", text);
	fclose(out);
	return line;
}

static void test_escaped(void **state)
{
	static const char *const rows[][2] = {
		{"plain, with \\x0a as text", "plain, with \\x0a as text\n"},
		{"Z\xc3\xbcrich \xe2\x82\xac \xf0\x9f\x9a\x9a",
			"Z\xc3\xbcrich \xe2\x82\xac \xf0\x9f\x9a\x9a\n"},
		{"a\nrefused 203.0.113.5: tls", "a\\x0arefused 203.0.113.5: tls\n"},
		{"\r\t\x1b[31m\x7f", "\\x0d\\x09\\x1b[31m\\x7f\n"},
		{"\xc2\x85\xc2\x9b\xc2\xa0", "\\xc2\\x85\\xc2\\x9b\xc2\xa0\n"},
		{"\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xa7", "\\xe2\\x80\\xa8\\xe2\\x80\\xa9\xe2\x80\xa7\n"},
		{"\xe2\x80\xae\xe2\x81\xa6\xe2\x80\x8f", "\\xe2\\x80\\xae\\xe2\\x81\\xa6\\xe2\\x80\\x8f\n"},
		{"\xff\xc3 \xed\xa0\x80\xc0\x8a", "\\xff\\xc3 \\xed\\xa0\\x80\\xc0\\x8a\n"},
		{"\xe2\x80", "\\xe2\\x80\n"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *line = line_of(rows[i][0]);
		assert_string_equal(line, rows[i][1]);
		free(line);
	}
}

static void test_every_byte_and_every_pair(void **state)
{
	(void)state;
	for (unsigned a = 1; a < 256; a++) {
		for (unsigned b = 0; b < 256; b++) {
			const char text[] = {(char)a, (char)b, 'z', '\0'};
			char *line = line_of(text);
			size_t n = strlen(line);
			assert_true(line[n - 1] == '\n');
			for (size_t i = 0; i < n - 1; i++)
				assert_true((uint8_t)line[i] >= 0x20 && line[i] != 0x7f);
			free(line);
		}
	}
}

static void test_long_lines_are_cut(void **state)
{
	static char text[9000];
	(void)state;
	for (unsigned c = 0; c < 2; c++) {
		memset(text, c == 0 ? 'a' : '\n', sizeof(text) - 1);
		char *line = line_of(text);
		assert_in_range(strlen(line), 1000, 2500);
		assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
		free(line);
	}
}

static void test_frames(void **state)
{
	static const uint8_t binary[] = {'x', 'x', 0x0d, 0x01}, latin[] = {'*', 'H', 'Q', 0xe4};
	static uint8_t big[3000];
	(void)state;
	assert_string_equal(log_frame(span_text("*HQ,1,V1#")).text, "*HQ,1,V1#");
	assert_string_equal(log_frame(span_text("$$A\\\r\n")).text, "$$A\\x5c\\x0d\\x0a");
	assert_string_equal(log_frame(span_of(binary, sizeof(binary))).text, "78780D01");
	assert_string_equal(log_frame(span_of(latin, sizeof(latin))).text, "2A4851E4");
	assert_string_equal(log_frame(span_of(NULL, 0)).text, "");
	for (size_t len = 180; len < 210; len++) {
		struct log_frame shown = log_frame(span_of(big, len));
		size_t digits = strspn(shown.text, "0");
		assert_true(digits == 2 * len ? shown.text[digits] == '\0'
					      : strcmp(shown.text + digits, "...") == 0);
		assert_in_range(digits, 360, 396);
	}
	memset(big, 'a', sizeof(big));
	assert_string_equal(
		log_frame(span_of(big, sizeof(big))).text, log_bytes(span_of(big, sizeof(big))).text);
}

static void test_limit(void **state)
{
	struct log_limit limit = {0};
	unsigned written = 0;
	(void)state;
	for (int64_t ms = 1000; ms < 61000; ms += 10)
		written += log_limit_take(&limit, 5, ms) ? 1 : 0;
	assert_int_equal(written, 5);
	assert_int_equal(log_limit_rest(&limit, 60999), 0);
	for (int64_t ms = 61000; ms < 121000; ms += 10) /* nobody asks for the rest meanwhile */
		written += log_limit_take(&limit, 5, ms) ? 1 : 0;
	assert_int_equal(written, 10);
	assert_int_equal(log_limit_rest(&limit, 121000), 2 * 5995);
	assert_int_equal(log_limit_rest(&limit, 200000), 0);
	assert_true(log_limit_take(&limit, 5, 200001));
}

static void test_reserved_idents(void **state)
{
	(void)state;
	assert_false(topic_ident_ok(span_text("bridge")));
	assert_false(topic_ident_ok(span_text("unknown")));
	assert_true(topic_ident_ok(span_text("bridge1")) && topic_ident_ok(span_text("Unknown")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escaped),
		cmocka_unit_test(test_every_byte_and_every_pair),
		cmocka_unit_test(test_long_lines_are_cut),
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_reserved_idents),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
