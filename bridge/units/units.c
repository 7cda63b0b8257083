/* units: see units.h. */
#include "bridge/units/units.h"

#include "bridge/settings/inifile.h"
#include "bridge/base/topic.h"

#include <errno.h>
#include <stdlib.h>

struct units {
	struct unit_info *by_ident, *by_topic;
	unsigned bad_section; /* line of the last section, when it is no ident and no key has told so */
};

static bool copy_text(char *to, size_t size, const char *from)
{
	if (strlen(from) >= size || *from == '\0')
		return false;
	strcpy(to, from);
	return true;
}

static bool topic_allowed(const char *text)
{
	for (const char *c = text; *c != '\0'; c++)
		if (!byte_is_alnum((uint8_t)*c) && strchr("._-", *c) == NULL)
			return false;
	return *text != '\0' && strlen(text) <= 60 && !topic_reserved(span_text(text));
}

static bool parse_id(const char *text, int64_t *out)
{
	char *end;
	errno = 0;
	*out = strtoll(text, &end, 10);
	return byte_is_digit((uint8_t)*text) && *end == '\0' && errno == 0 && *out <= 4294967295LL;
}

/* NULL: taken; else what is allowed. */
static const char *take(struct unit_info *u, const char *key, const char *value)
{
	if (strcmp(key, "name") == 0)
		return copy_text(u->name, sizeof(u->name), value) ? NULL : "a text of 1 to 200 characters";
	if (strcmp(key, "type") == 0)
		return copy_text(u->type, sizeof(u->type), value) ? NULL : "a text of 1 to 200 characters";
	if (strcmp(key, "id") == 0)
		return parse_id(value, &u->id) ? NULL : "a whole number from 0 to 4294967295";
	if (strcmp(key, "topic") == 0)
		return topic_allowed(value) && copy_text(u->topic, sizeof(u->topic), value)
			       ? NULL
			       : "letters, digits, . _ -, at most 60, but not the words bridge and unknown";
	if (strcmp(key, "ack") == 0)
		return (u->ack = option_choice(option_h02_acks, value)) >= 0 ? NULL : "auto, v4, r12 or off";
	if (strcmp(key, "timezone") == 0)
		return option_timezone(value, &u->timezone) ? NULL : "+HH:MM or -HH:MM";
	if (strcmp(key, "relay") == 0) {
		u->relay_off = strcmp(value, "no") == 0;
		return u->relay_off || strcmp(value, "yes") == 0 ? NULL : "yes or no";
	}
	return "the keys name, id, type, topic, ack, timezone, relay";
}

static const char *const keys[] = {"name", "id", "type", "topic", "ack", "timezone", "relay", NULL};

/* Has this unit had the key before? */
static bool repeated(struct unit_info *u, const char *key)
{
	int n = option_choice(keys, key);
	unsigned bit = n >= 0 ? 1u << n : 0;
	bool before = u->seen & bit;
	u->seen |= bit;
	return before;
}

static struct unit_info *find(struct units *units, struct span ident)
{
	struct unit_info *u = NULL;
	HASH_FIND(hh, units->by_ident, ident.ptr, (unsigned)ident.len, u);
	return u;
}

static struct unit_info *find_topic(struct units *units, struct span topic)
{
	struct unit_info *u = NULL;
	HASH_FIND(by_topic, units->by_topic, topic.ptr, (unsigned)topic.len, u);
	return u;
}

static void bad_section(struct inifile *file)
{
	inifile_fault(file,
		"a section must be an ident: 1 to 20 digits or letters, but not the words bridge and unknown");
}

/* A section without keys names a unit, too. */
static void on_section(struct inifile *file, const char *section)
{
	struct units *units = file->ctx;
	struct span ident = span_text(section);
	unsigned line = file->line;
	if (units->bad_section != 0) {
		file->line = units->bad_section;
		bad_section(file);
		file->line = line;
	}
	units->bad_section = topic_ident_ok(ident) ? 0 : line;
	if (units->bad_section != 0 || find(units, ident) != NULL)
		return;
	struct unit_info *u = calloc(1, sizeof(*u));
	if (u == NULL) {
		inifile_fault(file, "no memory for this unit");
		return;
	}
	memcpy(u->ident, ident.ptr, ident.len);
	u->id = u->ack = -1;
	u->timezone = INT64_MAX;
	HASH_ADD(hh, units->by_ident, ident, (unsigned)ident.len, u);
}

