// SPDX-License-Identifier: MIT
/* option_types: see option_types.h. */
#include "bridge/settings/option_types.h"

#include "bridge/settings/option_slip.h"

#include "bridge/base/topic.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct unit_name {
	const char *name;
	int64_t factor;
};

static const struct unit_name durations[] = {{"ms", 1}, {"s", CONFIG_SECOND}, {"m", 60 * CONFIG_SECOND},
	{"h", CONFIG_HOUR}, {"d", CONFIG_DAY}, {NULL, 0}};
static const struct unit_name sizes[] = {{"K", 1LL << 10}, {"M", 1LL << 20}, {"G", 1LL << 30}, {NULL, 0}};

/* Reads a whole number with one of the units behind it. Without a unit it counts `bare`; `bare` 0: then only the number 0 is
 * allowed. */
static bool parse_number(const char *text, const struct unit_name *units, int64_t bare, int64_t *out)
{
	char *end;
	errno = 0;
	if (text[0] != '-' && (text[0] < '0' || text[0] > '9'))
		return false;
	long long v = strtoll(text, &end, 10);
	if (errno != 0)
		return false;
	int64_t factor = *end == '\0' ? (v == 0 ? 1 : bare) : 0;
	for (size_t i = 0; units != NULL && units[i].name != NULL; i++)
		if (strcmp(end, units[i].name) == 0)
			factor = units[i].factor;
	if (factor == 0)
		return false;
	return !__builtin_mul_overflow((int64_t)v, factor, out);
}

bool option_duration(const char *text, int64_t *out)
{
	return parse_number(text, durations, 0, out);
}

static void print_number(int64_t v, const struct unit_name *units, char *buf, size_t size)
{
	const struct unit_name *best = NULL;
	for (const struct unit_name *u = units; v != 0 && u->name != NULL; u++)
		if (v % u->factor == 0)
			best = u;
	snprintf(buf, size, "%" PRId64 "%s", best ? v / best->factor : v, best ? best->name : "");
}

static bool parse_boolean(const char *text, bool *out)
{
	static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(text, words[i]) == 0) {
			*out = i % 2 == 1;
			return true;
		}
	}
	return false;
}

/* Calls `take` for each part of a comma-separated list. False: a part is not allowed, or there are too many. */
static bool parse_list(const char *text, unsigned most, bool (*take)(void *list, char *part), void *list)
{
	char buf[1024], *save = NULL;
	if (strlen(text) >= sizeof(buf))
		return false;
	strcpy(buf, text);
	for (char *part = strtok_r(buf, ",", &save); part != NULL; part = strtok_r(NULL, ",", &save))
		if (most-- == 0 || !take(list, part))
			return false;
	return true;
}

static bool take_endpoint(void *list, char *part)
{
	struct endpoints *e = list;
	return address_parse(part, &e->item[e->count++]);
}

static bool take_network(void *list, char *part)
{
	struct networks *n = list;
	return network_parse(part, &n->item[n->count++]);
}

static bool parse_endpoints(const char *text, bool words, struct endpoints *out)
{
	bool yes = words && strcmp(text, "yes") == 0, no = words && strcmp(text, "no") == 0;
	memset(out, 0, sizeof(*out)); /* config_apply compares the bytes */
	out->all = yes;
	return yes || no || parse_list(text, CONFIG_ENDPOINTS_MAX, take_endpoint, out);
}

bool endpoints_have(const struct endpoints *list, const union address *a)
{
	for (unsigned i = 0; i < list->count; i++)
		if (memcmp(&list->item[i], a, sizeof(*a)) == 0)
			return true;
	return list->all;
}

/* The place of a word in a list that ends with NULL; -1: it is not there. */
static int place_of(const char *const *choices, const char *text)
{
	for (int i = 0; choices[i] != NULL; i++)
		if (strcmp(choices[i], text) == 0)
			return i;
	return -1;
}

/* A choice with yes and no takes the other words for them, too. */
static int choice_of(const char *const *choices, const char *text)
{
	bool on;
	int place = place_of(choices, text);
	return place >= 0 || !parse_boolean(text, &on) ? place : place_of(choices, on ? "yes" : "no");
}

/* +HH:MM or -HH:MM as seconds east of Greenwich. */
static bool parse_timezone(const char *text, int64_t *out)
{
	unsigned hours, minutes;
	char sign, end;
	if (strlen(text) != 6 || sscanf(text, "%c%2u:%2u%c", &sign, &hours, &minutes, &end) != 3)
		return false;
	*out = (int64_t)(hours * 3600 + minutes * 60) * (sign == '-' ? -1 : 1);
	return (sign == '+' || sign == '-') && hours <= 14 && minutes <= 59;
}

