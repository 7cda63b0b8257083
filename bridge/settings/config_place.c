// SPDX-License-Identifier: MIT
/* config_place: faults of options, told with the place where the option was set.
 * Uses: bridge/base. */
#include "bridge/settings/config_private.h"

#include "bridge/base/log.h"

#include <ctype.h>
#include <stdarg.h>
#include <string.h>

void config_variable(const struct option_at *at, char *out, size_t size)
{
	snprintf(out, size, "environment:" CONFIG_VARIABLES "%s_%s", at->section, at->row->key);
	for (char *c = out; *c != '\0' && c < out + size; c++)
		if (c >= out + strlen("environment:"))
			*c = (char)toupper((unsigned char)*c);
}

static void place_text(const struct config *config, const struct option_at *at, char *out, size_t size)
{
	const struct config_places *places = config->places;
	const struct config_place *place = places != NULL ? &places->of[at->number] : NULL;
	const char *path = places != NULL && places->path != NULL ? places->path : "defaults";
	if (place != NULL && place->by_environment)
		config_variable(at, out, size);
	else if (place != NULL && place->line != 0)
		snprintf(out, size, "%s:%u", path, place->line);
	else
		snprintf(out, size, "%s", path);
}

static unsigned tell(const struct config *config, FILE *errors, const char *section, const char *key,
	const char *word, const char *what)
{
	char where[400];
	struct option_at at;
	if (!option_find(section, key, &at))
		return 0;
	place_text(config, &at, where, sizeof(where));
	log_fault(errors, "%s: %s%s", where, word, what);
	return 1;
}

unsigned config_fault(const struct config *config, FILE *errors, const char *section, const char *key,
	const char *format, ...)
{
	char what[900];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	return tell(config, errors, section, key, "", what);
}

void config_notice(const struct config *config, FILE *errors, const char *section, const char *key,
	const char *format, ...)
{
	char what[900];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	tell(config, errors, section, key, "notice: ", what);
}
