// SPDX-License-Identifier: MIT
/* config_environment: options from variables TRACKER2MQTT_<SECTION>_<KEY>.
 * Uses: bridge/base. */
#include "bridge/settings/config_private.h"

#include "bridge/base/log.h"
#include "bridge/base/near.h"

#define HEAD CONFIG_VARIABLES
#define HEAD_BYTES (sizeof(HEAD) - 1)

extern char **environ;

/* What a variable is called behind the head, and its value. */
struct variable {
	struct span name;
	const char *value;
};

/* The options that it can mean. */
struct meant {
	struct option_at at;    /* the one that it names, when `named` */
	bool named, section;    /* the option; its section, at least */
	struct near near;       /* the key, behind the name of a section */
	struct option_at other; /* without a section: the option whose whole name is near */
	bool is_near;
	unsigned distance; /* of that one */
};

/* The name of a section may be missing or misspelt. */
static void compare(struct variable v, const struct option_at *at, struct meant *m)
{
	char name[120];
	struct near near = near_to(v.name);
	snprintf(name, sizeof(name), "%s_%s", at->section, at->row->key);
	near_try(&near, name);
	if (near.name == NULL || at->row->type == OPTION_MOVED || (m->is_near && near.distance >= m->distance))
		return;
	m->other = *at;
	m->is_near = true;
	m->distance = near.distance;
}

static bool is_same(struct span a, const char *b)
{
	return a.len == strlen(b) && strncasecmp((const char *)a.ptr, b, a.len) == 0;
}

static void look_for(struct variable v, struct meant *m)
{
	struct option_at at = {0};
	size_t longest = 0;
	while (option_next(&at)) {
		size_t n = strlen(at.section);
		bool here =
			v.name.len > n && v.name.ptr[n] == '_' && is_same(span_of(v.name.ptr, n), at.section);
		struct span key = span_after(v.name, here ? n + 1 : 0);
		if (here && is_same(key, at.row->key)) {
			m->at = at;
			m->named = true;
			return;
		}
		if (here && n >= longest) {
			if (n > longest)
				m->near = near_to(key);
			longest = n;
			near_try(&m->near, at.row->key);
		}
		m->section |= here;
		compare(v, &at, m);
	}
}

/* False: `what` says why not. An old name is told in a line of its own. */
static bool take(struct config *config, const struct option_at *given, struct variable v, FILE *errors,
	char *what, size_t size)
{
	struct option_at at;
	option_moved(given, &at);
	bool old_name = at.row != given->row;
	struct config_place *place = &config->places->of[at.number];
	if (place->by_environment && old_name != place->by_old_name) {
		snprintf(what, size, "[%s] %s is set twice, once under its old name; only one is allowed",
			at.section, at.row->key);
		return false;
	}
	place->by_environment = true;
	place->by_old_name = old_name;
	if (!option_set(at.row, given->row->key, v.value, option_owner(config, &at), what, size))
		return false;
	if (old_name)
		log_fault(errors,
			"environment:" HEAD "%.*s: notice: [%s] %s is called [%s] %s now: rename it; the old "
			"name still works",
			(int)v.name.len, (const char *)v.name.ptr, given->section, given->row->key, at.section,
			at.row->key);
	return true;
}

/* Who runs containers has variables of other kinds with this head, so one without a section is no fault. */
static bool is_unknown(const struct meant *m, struct variable v, char *what, size_t size)
{
	char name[200] = "";
	if (m->section)
		snprintf(what, size, "no such option; %s%s%s" HEAD "<SECTION>_<KEY> as in the file",
			m->near.name != NULL ? "did you mean the key " : "",
			m->near.name != NULL ? m->near.name : "",
			m->near.name != NULL ? "? allowed: " : "allowed: ");
	else if (m->is_near && strncmp(v.value, "tcp://", 6) != 0) {
		config_variable(&m->other, name, sizeof(name));
		snprintf(what, size, "notice: no option has this name, and it is ignored; did you mean %s?",
			strchr(name, ':') + 1);
	} else
		*what = '\0';
	return m->section;
}

unsigned config_read_environment(struct config *config, FILE *errors)
{
	unsigned faults = 0;
	for (char **e = environ; *e != NULL; e++) {
		const char *equals = strchr(*e, '=');
		struct meant m = {0};
		char what[900];
		if (strncmp(*e, HEAD, HEAD_BYTES) != 0 || equals == NULL)
			continue;
		struct variable v = {span_of(*e + HEAD_BYTES, (size_t)(equals - *e) - HEAD_BYTES), equals + 1};
		look_for(v, &m);
		if (m.named && take(config, &m.at, v, errors, what, sizeof(what)))
			continue;
		faults += m.named || is_unknown(&m, v, what, sizeof(what)) ? 1 : 0;
		if (*what != '\0')
			log_fault(errors, "environment:%.*s: %s", (int)(equals - *e), *e, what);
	}
	return faults;
}
