// SPDX-License-Identifier: MIT
/* config: reading the file, reloading.
 * Not: start anything. */
#include "bridge/settings/config_private.h"

#include "bridge/settings/inifile.h"
#include "bridge/base/log.h"

#include <stdlib.h>
#include <unistd.h>

/* The file, while it is read. */
struct reading {
	struct inifile file;
	struct config *config;
};

static size_t count_options(void)
{
	struct option_at at = {0};
	while (option_next(&at))
		;
	return at.number + 1;
}

/* Under an old name, too, an option is told under the name that was given. */
static void on_pair(struct inifile *file, const char *section, const char *key, const char *value)
{
	struct reading *r = file->ctx;
	struct option_at at, given;
	char what[1200];
	if (!option_find(section, key, &given)) {
		config_unknown(section, key, what, sizeof(what));
		inifile_fault(file, what);
		return;
	}
	option_moved(&given, &at);
	bool old_name = at.row != given.row;
	struct config_place *seen = &r->config->places->of[at.number];
	if (seen->line != 0 && old_name != seen->by_old_name) {
		snprintf(what, sizeof(what),
			"[%s] %s is set twice, once under its old name; line %u has it already", at.section,
			at.row->key, seen->line);
		inifile_fault(file, what);
		return;
	}
	if (seen->line != 0) {
		snprintf(what, sizeof(what), "%s is set twice; line %u has it already", key, seen->line);
		inifile_fault(file, what);
		return;
	}
	seen->line = file->line;
	seen->by_old_name = old_name;
	if ((at.row->flags & OPTION_SECRET) && file->comment_behind) {
		snprintf(what, sizeof(what),
			"%s: a ';' behind a blank would start a comment and cut the value; use %s_file", key,
			key);
		inifile_fault(file, what);
	} else if (!option_set(at.row, key, value, option_owner(r->config, &at), what, sizeof(what))) {
		inifile_fault(file, what);
	} else if (old_name) {
		log_fault(file->errors,
			"%s:%u: notice: [%s] %s is called [%s] %s now: rename it; the old name still works",
			file->path, file->line, section, key, at.section, at.row->key);
	}
}

static void set_instance(struct config *config)
{
	char name[61] = "";
	if (*config->publish.instance != '\0')
		return;
	if (gethostname(name, sizeof(name) - 1) != 0 || name[0] == '\0')
		strcpy(name, "bridge");
	for (char *c = name; *c != '\0'; c++)
		if (!byte_is_alnum((uint8_t)*c) && strchr("._-", *c) == NULL)
			*c = '-';
	free(config->publish.instance);
	config->publish.instance = strdup(name);
}

bool config_init(struct config *config)
{
	char why[600], own[OPTION_STANDARD_MAX];
	memset(config, 0, sizeof(*config));
	config->codecs = codec_settings_open();
	if (config->codecs == NULL)
		return false;
	for (struct option_at at = {0}; option_next(&at);) {
		const struct option_row *row = at.row;
		if (at.codec == NULL &&
			!option_set(row, row->key, option_standard(row, own), config, why, sizeof(why)) &&
			!option_set(row, row->key, row->standard, config, why,
				sizeof(why))) /* a home with a strange name */
			return false;
	}
	return true;
}

void config_free(struct config *config)
{
	for (struct option_at at = {0}; option_next(&at);)
		if (at.codec == NULL && option_is_string(at.row))
			free(*(char **)(void *)((char *)config + at.row->offset));
	codec_settings_free(config->codecs);
	free(config->places);
	memset(config, 0, sizeof(*config));
}

unsigned config_load(struct config *config, const char *path, FILE *errors)
{
	struct reading r = {.config = config};
	r.file = (struct inifile){
		.path = path ? path : "defaults", .errors = errors, .ctx = &r, .pair = on_pair};
	free(config->places);
	config->places = calloc(1, sizeof(*config->places) + count_options() * sizeof(config->places->of[0]));
	if (config->places == NULL) {
		inifile_fault(&r.file, "no memory to read the configuration");
		return r.file.faults;
	}
	config->places->path = path;
	if (path != NULL && !inifile_read(&r.file))
		return r.file.faults;
	unsigned faults = r.file.faults + config_read_environment(config, errors);
	if (faults == 0)
		faults += config_check(config, errors) + config_use_password(config, errors);
	set_instance(config);
	return faults;
}

void config_apply(struct config *config, const struct config *fresh)
{
	for (struct option_at at = {0}; option_next(&at);) {
		const struct option_row *row = at.row;
		char *old = (char *)option_owner(config, &at) + row->offset;
		const char *now =
			(const char *)option_owner((struct config *)(uintptr_t)fresh, &at) + row->offset;
		bool text = option_is_string(row);
		bool same = text ? strcmp(*(char **)(void *)old, *(char *const *)(const void *)now) == 0
				 : memcmp(old, now, option_size(row)) == 0;
		if (same)
			continue;
		if (row->flags & OPTION_RELOAD) {
			/* no text may change while running, so no pointer is copied */
			memcpy(old, now, option_size(row));
			log_notice("reload: [%s] %s changed", at.section, row->key);
		} else {
			log_warning("reload: [%s] %s changed; it needs a restart", at.section, row->key);
		}
	}
}

const char *config_client_id(const struct config *config, char buf[CONFIG_CLIENT_ID_MAX])
{
	snprintf(buf, CONFIG_CLIENT_ID_MAX, "tracker2mqtt-%s", config->publish.instance);
	return *config->mqtt.client_id ? config->mqtt.client_id : buf;
}

bool config_platform_answers(const struct config *config)
{
	return *config->relay.server != '\0' && config->relay.replies == RELAY_REPLIES_RELAY;
}
