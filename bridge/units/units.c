// SPDX-License-Identifier: MIT
/* units: see units.h. */
#include "bridge/units/units.h"

#include "bridge/settings/inifile.h"
#include "bridge/settings/option_reason.h"
#include "bridge/base/near.h"
#include "bridge/base/topic.h"

#include <stdlib.h>

struct units {
	struct unit_info *by_ident, *by_topic, *by_rest;
	unsigned bad_section; /* line of the last section, when it is no ident and no key has told so */
};

/* What a unit has of its own among the options of one codec. */
struct unit_options {
	struct unit_options *next;
	const struct codec *codec;
	_Alignas(max_align_t) uint8_t memory[]; /* the codec's struct, then a byte for each row: enum mark */
};
enum mark {
	MARK_NONE = 0,
	MARK_OWN,
	MARK_REFUSED
}; /* the general value, the unit's own; the file has another codec's */

/* --- the keys --- */

static const char *const relays[] = {[UNIT_RELAY_YES] = "yes", [UNIT_RELAY_NO] = "no", NULL};

#define AT(field) offsetof(struct unit_info, field)
#define MOST(field) (sizeof(((struct unit_info *)0)->field) - 1)

static const struct option_row own_rows[] = {
	{.key = "name", .type = OPTION_LABEL, .flags = OPTION_NOT_EMPTY, .offset = AT(name), .max = MOST(name)},
	{.key = "id", .type = OPTION_INTEGER, .offset = AT(id), .max = 4294967295LL},
	{.key = "type", .type = OPTION_LABEL, .flags = OPTION_NOT_EMPTY, .offset = AT(type), .max = MOST(type)},
	{.key = "topic", .type = OPTION_LEVEL, .offset = AT(topic), .max = MOST(topic)},
	{.key = "relay", .type = OPTION_CHOICE, .offset = AT(relay), .choices = relays},
	{.key = "raw", .type = OPTION_CHOICE, .offset = AT(raw), .choices = config_raw_words},
};
#define OWN_COUNT (sizeof(own_rows) / sizeof(own_rows[0]))
#define ALLOWED_MAX 400
#define OWN_BEHIND 2 /* so many of them are told behind the codecs' keys */
_Static_assert(OWN_COUNT <= 8 * sizeof(unsigned), "unit_info.seen has a bit for each");

/* The row of a codec with this key that a unit may have itself; NULL: it has none. */
static const struct option_row *row_of(const struct codec *codec, const char *key)
{
	for (const struct option_row *row = codec->options; row != NULL && row->key != NULL; row++)
		if ((row->flags & OPTION_PER_UNIT) && strcmp(row->key, key) == 0)
			return row;
	return NULL;
}

/* Has a codec before this one such a row with the same key? */
static bool is_known_before(const struct codec *const *codec, const char *key)
{
	for (const struct codec *const *c = codecs; c != codec; c++)
		if (row_of(*c, key) != NULL)
			return true;
	return false;
}

static void put_key(struct writer *w, const struct option_row *row)
{
	writer_text(w, row == own_rows ? "the keys " : ", ");
	writer_text(w, row->key);
}

/* All of them, as what is allowed. */
static void print_keys(char allowed[ALLOWED_MAX])
{
	struct writer w = writer_of(allowed, ALLOWED_MAX - 1);
	size_t i = 0;
	while (i < OWN_COUNT - OWN_BEHIND)
		put_key(&w, &own_rows[i++]);
	for (const struct codec *const *c = codecs; *c != NULL; c++)
		for (const struct option_row *row = (*c)->options; row != NULL && row->key != NULL; row++)
			if ((row->flags & OPTION_PER_UNIT) && !is_known_before(c, row->key))
				put_key(&w, row);
	while (i < OWN_COUNT)
		put_key(&w, &own_rows[i++]);
	allowed[w.len] = '\0';
}

/* Says that there is no such key: what is near, and all of them. Its value is not shown: it may be a secret. */
static void unknown_key(const char *key, char *what, size_t size)
{
	char allowed[ALLOWED_MAX];
	struct near near = near_to(span_text(key));
	for (size_t i = 0; i < OWN_COUNT; i++)
		near_try(&near, own_rows[i].key);
	for (const struct codec *const *c = codecs; *c != NULL; c++)
		for (const struct option_row *row = (*c)->options; row != NULL && row->key != NULL; row++)
			if (row->flags & OPTION_PER_UNIT)
				near_try(&near, row->key);
	print_keys(allowed);
	snprintf(what, size, "%.60s is not allowed; %s%s%sallowed: %s", key,
		near.name != NULL ? "did you mean " : "", near.name != NULL ? near.name : "",
		near.name != NULL ? "? " : "", allowed);
}

/* --- options of codecs --- */

static struct unit_options *find_options(const struct unit_info *u, const struct codec *codec)
{
	struct unit_options *o = u->options;
	while (o != NULL && o->codec != codec)
		o = o->next;
	return o;
}

