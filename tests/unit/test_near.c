// SPDX-License-Identifier: MIT
/* test_near: which name somebody meant, and when none is near enough to be named. */
#include "harness.h"

#include "bridge/base/near.h"

static void test_what_is_near(void **state)
{
	(void)state;
	static const struct {
		const char *word, *near; /* NULL: none */
	} rows[] = {
		{"hsot", "host"},
		{"Host", "host"},
		{"hots", "host"},
		{"hos", "host"},
		{"ghost", "host"},
		{"prot", "port"},
		{"user", "username"},
		{"passwd", "password"},
		{"pasword_file", "password_file"},
		{"engine.stopp", "engine.stop"},
		{"engine-stop", "engine.stop"},
		{"stop", "engine.stop"},
		{"host", "host"},
		{"foo.bar", NULL},
		{"colour", NULL},
		{"", NULL},
		{"h", NULL},
		{"x", NULL},
		{"tls", NULL},
		{"a.very.long.word.that.no.option.has.and.that.is.longer.than.all.of.them", NULL},
	};
	static const char *const names[] = {"port", "host", "username", "password", "password_file",
		"engine.stop", "apn.set", "udp", "qos"};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct near near = near_to(span_text(rows[i].word));
		for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++)
			near_try(&near, names[n]);
		if (rows[i].near == NULL && near.name != NULL)
			fail_msg("%s: %s is named", rows[i].word, near.name);
		if (rows[i].near != NULL)
			assert_string_equal(near.name != NULL ? near.name : "none", rows[i].near);
	}
}

/* Of any bytes, also of such that no name can have, and of any length. */
static void test_any_word(void **state)
{
	(void)state;
	char word[200];
	for (size_t i = 0; i < 20000; i++) {
		size_t n = i % sizeof(word);
		for (size_t j = 0; j < n; j++)
			word[j] = (char)(i * 7 + j * 13);
		struct near near = near_to(span_of(word, n));
		near_try(&near, "password_file");
		near_try(&near, "");
		near_try(&near,
			"a.name.that.is.longer.than.sixty.three.letters.and.so.is.compared.with.nothing");
		assert_true(near.name == NULL || strcmp(near.name, "password_file") == 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_near),
		cmocka_unit_test(test_any_word),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
