// SPDX-License-Identifier: MIT
/* option_text: what people read of the options: defaults, help, the sample.
 * Uses: bridge/base. */
#include "bridge/settings/config.h"

#include "bridge/base/directory.h"

#include <stdlib.h>
#include <string.h>

const char *option_standard(const struct option_row *row, char *buf)
{
	static const char head[] = "/var/lib/";
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME"), *below = "";
	char where[DIRECTORY_PATH_MAX];
	if (!(row->flags & OPTION_DIRECTORY) || strncmp(row->standard, head, sizeof(head) - 1) != 0)
		return row->standard;
	if (getenv("STATE_DIRECTORY") != NULL || directory_fault(row->standard, where) == NULL)
		return row->standard; /* systemd has made it, or this user may make it */
	if (state == NULL || state[0] != '/') {
		state = home;
		below = "/.local/state";
	}
	if (state == NULL || state[0] != '/')
		return row->standard;
	int n = snprintf(buf, OPTION_STANDARD_MAX, "%s%s/%s", state, below, row->standard + sizeof(head) - 1);
	return n <= row->max ? buf : row->standard;
}

/* The labels of the codecs whose units are relayed. */
static void put_relayed(struct writer *w)
{
	size_t n = 0;
	for (const struct codec *const *c = codecs; *c != NULL; c++) {
		if (!(*c)->relayed)
			continue;
		writer_text(w, n++ > 0 ? " and " : "");
		writer_text(w, (*c)->label);
	}
}

/* Has an option before this one the same key, for units as well? */
static bool is_repeated(const struct option_at *at)
{
	for (struct option_at before = {0}; option_next(&before) && before.row != at->row;)
		if ((before.row->flags & OPTION_PER_UNIT) && strcmp(before.row->key, at->row->key) == 0)
			return true;
	return false;
}

/* The keys that the codecs let the units file give. */
static void put_per_unit(struct writer *w)
{
	size_t n = 0;
	for (struct option_at at = {0}; option_next(&at);) {
		if (!(at.row->flags & OPTION_PER_UNIT) || is_repeated(&at))
			continue;
		writer_text(w, n++ > 0 ? ", " : "");
		writer_text(w, at.row->key);
	}
}

const char *option_help(const struct option_row *row, char *buf)
{
	static const struct {
		const char *place;
		void (*put)(struct writer *w);
	} places[] = {{"{relayed}", put_relayed}, {"{per unit}", put_per_unit}};
	struct writer w = writer_of(buf, OPTION_HELP_MAX - 1);
	for (const char *c = row->help; *c != '\0';) {
		size_t i = 0, n = sizeof(places) / sizeof(places[0]);
		while (i < n && strncmp(c, places[i].place, strlen(places[i].place)) != 0)
			i++;
		if (i < n)
			places[i].put(&w);
		else
			writer_u8(&w, (uint8_t)*c);
		c += i < n ? strlen(places[i].place) : 1;
	}
	buf[w.len] = '\0';
	return buf;
}

void options_print(FILE *out)
{
	char own[OPTION_STANDARD_MAX], help[OPTION_HELP_MAX], allowed[256];
	const char *section = "";
	fprintf(out, "# tracker2mqtt: the complete configuration, with its defaults.\n"
		     "# Durations take a unit (ms s m h d), sizes may (K M G). A line begins in the first "
		     "column; a ';'\n"
		     "# behind a blank starts a comment. TRACKER2MQTT_<SECTION>_<KEY> in the environment "
		     "overrides.\n");
	for (struct option_at at = {0}; option_next(&at);) {
		const struct option_row *row = at.row;
		if (row->type == OPTION_MOVED)
			continue;
		if (strcmp(at.section, section) != 0)
			fprintf(out, "\n[%s]\n", at.section);
		section = at.section;
		option_allowed(row, allowed, sizeof(allowed));
		fprintf(out, "# %s\n#   %s%s\n%s =%s%s\n", option_help(row, help), allowed,
			row->flags & OPTION_RELOAD ? "; changed by a reload" : "", row->key,
			*row->standard ? " " : "", option_standard(row, own));
	}
}
