/* option_types: what the values of options may be: they are read from text, and the allowed ones are said in words.
 * May use: config. May not: read files, start anything. */
#include "bridge/settings/config.h"

#include <errno.h>
#include <inttypes.h>
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

int option_choice(const char *const *choices, const char *text)
{
	for (int i = 0; choices[i] != NULL; i++)
		if (strcmp(choices[i], text) == 0)
			return i;
	return -1;
}

bool option_timezone(const char *text, int64_t *out)
{
	unsigned hours, minutes;
	char sign, end;
	if (strlen(text) != 6 || sscanf(text, "%c%2u:%2u%c", &sign, &hours, &minutes, &end) != 3)
		return false;
	*out = (int64_t)(hours * 3600 + minutes * 60) * (sign == '-' ? -1 : 1);
	return (sign == '+' || sign == '-') && hours <= 14 && minutes <= 59;
}

static bool text_allowed(const struct config_option *option, const char *text)
{
	size_t n = strlen(text);
	if ((int64_t)n > option->max || (n == 0 && (option->flags & OPTION_NOT_EMPTY)))
		return false;
	if (option->type == OPTION_TOPIC && (n == 0 || text[0] == '/' || text[0] == '$' || text[n - 1] == '/'))
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];
		if (c < 0x20 || c == 0x7f)
			return false;
		if ((option->type == OPTION_TOPIC || option->type == OPTION_PREFIXES) && (c == '+' || c == '#'))
			return false;
		if (option->type == OPTION_PREFIXES && c == '$')
			return false;
		if (option->type == OPTION_NAME && !byte_is_alnum(c) && strchr("._-", c) == NULL)
			return false;
	}
	return true;
}

static void print_choices(const char *const *choices, char *buf, size_t size)
{
	buf[0] = '\0';
	for (size_t i = 0; choices[i] != NULL; i++) {
		size_t n = strlen(buf);
		const char *glue = i == 0 ? "" : choices[i + 1] == NULL ? " or " : ", ";
		snprintf(buf + n, size - n, "%s%s", glue, choices[i]);
	}
}

void option_allowed(const struct config_option *option, char *buf, size_t size)
{
	char from[32], to[32];
	switch (option->type) {
	case OPTION_TEXT:
		snprintf(buf, size, "a text of %s to %" PRId64 " characters",
			option->flags & OPTION_NOT_EMPTY ? "1" : "0", option->max);
		return;
	case OPTION_NAME:
		snprintf(buf, size, "letters, digits, . _ -, at most %" PRId64, option->max);
		return;
	case OPTION_TOPIC:
		snprintf(buf, size,
			"topic levels without + and #, not beginning with / or $, 1 to %" PRId64 " characters",
			option->max);
		return;
	case OPTION_PREFIXES:
		snprintf(buf, size,
			"beginnings of topics without + # $, comma-separated, 0 to %" PRId64 " characters",
			option->max);
		return;
	case OPTION_BOOLEAN:
		snprintf(buf, size, "yes or no");
		return;
	case OPTION_INTEGER:
		snprintf(buf, size, "a whole number from %" PRId64 " to %" PRId64, option->min, option->max);
		return;
	case OPTION_DURATION:
		print_number(option->min, durations, from, sizeof(from));
		print_number(option->max, durations, to, sizeof(to));
		snprintf(buf, size, "a duration from %s to %s with a unit: ms s m h d", from, to);
		return;
	case OPTION_SIZE:
		print_number(option->min, sizes, from, sizeof(from));
		print_number(option->max, sizes, to, sizeof(to));
		snprintf(buf, size, "a size from %s to %s, in bytes or with K M G", from, to);
		return;
	case OPTION_CHOICE:
		print_choices(option->choices, buf, size);
		return;
	case OPTION_TIMEZONE:
		snprintf(buf, size, "+HH:MM or -HH:MM");
		return;
	case OPTION_ENDPOINTS:
	case OPTION_SOME_ENDPOINTS:
		snprintf(buf, size,
			"%saddress:port, comma-separated, at most %d, numeric addresses, IPv6 in brackets%s",
			option->type == OPTION_SOME_ENDPOINTS ? "no, yes, or " : "", CONFIG_ENDPOINTS_MAX,
			option->type == OPTION_SOME_ENDPOINTS ? "" : ", or empty");
		return;
	case OPTION_NETWORKS:
		snprintf(buf, size,
			"addresses or networks (192.0.2.0/24, 2001:db8::/32), comma-separated, at "
			"most %d",
			CONFIG_NETWORKS_MAX);
		return;
	}
}

/* Reads a value of this option from text to `at`. False: it is not allowed. */
static bool parse_value(const struct config_option *option, const char *text, void *at)
{
	int64_t v = 0;
	char **string = at;
	switch (option->type) {
	case OPTION_TEXT:
	case OPTION_NAME:
	case OPTION_TOPIC:
	case OPTION_PREFIXES:
		if (!text_allowed(option, text))
			return false;
		free(*string);
		*string = strdup(text);
		return *string != NULL;
	case OPTION_BOOLEAN:
		return parse_boolean(text, at);
	case OPTION_ENDPOINTS:
	case OPTION_SOME_ENDPOINTS:
		return parse_endpoints(text, option->type == OPTION_SOME_ENDPOINTS, at);
	case OPTION_NETWORKS:
		memset(at, 0, sizeof(struct networks));
		return parse_list(text, CONFIG_NETWORKS_MAX, take_network, at);
	case OPTION_TIMEZONE:
		if (!option_timezone(text, &v))
			return false;
		break;
	case OPTION_CHOICE:
		v = option_choice(option->choices, text);
		if (v < 0)
			return false;
		break;
	case OPTION_INTEGER:
	case OPTION_DURATION:
	case OPTION_SIZE: {
		const struct unit_name *units = option->type == OPTION_DURATION ? durations
						: option->type == OPTION_SIZE   ? sizes
										: NULL;
		int64_t bare = option->type == OPTION_DURATION ? 0 : 1;
		if (!parse_number(text, units, bare, &v) || v < option->min || v > option->max)
			return false;
		break;
	}
	}
	memcpy(at, &v, sizeof(v));
	return true;
}

bool option_set(
	struct config *config, const struct config_option *option, const char *text, char *why, size_t size)
{
	if (parse_value(option, text, (char *)config + option->offset))
		return true;
	char allowed[256];
	option_allowed(option, allowed, sizeof(allowed));
	const char *shown = option->flags & OPTION_SECRET ? "(hidden)" : text;
	snprintf(why, size, "%s = %s is not allowed; allowed: %s", option->key, shown, allowed);
	return false;
}
