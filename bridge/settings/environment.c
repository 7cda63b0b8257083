// SPDX-License-Identifier: MIT
/* environment: see environment.h. */
#include "bridge/settings/environment.h"

#include "bridge/base/log.h"
#include "bridge/settings/option_unknown.h"

#include <stdlib.h>
#include <strings.h>

extern char **environ;

#define HEAD (sizeof(ENVIRONMENT_HEAD) - 1)
#define NAME_MOST 100 /* of a variable, behind the head; no option's is as long */

/* Is this the name of the option in the environment, behind the head? */
static bool is_named(const struct option_at *at, const char *name)
{
	size_t n = strlen(at->section);
	return strncasecmp(name, at->section, n) == 0 && name[n] == '_' &&
	       strcasecmp(name + n + 1, at->row->key) == 0;
}

/* Sets an option. false: `what` says why not. An old name is told in a line of its own. */
static bool take_value(struct config *config, const struct option_at *given, const char *value, char *what,
	size_t size, FILE *errors)
{
	struct option_at at;
	option_moved(given, &at);
	bool old_name = at.row != given->row;
	struct origin *seen = &config->origins[at.number];
	if (seen->by_environment) {
		snprintf(what, size, "[%s] %s is set twice%s; only one is allowed", at.section, at.row->key,
			old_name != seen->by_old_name ? ", once under its old name" : "");
		return false;
	}
	*seen = (struct origin){.line = seen->line,
		.by_environment = true,
		.by_old_name = old_name,
		.section = given->section,
		.key = given->row->key};
	if (!option_set(at.row, given->row->key, value, option_owner(config, &at), what, size))
		return false;
	if (old_name)
		log_fault(errors,
			"environment:%s: notice: [%s] %s is called [%s] %s now: rename it; the old name still "
			"works",
			origin_variable(given->section, given->row->key).text, given->section, given->row->key,
			at.section, at.row->key);
	return true;
}

/* Variables that Kubernetes makes for a service of this name, Docker for a link to a container of this name. */
static bool is_made_by_containers(const char *name, const char *value)
{
	const char *port = strstr(name, "PORT_");
	bool url = strncmp(value, "tcp://", 6) == 0 || strncmp(value, "udp://", 6) == 0;
	return strstr(name, "SERVICE_HOST") != NULL || strstr(name, "SERVICE_PORT") != NULL ||
	       strncmp(name, "ENV_", 4) == 0 || (strcmp(name, "NAME") == 0 && *value == '/') ||
	       (strcmp(name, "PORT") == 0 && url) || (port != NULL && byte_is_digit((uint8_t)port[5]));
}

/* False: `what` says what is wrong with it. */
static bool take_variable(
	struct config *config, const char *name, const char *value, char *what, size_t size, FILE *errors)
{
	for (struct option_at at = {0}; option_next(&at);)
		if (is_named(&at, name))
			return take_value(config, &at, value, what, size, errors);
	if (is_made_by_containers(name, value))
		return true;
	option_unknown_variable(name, what, size);
	return false;
}

unsigned environment_read(struct config *config, FILE *errors)
{
	unsigned faults = 0;
	for (char **e = environ; *e != NULL; e++) {
		const char *value = strchr(*e, '=');
		char name[NAME_MOST + 1], what[1000];
		if (strncasecmp(*e, ENVIRONMENT_HEAD, HEAD) != 0 || value == NULL)
			continue;
		span_copy(span_of(*e + HEAD, (size_t)(value - *e) - HEAD), name, sizeof(name));
		bool ok = strncmp(*e, ENVIRONMENT_HEAD, HEAD) == 0 &&
			  take_variable(config, name, value + 1, what, sizeof(what), errors);
		if (ok)
			continue;
		if (strncmp(*e, ENVIRONMENT_HEAD, HEAD) != 0)
			option_unknown_variable(name, what, sizeof(what));
		log_fault(errors, "environment:%.*s: %s", (int)(value - *e < 150 ? value - *e : 150), *e, what);
		faults++;
	}
	return faults;
}
