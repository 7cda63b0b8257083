// SPDX-License-Identifier: MIT
/* origin: see origin.h. */
#include "bridge/settings/origin.h"

#include "bridge/settings/config.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Of "section.key", up to a blank. NULL: no option has this name. */
static const struct origin *find(const struct config *config, const char *name)
{
	char section[50], key[50];
	struct option_at at;
	if (config->origins == NULL || sscanf(name, "%49[^.].%49[^ ]", section, key) != 2 ||
		!option_find(section, key, &at))
		return NULL;
	return &config->origins[at.number];
}

static bool is_set(const struct origin *o)
{
	return o != NULL && (o->line != 0 || o->by_environment);
}

bool origin_is_set(const struct config *config, const char *name)
{
	return is_set(find(config, name));
}

struct origin_text origin_variable(const char *section, const char *key)
{
	struct origin_text out;
	snprintf(out.text, sizeof(out.text), ENVIRONMENT_HEAD "%s_%s", section, key);
	for (char *c = out.text; *c != '\0'; c++)
		*c = (char)toupper((unsigned char)*c);
	return out;
}

struct origin_text origin_where(const struct config *config, const char *names)
{
	struct origin_text out;
	const struct origin *o = NULL;
	for (const char *name = names; name != NULL && !is_set(o);) {
		o = find(config, name);
		name = strchr(name, ' ');
		name = name != NULL ? name + 1 : NULL;
	}
	if (is_set(o) && o->by_environment)
		snprintf(out.text, sizeof(out.text), "environment:%.500s",
			origin_variable(o->section, o->key).text);
	else if (is_set(o))
		snprintf(out.text, sizeof(out.text), "%s:%u", config->path, o->line);
	else
		snprintf(out.text, sizeof(out.text), "%s", config->path);
	return out;
}

struct origin_text origin_named(const struct config *config, const char *name)
{
	struct origin_text out;
	const struct origin *o = find(config, name);
	const char *dot = strchr(name, '.');
	int n = snprintf(out.text, sizeof(out.text), "[%.*s] %s ", (int)(dot - name), name, dot + 1);
	char *rest = out.text + n;
	size_t size = sizeof(out.text) - (size_t)n;
	if (!is_set(o))
		snprintf(rest, size, "(not set)");
	else if (o->by_environment)
		snprintf(rest, size, "(environment)");
	else
		snprintf(rest, size, "(line %u)", o->line);
	return out;
}