static bool is_level(const struct option_row *row)
{
	return row->type == OPTION_NAME || row->type == OPTION_LEVEL;
}

static bool char_allowed(const struct option_row *row, unsigned char c)
{
	bool prefixes = row->type == OPTION_PREFIXES;
	if (row->type == OPTION_LABEL)
		return true;
	if (is_level(row))
		return byte_is_alnum(c) || strchr("._-", c) != NULL;
	if ((row->type == OPTION_TOPIC || prefixes) && (c == '+' || c == '#'))
		return false;
	return c >= 0x20 && c != 0x7f && !(prefixes && c == '$');
}

static bool text_allowed(const struct option_row *row, const char *text)
{
	size_t n = strlen(text);
	if ((int64_t)n > row->max || (n == 0 && (row->flags & OPTION_NOT_EMPTY)))
		return false;
	if (row->type == OPTION_TOPIC && (n == 0 || text[0] == '/' || text[0] == '$' || text[n - 1] == '/'))
		return false;
	if (row->type == OPTION_LEVEL && (n == 0 || topic_reserved(span_text(text))))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!char_allowed(row, (unsigned char)text[i]))
			return false;
	return true;
}

static void print_words(const char *const *words, char *buf, size_t size)
{
	buf[0] = '\0';
	for (size_t i = 0; words[i] != NULL; i++) {
		size_t n = strlen(buf);
		const char *glue = i == 0 ? "" : words[i + 1] == NULL ? " or " : ", ";
		snprintf(buf + n, size - n, "%s%s", glue, words[i]);
	}
}

/* A text, or a list. */
static void print_text_allowed(const struct option_row *row, char *buf, size_t size)
{
	bool some = row->type == OPTION_SOME_ENDPOINTS;
	if (row->type == OPTION_TEXT || row->type == OPTION_LABEL)
		snprintf(buf, size, "a text of %s to %" PRId64 " characters",
			row->flags & OPTION_NOT_EMPTY ? "1" : "0", row->max);
	else if (is_level(row))
		snprintf(buf, size, "letters, digits, . _ -, at most %" PRId64 "%s", row->max,
			row->type == OPTION_LEVEL ? ", but not the words bridge and unknown" : "");
	else if (row->type == OPTION_TOPIC)
		snprintf(buf, size,
			"topic levels without + and #, not beginning with / or $, 1 to %" PRId64 " characters",
			row->max);
	else if (row->type == OPTION_PREFIXES)
		snprintf(buf, size,
			"beginnings of topics without + # $, comma-separated, 0 to %" PRId64 " characters",
			row->max);
	else if (row->type == OPTION_NETWORKS)
		snprintf(buf, size,
			"addresses or networks (192.0.2.0/24, 2001:db8::/32), comma-separated, at "
			"most %d",
			CONFIG_NETWORKS_MAX);
	else
		snprintf(buf, size,
			"%saddress:port, comma-separated, at most %d, numeric addresses, IPv6 in brackets%s",
			some ? "no, yes, or " : "", CONFIG_ENDPOINTS_MAX, some ? "" : ", or empty");
}

void option_allowed(const struct option_row *row, char *buf, size_t size)
{
	char from[32], to[32];
	switch (row->type) {
	case OPTION_TEXT:
	case OPTION_NAME:
	case OPTION_TOPIC:
	case OPTION_PREFIXES:
	case OPTION_LABEL:
	case OPTION_LEVEL:
	case OPTION_ENDPOINTS:
	case OPTION_SOME_ENDPOINTS:
	case OPTION_NETWORKS:
		print_text_allowed(row, buf, size);
		return;
	case OPTION_BOOLEAN:
		snprintf(buf, size, "yes or no");
		return;
	case OPTION_INTEGER:
		snprintf(buf, size, "a whole number from %" PRId64 " to %" PRId64, row->min, row->max);
		return;
	case OPTION_DURATION:
		print_number(row->min, durations, from, sizeof(from));
		print_number(row->max, durations, to, sizeof(to));
		snprintf(buf, size, "a duration from %s to %s with a unit: ms s m h d", from, to);
		return;
	case OPTION_SIZE:
		print_number(row->min, sizes, from, sizeof(from));
		print_number(row->max, sizes, to, sizeof(to));
		snprintf(buf, size, "a size from %s to %s, in bytes or with K M G", from, to);
		return;
	case OPTION_CHOICE:
		print_words(row->choices, buf, size);
		return;
	case OPTION_TIMEZONE:
		snprintf(buf, size, "%s%s+HH:MM or -HH:MM", row->choices != NULL ? row->choices[0] : "",
			row->choices != NULL ? ", " : "");
		return;
	case OPTION_MOVED:
		snprintf(buf, size, "%s", row->standard);
		return;
	}
}