static uint8_t *own_mark(const struct unit_options *o, const struct option_row *row)
{
	return (uint8_t *)(uintptr_t)o->memory + o->codec->options_size + (row - o->codec->options);
}

static struct unit_options *add_options(struct unit_info *u, const struct codec *codec)
{
	size_t rows = 0;
	while (codec->options[rows].key != NULL)
		rows++;
	struct unit_options *o = calloc(1, sizeof(*o) + codec->options_size + rows);
	if (o == NULL)
		return NULL;
	o->codec = codec;
	o->next = u->options;
	u->options = o;
	return o;
}

const void *unit_options(const struct unit_info *u, const struct codec *codec)
{
	const struct unit_options *o = find_options(u, codec);
	return o != NULL ? o->memory : NULL;
}

bool unit_has_own_answers(const struct unit_info *u, const struct codec *codec)
{
	const struct unit_options *o = find_options(u, codec);
	bool has = false;
	for (const struct option_row *row = codec->options; o != NULL && row->key != NULL; row++)
		has |= (row->flags & OPTION_ANSWERS) && *own_mark(o, row) == MARK_OWN;
	return has;
}

static void use_general(struct unit_options *o, const char *general)
{
	for (const struct option_row *row = o->codec->options; row->key != NULL; row++)
		if (*own_mark(o, row) != MARK_OWN)
			memcpy(o->memory + row->offset, general + row->offset, option_size(row));
}

/* Of what is the unit's own; the other strings belong to the configuration. */
static void free_options(struct unit_options *o)
{
	for (const struct option_row *row = o->codec->options; row->key != NULL; row++)
		if (option_is_string(row) && *own_mark(o, row) == MARK_OWN)
			free(*(char **)(void *)(o->memory + row->offset));
	free(o);
}

/* --- reading --- */

/* Of several codecs the last of these counts. */
enum taken { TAKEN_UNKNOWN = 0, TAKEN_REFUSED, TAKEN_OK, TAKEN_TWICE, TAKEN_NO_MEMORY };

static enum taken take_value(const struct option_row *row, const char *value, void *owner, char *allowed)
{
	char buf[OPTION_REASON_MAX], words[ALLOWED_MAX / 2];
	if (option_parse(row, value, owner))
		return TAKEN_OK;
	const char *reason = option_reason(row, value, buf);
	option_allowed(row, words, sizeof(words));
	snprintf(allowed, ALLOWED_MAX, "%s%s%.150s%s", words, *reason ? " (" : "", reason, *reason ? ")" : "");
	return TAKEN_REFUSED;
}

/* One codec's option for this unit. Units of other codecs may have the same key in the file: what is refused here may be meant for
 * them. `allowed`: what they would allow; REFUSED: what this one would, too. */
static enum taken take_option(struct unit_info *u, const struct codec *codec, const struct option_row *row,
	const char *value, char *allowed)
{
	struct unit_options *o = find_options(u, codec);
	size_t n = strlen(allowed);
	if (o == NULL && (o = add_options(u, codec)) == NULL)
		return TAKEN_NO_MEMORY;
	if (*own_mark(o, row) != MARK_NONE)
		return TAKEN_TWICE;
	bool ok = option_parse(row, value, o->memory);
	*own_mark(o, row) = ok ? MARK_OWN : MARK_REFUSED;
	if (ok)
		return TAKEN_OK;
	n += (size_t)snprintf(allowed + n, ALLOWED_MAX - n, "%s", n > 0 ? "; " : "");
	option_allowed(row, allowed + n, ALLOWED_MAX - n);
	return TAKEN_REFUSED;
}

static enum taken take_of_codecs(struct unit_info *u, const char *key, const char *value, char *allowed)
{
	enum taken taken = TAKEN_UNKNOWN;
	for (const struct codec *const *c = codecs; *c != NULL; c++) {
		const struct option_row *row = row_of(*c, key);
		enum taken here = row != NULL ? take_option(u, *c, row, value, allowed) : TAKEN_UNKNOWN;
		taken = here > taken ? here : taken;
	}
	return taken;
}

/* `allowed`: REFUSED: what would be. */
static enum taken take(struct unit_info *u, const char *key, const char *value, char *allowed)
{
	for (size_t i = 0; i < OWN_COUNT; i++) {
		if (strcmp(own_rows[i].key, key) != 0)
			continue;
		if (u->seen & 1u << i)
			return TAKEN_TWICE;
		u->seen |= 1u << i;
		return take_value(&own_rows[i], value, u, allowed);
	}
	return take_of_codecs(u, key, value, allowed);
}

static struct unit_info *find(struct units *units, struct span ident)
{
	struct unit_info *u = NULL;
	HASH_FIND(hh, units->by_ident, ident.ptr, (unsigned)ident.len, u);
	return u;
}

