// SPDX-License-Identifier: MIT
/* option_unknown: see option_unknown.h. */
#include "bridge/settings/option_unknown.h"

#include "bridge/base/suggest.h"
#include "bridge/settings/config.h"

#include <stdio.h>
#include <strings.h>

/* Without the blanks around it. */
static struct span trimmed(const char *text)
{
	struct span s = span_text(text);
	while (s.len > 0 && byte_is_blank(s.ptr[0]))
		s = span_after(s, 1);
	while (s.len > 0 && byte_is_blank(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

static bool is_section(const char *section)
{
	for (struct option_at at = {0}; option_next(&at);)
		if (strcmp(at.section, section) == 0)
			return true;
	return false;
}

/* All keys of the section, or all sections when it is NULL. */
static void put_allowed(struct writer *w, const char *section)
{
	const char *last = "";
	writer_text(w, "; allowed:");
	for (struct option_at at = {0}; option_next(&at);) {
		bool wanted = section == NULL
				      ? strcmp(last, at.section) != 0
				      : strcmp(at.section, section) == 0 && at.row->type != OPTION_MOVED;
		last = at.section;
		if (!wanted)
			continue;
		writer_text(w, section == NULL ? " [" : " ");
		writer_text(w, section == NULL ? at.section : at.row->key);
		writer_text(w, section == NULL ? "]" : "");
	}
}

/* The sections that have a key of this name, each behind `glue`. Returns how many. */
static unsigned put_sections(struct writer *w, const char *key, const char *first, const char *glue)
{
	unsigned n = 0;
	for (struct option_at at = {0}; option_next(&at);) {
		if (at.row->type == OPTION_MOVED || strcasecmp(at.row->key, key) != 0)
			continue;
		writer_text(w, n++ == 0 ? first : glue);
		writer_text(w, "[");
		writer_text(w, at.section);
		writer_text(w, "]");
	}
	return n;
}

static void put_key(struct writer *w, const char *section, const char *key)
{
	struct suggest near = {.word = span_text(key)};
	for (struct option_at at = {0}; option_next(&at);)
		if (strcmp(at.section, section) == 0 && at.row->type != OPTION_MOVED)
			suggest_try(&near, at.row->key);
	if (near.name != NULL) {
		writer_text(w, "; did you mean ");
		writer_text(w, near.name);
		writer_text(w, "?");
		return;
	}
	put_sections(w, key, "; one of this name stands in ", ", ");
	put_allowed(w, section);
}

static void put_section(struct writer *w, const char *section)
{
	struct suggest near = {.word = trimmed(section)};
	for (struct option_at at = {0}; option_next(&at);)
		suggest_try(&near, at.section);
	if (near.name == NULL) {
		put_allowed(w, NULL);
		return;
	}
	writer_text(w, "; did you mean [");
	writer_text(w, near.name);
	writer_text(w, "]?");
}

static void put_part(struct writer *w, const char *text)
{
	struct span s = span_text(text);
	writer_span_put(w, span_part(s, 0, s.len < 50 ? s.len : 50));
}

void option_unknown(const char *section, const char *key, char *what, size_t size)
{
	struct writer w = writer_of(what, size - 1);
	if (*section == '\0') {
		writer_text(&w, "an option must stand in a section");
		if (put_sections(&w, key, "; one of this name stands in ", ", ") == 0)
			put_allowed(&w, NULL);
	} else if (is_section(section)) {
		writer_text(&w, "unknown option ");
		put_part(&w, key);
		writer_text(&w, " in [");
		writer_text(&w, section);
		writer_text(&w, "]");
		put_key(&w, section, key);
	} else {
		writer_text(&w, "unknown section [");
		put_part(&w, section);
		writer_text(&w, "]");
		put_section(&w, section);
	}
	what[w.len] = '\0';
}

/* --- the environment --- */

/* Every option with this key: HOST alone is that of [mqtt]. */
static unsigned put_variables(struct writer *w, const char *key)
{
	unsigned n = 0;
	for (struct option_at at = {0}; option_next(&at);) {
		if (at.row->type == OPTION_MOVED || strcasecmp(at.row->key, key) != 0)
			continue;
		writer_text(w, n++ == 0 ? "; did you mean " : " or ");
		writer_text(w, origin_variable(at.section, at.row->key).text);
	}
	return n;
}

/* False: no section has this name. */
static bool find_section(const char *name, struct option_at *out)
{
	*out = (struct option_at){0};
	while (option_next(out))
		if (strcasecmp(out->section, name) == 0)
			return true;
	return false;
}

/* The option whose name in the environment is nearest. False: none is near. */
static bool find_near(const char *name, struct option_at *out)
{
	struct suggest near = {.word = span_text(name)};
	unsigned least = 0;
	bool found = false;
	for (struct option_at at = {0}; option_next(&at);) {
		char both[110];
		snprintf(both, sizeof(both), "%s_%s", at.section, at.row->key);
		near.name = NULL;
		if (at.row->type != OPTION_MOVED)
			suggest_try(&near, both);
		if (near.name == NULL || (found && near.slips >= least))
			continue;
		least = near.slips;
		*out = at;
		found = true;
	}
	return found;
}

void option_unknown_variable(const char *name, char *what, size_t size)
{
	struct writer w = writer_of(what, size - 1);
	struct option_at at;
	writer_text(&w, "no such option");
	if (find_section(name, &at)) {
		writer_text(&w, "; allowed: ");
		writer_text(&w, origin_variable(at.section, "<KEY>").text);
	} else if (put_variables(&w, name) > 0) {
		writer_text(&w, "?");
	} else if (find_near(name, &at)) {
		writer_text(&w, "; did you mean ");
		writer_text(&w, origin_variable(at.section, at.row->key).text);
		writer_text(&w, "?");
	} else {
		writer_text(&w, "; allowed: " ENVIRONMENT_HEAD
				"<SECTION>_<KEY> as in the file, such as " ENVIRONMENT_HEAD
				"MQTT_HOST; tracker2mqtt --help lists all");
	}
	what[w.len] = '\0';
}
