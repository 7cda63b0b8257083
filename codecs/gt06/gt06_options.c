// SPDX-License-Identifier: MIT
/* gt06_options: the table of what can be set for GT06 units.
 * Not: know who sets it. */
#include "codecs/gt06/gt06_options.h"

static const char *const timezones[] = {"login", NULL};

static const char *const languages[] = {
	[GT06_LANGUAGE_NONE] = "none",
	[GT06_LANGUAGE_CHINESE] = "chinese",
	[GT06_LANGUAGE_ENGLISH] = "english",
	NULL,
};

const struct option_row gt06_option_rows[] = {
	{"timezone", OPTION_TIMEZONE, OPTION_RELOAD | OPTION_PER_UNIT, offsetof(struct gt06_options, timezone),
		"login", 0, 0, timezones,
		"Time zone of the times in GT06 messages 10, 11, 12, 16, 18 and 1A; login: the one that the "
		"unit's login names, or UTC when it names none. All other messages are in UTC."},
	{"language", OPTION_CHOICE, OPTION_RELOAD | OPTION_PER_UNIT, offsetof(struct gt06_options, language),
		"none", 0, 0, languages,
		"The language word behind the text of a command to a GT06 unit; most units want none."},
	{.key = NULL},
};
