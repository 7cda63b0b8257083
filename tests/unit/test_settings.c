// SPDX-License-Identifier: MIT
/* test_settings: the tables of what can be set, the bridge's and the codecs', fit together; a unit's own options lie over the
 * general ones. */
#include "harness.h"

#include "bridge/settings/config.h"
#include "bridge/units/units.h"
#include "codecs/jt808/jt808_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

static bool is_codec_row(const struct option_at *at)
{
	return at->codec != NULL;
}

/* --- the tables --- */

static void test_sections_belong_to_one_owner(void **state)
{
	(void)state;
	for (struct option_at a = {0}; option_next(&a);)
		for (struct option_at b = {0}; option_next(&b);)
			if (strcmp(a.section, b.section) == 0 && a.codec != b.codec)
				fail_msg("[%s] belongs to two: %s and %s", a.section,
					is_codec_row(&a) ? a.codec->title : "the bridge",
					is_codec_row(&b) ? b.codec->title : "the bridge");
	for (const struct codec *const *c = codecs; *c != NULL; c++) /* also those that have no options yet */
		for (struct option_at a = {0}; option_next(&a);)
			if (strcmp(a.section, (*c)->name) == 0 && a.codec != *c)
				fail_msg("%s has the name of the section [%s]", (*c)->title, a.section);
}

static void name_in_environment(const struct option_at *at, char *buf, size_t size)
{
	assert_true(snprintf(buf, size, "%s_%s", at->section, at->row->key) < (int)size);
}

static void test_every_option_has_a_name_of_its_own(void **state)
{
	(void)state;
	char one[100], other[100];
	for (struct option_at a = {0}; option_next(&a);)
		for (struct option_at b = a; option_next(&b);) {
			name_in_environment(&a, one, sizeof(one));
			name_in_environment(&b, other, sizeof(other));
			if (strcasecmp(one, other) == 0)
				fail_msg("[%s] %s and [%s] %s are one variable", a.section, a.row->key,
					b.section, b.row->key);
		}
}

static void test_rows_keep_to_their_owner(void **state)
{
	(void)state;
	for (struct option_at at = {0}; option_next(&at);) {
		const struct option_row *row = at.row;
		size_t size = is_codec_row(&at) ? at.codec->options_size : sizeof(struct config);
		bool fits = row->offset + option_size(row) <= size;
		bool reload =
			!(row->flags & OPTION_RELOAD) || !option_is_string(row); /* it belongs to its struct */
		unsigned of_codecs = OPTION_PER_UNIT | OPTION_ANSWERS;
		bool flags = is_codec_row(&at) ? !(row->flags & OPTION_DIRECTORY) : !(row->flags & of_codecs);
		bool per_unit = !(row->flags & OPTION_ANSWERS) || (row->flags & OPTION_PER_UNIT);
		if (!fits || !reload || !flags || !per_unit)
			fail_msg(
				"[%s] %s: %s", at.section, row->key, !fits ? "outside of its struct" : "flags");
		for (struct option_at b = at; option_next(&b) && b.codec == at.codec;)
			if (option_size(row) > 0 && option_size(b.row) > 0 &&
				row->offset < b.row->offset + option_size(b.row) &&
				b.row->offset < row->offset + option_size(row))
				fail_msg("[%s] %s and %s share memory", at.section, row->key, b.row->key);
	}
}

static void test_old_names_lead_to_options(void **state)
{
	(void)state;
	unsigned old_names = 0;
	for (struct option_at at = {0}; option_next(&at);) {
		struct option_at now;
		option_moved(&at, &now);
		old_names += at.row->type == OPTION_MOVED;
		if (now.row->type == OPTION_MOVED)
			fail_msg("[%s] %s has moved to %s, which is no option", at.section, at.row->key,
				at.row->standard);
		assert_true(at.row->type == OPTION_MOVED || (now.row == at.row && now.number == at.number));
	}
	assert_true(old_names > 0);
}

static void test_help_names_the_codecs(void **state)
{
	(void)state;
	char help[OPTION_HELP_MAX];
	struct option_at at;
	for (at = (struct option_at){0}; option_next(&at);)
		if (at.row->type != OPTION_MOVED && strpbrk(option_help(at.row, help), "{}") != NULL)
			assert_true(strstr(help, "{ident}") != NULL || strstr(help, "{z}/{x}/{y}") != NULL);
	assert_true(option_find("relay", "server", &at));
	option_help(at.row, help);
	for (const struct codec *const *c = codecs; *c != NULL; c++)
		assert_int_equal(strstr(help, (*c)->label) != NULL, (*c)->relayed);
	assert_true(option_find("units", "file", &at));
	option_help(at.row, help);
	for (struct option_at a = {0}; option_next(&a);)
		if (a.row->flags & OPTION_PER_UNIT)
			assert_non_null(strstr(help, a.row->key));
}

/* --- a unit's own options --- */

static struct units *units_of(const char *text, FILE *errors)
{
	char path[] = "/tmp/t2m-units-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	struct units *units = units_open(path, errors);
	unlink(path);
	return units;
}

