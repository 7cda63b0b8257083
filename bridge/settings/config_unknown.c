// SPDX-License-Identifier: MIT
/* config_unknown: what to say of a key or section that there is not.
 * Uses: bridge/base. */
#include "bridge/settings/config_private.h"

#include "bridge/base/near.h"

static bool is_section(const char *name)
{
	for (struct option_at at = {0}; option_next(&at);)
		if (strcmp(at.section, name) == 0)
			return true;
	return false;
}

/* The names that are allowed: keys of the section, or sections. */
static void add_allowed(const char *section, char *what, size_t size)
{
	const char *last = "";
	size_t n = strlen(what);
	for (struct option_at at = {0}; option_next(&at) && n < size;) {
		const char *name = section != NULL ? at.row->key : at.section;
		bool other = section != NULL && strcmp(at.section, section) != 0;
		if (other || at.row->type == OPTION_MOVED || strcmp(last, name) == 0)
			continue;
		last = name;
		n += (size_t)snprintf(what + n, size - n, section != NULL ? " %s" : " [%s]", name);
	}
}

/* The section in which the key stands, or one with a key that is near: here first. */
static const char *near_key(const char *section, const char *key, struct near *near)
{
	const char *where = NULL;
	for (struct option_at at = {0}; option_next(&at);)
		if (strcmp(at.section, section) == 0 && at.row->type != OPTION_MOVED)
			near_try(near, at.row->key);
	if (near->name != NULL)
		return section;
	for (struct option_at at = {0}; option_next(&at);)
		if (at.row->type != OPTION_MOVED && strcmp(key, at.row->key) == 0) {
			near->name = at.row->key;
			where = at.section;
			break;
		}
	return where;
}

static void unknown_section(const char *section, const char *key, char *what, size_t size)
{
	struct near near = near_to(span_text(section));
	size_t n = (size_t)snprintf(what, size, "%s%.50s%s; ",
		*section ? "unknown section [" : "an option must stand in a section", section,
		*section ? "]" : "");
	const char *where = NULL;
	for (struct option_at at = {0}; option_next(&at);)
		near_try(&near, at.section);
	if (*section == '\0')
		where = near_key("", key, &near);
	if (where != NULL)
		snprintf(what + n, size - n, "%s stands in [%s]; allowed:", near.name, where);
	else if (near.name != NULL)
		snprintf(what + n, size - n, "did you mean [%s]? allowed:", near.name);
	else
		snprintf(what + n, size - n, "allowed:");
	add_allowed(NULL, what, size);
}

void config_unknown(const char *section, const char *key, char *what, size_t size)
{
	struct near near = near_to(span_text(key));
	if (!is_section(section)) {
		unknown_section(section, key, what, size);
		return;
	}
	size_t n = (size_t)snprintf(what, size, "unknown option %.50s in [%s]; ", key, section);
	const char *where = near_key(section, key, &near);
	if (where == section)
		snprintf(what + n, size - n, "did you mean %s? allowed:", near.name);
	else if (where != NULL)
		snprintf(what + n, size - n, "%s stands in [%s]; allowed here:", near.name, where);
	else
		snprintf(what + n, size - n, "allowed:");
	add_allowed(section, what, size);
}