static bool parse_number_of(const struct option_row *row, const char *text, int64_t *out)
{
	const struct unit_name *units = row->type == OPTION_DURATION ? durations
					: row->type == OPTION_SIZE   ? sizes
								     : NULL;
	int64_t bare = row->type == OPTION_DURATION ? 0 : 1;
	return parse_number(text, units, bare, out) && *out >= row->min && *out <= row->max;
}

/* false: not allowed, or no memory. */
static bool parse_value(const struct option_row *row, const char *text, void *at)
{
	int64_t v = 0;
	char **string = at;
	switch (row->type) {
	case OPTION_TEXT:
	case OPTION_NAME:
	case OPTION_TOPIC:
	case OPTION_PREFIXES:
		if (!text_allowed(row, text))
			return false;
		free(*string);
		*string = strdup(text);
		return *string != NULL;
	case OPTION_LABEL:
	case OPTION_LEVEL:
		if (!text_allowed(row, text))
			return false;
		strcpy(at, text); /* max + 1 bytes */
		return true;
	case OPTION_BOOLEAN:
		return parse_boolean(text, at);
	case OPTION_ENDPOINTS:
	case OPTION_SOME_ENDPOINTS:
		return parse_endpoints(text, row->type == OPTION_SOME_ENDPOINTS, at);
	case OPTION_NETWORKS:
		memset(at, 0, sizeof(struct networks));
		return parse_list(text, CONFIG_NETWORKS_MAX, take_network, at);
	case OPTION_TIMEZONE:
		if (row->choices != NULL && place_of(row->choices, text) == 0)
			v = OPTION_NO_TIMEZONE;
		else if (!parse_timezone(text, &v))
			return false;
		break;
	case OPTION_CHOICE:
		v = choice_of(row->choices, text);
		if (v < 0)
			return false;
		break;
	case OPTION_INTEGER:
	case OPTION_DURATION:
	case OPTION_SIZE:
		if (!parse_number_of(row, text, &v))
			return false;
		break;
	case OPTION_MOVED:
		return false;
	}
	memcpy(at, &v, sizeof(v));
	return true;
}

bool option_parse(const struct option_row *row, const char *text, void *options)
{
	return parse_value(row, text, (char *)options + row->offset);
}

bool option_set(
	const struct option_row *row, const char *key, const char *text, void *options, char *why, size_t size)
{
	if (option_slip(row, key, text, why, size))
		return false;
	if (option_parse(row, text, options))
		return true;
	char allowed[256];
	option_allowed(row, allowed, sizeof(allowed));
	const char *shown = row->flags & OPTION_SECRET ? "(hidden)" : text;
	snprintf(why, size, "%s = %s is not allowed; allowed: %s", key, shown, allowed);
	return false;
}

bool option_is_string(const struct option_row *row)
{
	return row->type == OPTION_TEXT || row->type == OPTION_NAME || row->type == OPTION_TOPIC ||
	       row->type == OPTION_PREFIXES;
}

size_t option_size(const struct option_row *row)
{
	switch (row->type) {
	case OPTION_TEXT:
	case OPTION_NAME:
	case OPTION_TOPIC:
	case OPTION_PREFIXES:
		return sizeof(char *);
	case OPTION_LABEL:
	case OPTION_LEVEL:
		return (size_t)row->max + 1;
	case OPTION_BOOLEAN:
		return sizeof(bool);
	case OPTION_ENDPOINTS:
	case OPTION_SOME_ENDPOINTS:
		return sizeof(struct endpoints);
	case OPTION_NETWORKS:
		return sizeof(struct networks);
	case OPTION_INTEGER:
	case OPTION_DURATION:
	case OPTION_SIZE:
	case OPTION_CHOICE:
	case OPTION_TIMEZONE:
		return sizeof(int64_t);
	case OPTION_MOVED:
		return 0;
	}
	return 0;
}

bool options_use_standard(const struct option_row *rows, void *options)
{
	char why[600];
	for (const struct option_row *row = rows; row != NULL && row->key != NULL; row++)
		if (row->type != OPTION_MOVED &&
			!option_set(row, row->key, row->standard, options, why, sizeof(why)))
			return false;
	return true;
}

void options_free_strings(const struct option_row *rows, void *options)
{
	for (const struct option_row *row = rows; row != NULL && row->key != NULL; row++) {
		char **string = (char **)(void *)((char *)options + row->offset);
		if (!option_is_string(row))
			continue;
		free(*string);
		*string = NULL;
	}
}