const char *unit_rest(const struct unit_info *u)
{
	size_t zeros = strspn(u->ident, "0");
	return u->ident[zeros] != '\0' ? u->ident + zeros : u->ident;
}

bool unit_is(const struct unit_info *u, struct span ident)
{
	return span_is(ident, u->ident) || span_is(ident, unit_rest(u));
}

/* As the file writes it, or as a codec publishes it. */
static struct unit_info *find_as_published(struct units *units, struct span ident)
{
	struct unit_info *u = find(units, ident);
	if (u == NULL)
		HASH_FIND(by_rest, units->by_rest, ident.ptr, (unsigned)ident.len, u);
	return u;
}

/* Two sections that differ in nothing but these zeros: the first one has what is published. */
static void add_rest(struct units *units, struct unit_info *u)
{
	const char *rest = unit_rest(u);
	struct unit_info *other = NULL;
	if (rest == u->ident)
		return;
	HASH_FIND(by_rest, units->by_rest, rest, (unsigned)strlen(rest), other);
	if (other == NULL)
		HASH_ADD_KEYPTR(by_rest, units->by_rest, rest, (unsigned)strlen(rest), u);
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
	u->id = -1;
	u->raw = UNIT_RAW_GENERAL;
	HASH_ADD(hh, units->by_ident, ident, (unsigned)ident.len, u);
	add_rest(units, u);
}

static void name_unit(struct units *units, struct inifile *file, struct unit_info *u)
{
	u->topic_line = file->line;
	if (find_topic(units, span_text(u->topic)) != NULL)
		inifile_fault(file, "this topic belongs to another unit");
	else
		HASH_ADD(by_topic, units->by_topic, topic, (unsigned)strlen(u->topic), u);
}

static void on_pair(struct inifile *file, const char *section, const char *key, const char *value)
{
	struct units *units = file->ctx;
	char what[ALLOWED_MAX + 300], allowed[ALLOWED_MAX] = "";
	struct unit_info *u = find(units, span_text(section));
	if (u == NULL) {
		units->bad_section = 0;
		bad_section(file);
		return;
	}
	switch (take(u, key, value, allowed)) {
	case TAKEN_OK:
		if (strcmp(key, "topic") == 0)
			name_unit(units, file, u);
		return;
	case TAKEN_UNKNOWN:
		unknown_key(key, what, sizeof(what));
		break;
	case TAKEN_REFUSED:
		snprintf(what, sizeof(what), "%.60s = %s is not allowed; allowed: %s", key,
			option_shown(&(struct option_row){.key = key}, value).text, allowed);
		break;
	case TAKEN_TWICE:
		snprintf(what, sizeof(what), "%.60s is set twice for this unit", key);
		break;
	case TAKEN_NO_MEMORY:
		snprintf(what, sizeof(what), "no memory for this unit");
		break;
	}
	inifile_fault(file, what);
}

/* A topic that is the ident of another unit: both would write there. Known only when all sections have been read. */
static void check_topics(struct units *units, struct inifile *file)
{
	struct unit_info *u, *next;
	char what[300];
	HASH_ITER(by_topic, units->by_topic, u, next) {
		const struct unit_info *other = find_as_published(units, span_text(u->topic));
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
	HASH_CLEAR(by_rest, units->by_rest);
	HASH_ITER(hh, units->by_ident, u, next) {
		HASH_DEL(units->by_ident, u);
		while (u->options != NULL) {
			struct unit_options *o = u->options;
			u->options = o->next;
			free_options(o);
		}
		free(u);
	}
	free(units);
}

void units_use(struct units *units, const struct codec_settings *general)
{
	struct unit_info *u, *next;
	HASH_ITER(hh, units->by_ident, u, next)
		for (struct unit_options *o = u->options; o != NULL; o = o->next)
			use_general(o, codec_settings_of(general, o->codec));
}

void unit_describe(const struct unit_info *unit, struct telemetry *t)
{
	if (unit == NULL)
		return;
	if (unit->id >= 0)
		telemetry_set(t, TM_DEVICE_ID, unit->id);
	telemetry_set_text(t, TM_DEVICE_NAME, span_text(unit->name));
	telemetry_set_text(t, TM_DEVICE_TYPE_ID, span_text(unit->type));
}

bool units_any(const struct units *units)
{
	return units->by_ident != NULL;
}

unsigned units_count(const struct units *units)
{
	return (unsigned)HASH_CNT(hh, units->by_ident);
}

const struct unit_info *units_find(const struct units *units, struct span ident)
{
	return find_as_published((struct units *)(uintptr_t)units, ident);
}

const struct unit_info *units_find_topic(const struct units *units, struct span topic)
{
	const struct unit_info *u = find_topic((struct units *)(uintptr_t)units, topic);
	return u != NULL ? u : units_find(units, topic);
}