/* Every option that may be set per unit reaches the codec's struct, whatever other keys the units file has. */
static void test_every_option_per_unit(void **state)
{
	(void)state;
	struct codec_settings *general = codec_settings_open();
	unsigned tried = 0;
	assert_non_null(general);
	for (struct option_at at = {0}; option_next(&at);) {
		char text[300];
		if (!(at.row->flags & OPTION_PER_UNIT))
			continue;
		snprintf(
			text, sizeof(text), "[1]\n%s = %s\n[2]\nname = other\n", at.row->key, at.row->standard);
		struct units *units = units_of(text, stderr);
		assert_non_null(units);
		units_use(units, general);
		const struct unit_info *own = units_find(units, span_text("1")),
				       *other = units_find(units, span_text("2"));
		if (unit_options(own, at.codec) == NULL)
			fail_msg("[%s] %s is a key of the units file itself", at.section, at.row->key);
		assert_null(unit_options(other, at.codec));
		assert_int_equal(unit_has_own_answers(own, at.codec), (at.row->flags & OPTION_ANSWERS) != 0);
		assert_false(unit_has_own_answers(other, at.codec));
		units_free(units);
		tried++;
	}
	assert_true(tried >= 2);
	codec_settings_free(general);
}

/* What is not the unit's own follows the general options, again with every reload. */
static void test_the_rest_follows_the_general_options(void **state)
{
	(void)state;
	const struct codec *codec = codec_find(span_text("jt808"));
	struct codec_settings *general = codec_settings_open();
	struct units *units = units_of("[1]\ntimezone = -01:30\n", stderr);
	assert_non_null(units);
	const struct unit_info *u = units_find(units, span_text("1"));
	for (int round = 0; round < 2; round++) {
		char why[300];
		const char *words[] = {"reject", "accept"};
		struct jt808_options *o = codec_settings_of(general, codec);
		struct option_at at;
		assert_true(option_find("jt808", "registration", &at));
		assert_true(option_set(at.row, at.row->key, words[round], o, why, sizeof(why)));
		units_use(units, general);
		const struct jt808_options *own = unit_options(u, codec);
		assert_int_equal(own->timezone, -5400);
		assert_int_equal(own->registration, o->registration);
		assert_ptr_equal(own->auth_code, o->auth_code);
		assert_int_equal(o->timezone, 8 * 3600);
	}
	units_free(units);
	codec_settings_free(general);
}

/* A row of a time zone may have a word for none: it is told in what is allowed. */
static void test_a_time_zone_that_is_none(void **state)
{
	(void)state;
	static const char *const words[] = {"login", NULL};
	const struct option_row row = {"timezone", OPTION_TIMEZONE, 0, 0, "login", 0, 0, words, "help"};
	const struct option_row plain = {"timezone", OPTION_TIMEZONE, 0, 0, "+00:00", 0, 0, NULL, "help"};
	int64_t zone = 1;
	char why[300];
	assert_true(option_set(&row, "timezone", "login", &zone, why, sizeof(why)));
	assert_true(zone == OPTION_NO_TIMEZONE);
	assert_true(option_set(&row, "timezone", "-03:30", &zone, why, sizeof(why)));
	assert_int_equal(zone, -12600);
	assert_false(option_set(&row, "timezone", "logout", &zone, why, sizeof(why)));
	assert_non_null(strstr(why, "login, +HH:MM or -HH:MM"));
	assert_false(option_set(&plain, "timezone", "login", &zone, why, sizeof(why)));
	assert_null(strstr(why, "login,"));
	assert_int_equal(zone, -12600);
}

/* --- defaults --- */

static void test_codecs_get_what_their_tables_say(void **state)
{
	(void)state;
	struct config config;
	config_init(&config);
	for (struct option_at at = {0}; option_next(&at);) {
		char again[sizeof(struct endpoints)] = {0};
		if (!is_codec_row(&at) || at.row->type == OPTION_MOVED)
			continue;
		const char *value = (const char *)option_owner(&config, &at) + at.row->offset;
		struct option_row here = *at.row;
		here.offset = 0;
		assert_true(option_parse(&here, here.standard, again));
		if (option_is_string(&here))
			assert_string_equal(*(char **)(void *)again, *(char *const *)(const void *)value);
		else
			assert_memory_equal(again, value, option_size(&here));
		if (option_is_string(&here))
			free(*(char **)(void *)again);
	}
	config_free(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sections_belong_to_one_owner),
		cmocka_unit_test(test_every_option_has_a_name_of_its_own),
		cmocka_unit_test(test_rows_keep_to_their_owner),
		cmocka_unit_test(test_old_names_lead_to_options),
		cmocka_unit_test(test_help_names_the_codecs),
		cmocka_unit_test(test_every_option_per_unit),
		cmocka_unit_test(test_a_time_zone_that_is_none),
		cmocka_unit_test(test_the_rest_follows_the_general_options),
		cmocka_unit_test(test_codecs_get_what_their_tables_say),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