static void on_pair(struct inifile *file, const char *section, const char *key, const char *value)
{
	struct units *units = file->ctx;
	char what[400];
	struct unit_info *u = find(units, span_text(section));
	if (u == NULL) {
		units->bad_section = 0;
		bad_section(file);
		return;
	}
	if (repeated(u, key)) {
		snprintf(what, sizeof(what), "%.60s is set twice for this unit", key);
		inifile_fault(file, what);
		return;
	}
	const char *allowed = take(u, key, value);
	if (allowed != NULL) {
		snprintf(what, sizeof(what), "%.60s = %.100s is not allowed; allowed: %s", key, value, allowed);
		inifile_fault(file, what);
	} else if (strcmp(key, "topic") == 0) {
		u->topic_line = file->line;
		if (find_topic(units, span_text(u->topic)) != NULL)
			inifile_fault(file, "this topic belongs to another unit");
		else
			HASH_ADD(by_topic, units->by_topic, topic, (unsigned)strlen(u->topic), u);
	}
}

/* A topic that is the ident of another unit: both would write there. Known only when all sections have been read. */
static void check_topics(struct units *units, struct inifile *file)
{
	struct unit_info *u, *next;
	char what[300];
	HASH_ITER(by_topic, units->by_topic, u, next) {
		const struct unit_info *other = find(units, span_text(u->topic));
		if (other == NULL || other == u)
			continue;
		snprintf(what, sizeof(what),
			"topic = %s is not allowed: it is the ident of another unit of this file; allowed: a "
			"name that "
			"is no section, or the unit's own ident %s",
			u->topic, u->ident);
		file->line = u->topic_line;
		inifile_fault(file, what);
	}
}

struct units *units_open(const char *path, FILE *errors)
{
	struct units *units = calloc(1, sizeof(*units));
	if (units == NULL || *path == '\0')
		return units;
	struct inifile file = {
		.path = path, .errors = errors, .ctx = units, .section = on_section, .pair = on_pair};
	bool read = inifile_read(&file);
	if (units->bad_section != 0) {
		file.line = units->bad_section;
		bad_section(&file);
	}
	check_topics(units, &file);
	if (read && file.faults == 0)
		return units;
	units_free(units);
	return NULL;
}

void units_free(struct units *units)
{
	struct unit_info *u, *next;
	HASH_CLEAR(by_topic, units->by_topic);
	HASH_ITER(hh, units->by_ident, u, next) {
		HASH_DEL(units->by_ident, u);
		free(u);
	}
	free(units);
}

void units_use(struct units *units, const struct codec_options *general, enum h02_ack unrelayed)
{
	struct unit_info *u, *next;
	HASH_ITER(hh, units->by_ident, u, next) {
		u->options = *general;
		if (u->relay_off)
			u->options.h02_ack = unrelayed;
		if (u->ack >= 0)
			u->options.h02_ack = (enum h02_ack)u->ack;
		if (u->timezone != INT64_MAX)
			u->options.jt808_utc_offset_s = (int32_t)u->timezone;
	}
}

void units_gone(const struct units *before, const struct units *now, void (*gone)(void *ctx, const char *ident),
	void *ctx)
{
	const struct unit_info *u, *next;
	HASH_ITER(hh, before->by_ident, u, next)
		if (units_find(now, span_text(u->ident)) == NULL)
			gone(ctx, u->ident);
}

bool units_any(const struct units *units)
{
	return units->by_ident != NULL;
}

const struct unit_info *units_find(const struct units *units, struct span ident)
{
	return find((struct units *)(uintptr_t)units, ident);
}

const struct unit_info *units_find_topic(const struct units *units, struct span topic)
{
	const struct unit_info *u = find_topic((struct units *)(uintptr_t)units, topic);
	return u != NULL ? u : units_find(units, topic);
}
