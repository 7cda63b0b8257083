/* config: reading the file and the environment, reloading.
 * May use: inifile, config, log. May not: start anything. */
#include "bridge/settings/config.h"

#include "bridge/settings/inifile.h"
#include "bridge/base/log.h"
#include "bridge/base/lookup.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

extern char **environ;

struct reading {
	struct inifile file;
	struct config *config;
	unsigned seen[CONFIG_OPTIONS_MAX]; /* the line on which each option was set; 0: it was not */
};

static void unknown_key(struct inifile *r, const char *section, const char *key)
{
	char what[1024];
	bool known_section = false;
	size_t n = 0;
	for (size_t i = 0; i < option_count; i++)
		known_section |= strcmp(option_table[i].section, section) == 0;
	if (known_section)
		n = (size_t)snprintf(
			what, sizeof(what), "unknown option %.50s in [%s]; allowed:", key, section);
	else
		n = (size_t)snprintf(what, sizeof(what), "%s%.50s%s; allowed:",
			*section ? "unknown section [" : "an option must stand in a section", section,
			*section ? "]" : "");
	const char *last = "";
	for (size_t i = 0; i < option_count && n < sizeof(what); i++) {
		const char *name = known_section ? option_table[i].key : option_table[i].section;
		if ((known_section && strcmp(option_table[i].section, section) != 0) || strcmp(last, name) == 0)
			continue;
		last = name;
		n += (size_t)snprintf(what + n, sizeof(what) - n, known_section ? " %s" : " [%s]", name);
	}
	inifile_fault(r, what);
}

static void on_pair(struct inifile *file, const char *section, const char *key, const char *value)
{
	struct reading *r = file->ctx;
	const struct config_option *option = option_find(section, key);
	char what[600];
	if (option == NULL) {
		unknown_key(file, section, key);
		return;
	}
	unsigned *seen = &r->seen[option - option_table];
	if (*seen != 0) {
		snprintf(what, sizeof(what), "%s is set twice; line %u has it already", key, *seen);
		inifile_fault(file, what);
		return;
	}
	*seen = file->line;
	if ((option->flags & OPTION_SECRET) && file->comment_behind) {
		snprintf(what, sizeof(what),
			"%s: a ';' behind a blank would start a comment and cut the value; use %s_file", key,
			key);
		inifile_fault(file, what);
	} else if (!option_set(r->config, option, value, what, sizeof(what))) {
		inifile_fault(file, what);
	}
}

/* The first line of a file; "" when the file is missing and may be. False: a fault, which is written to `errors`. */
static bool read_first_line(const char *path, bool may_be_missing, char *line, size_t size, FILE *errors)
{
	*line = '\0';
	FILE *f = fopen(path, "r");
	if (f == NULL && may_be_missing && (errno == ENOENT || errno == ENOTDIR))
		return true;
	bool ok = f != NULL && (fgets(line, (int)size, f) != NULL || !ferror(f));
	if (!ok)
		log_fault(errors, "password_file %s: %s", path, strerror(errno));
	if (f != NULL)
		fclose(f);
	bool whole = strlen(line) < size - 1;
	if (!whole)
		fprintf(errors, "password_file %s: its first line is too long; allowed: %zu bytes\n", path,
			size - 2);
	line[strcspn(line, "\r\n")] = '\0';
	return ok && whole;
}

/* Where the password may be: in the credential that systemd gives the service, or in the file beside the configuration from
 * which that credential comes. False: there is no such place. */
static bool credential_path(const char *config_path, char *out, size_t size)
{
	static const char name[] = "mqtt-password";
	const char *directory = getenv("CREDENTIALS_DIRECTORY");
	const char *slash = config_path != NULL ? strrchr(config_path, '/') : NULL;
	if (directory != NULL)
		snprintf(out, size, "%s/%s", directory, name);
	else if (config_path != NULL)
		snprintf(out, size, "%.*s%s", slash ? (int)(slash + 1 - config_path) : 0, config_path, name);
	return directory != NULL || config_path != NULL;
}

/* Sets the password from the only place that has one. Returns the number of faults. */
static unsigned use_password(struct config *config, const char *config_path, FILE *errors)
{
	char file[512] = "", credential[512] = "", path[4200];
	bool named = *config->mqtt.password_file != '\0',
	     there = credential_path(config_path, path, sizeof(path));
	if (named && !read_first_line(config->mqtt.password_file, false, file, sizeof(file), errors))
		return 1;
	if (there && strcmp(path, config->mqtt.password_file) != 0 &&
		!read_first_line(path, true, credential, sizeof(credential), errors))
		return 1;
	const char *values[] = {config->mqtt.password, file, credential};
	const char *names[] = {"password", "password_file", path}, *found = NULL, *by = NULL;
	unsigned faults = 0;
	for (size_t i = 0; i < 3; i++) {
		if (*values[i] == '\0')
			continue;
		if (found != NULL)
			faults += fprintf(errors, "%s: [mqtt] %s and %s are both set; only one is allowed\n",
					  config_path ? config_path : "defaults", by, names[i]) > 0;
		found = values[i];
		by = names[i];
	}
	if (found != NULL && found != config->mqtt.password) {
		free(config->mqtt.password);
		config->mqtt.password = strdup(found);
	}
	if (found != NULL && *config->mqtt.username == '\0')
		faults += fprintf(errors, "%s: [mqtt] a password (%s) needs a username\n",
				  config_path ? config_path : "defaults", by) > 0;
	return faults;
}

static unsigned read_environment(struct config *config, FILE *errors)
{
	static const char head[] = "TRACKER2MQTT_";
	unsigned faults = 0;
	for (char **e = environ; *e != NULL; e++) {
		if (strncmp(*e, head, sizeof(head) - 1) != 0)
			continue;
		const char *name = *e + sizeof(head) - 1, *value = strchr(*e, '=');
		bool known_section = false, found = false;
		for (size_t i = 0; value != NULL && i < option_count; i++) {
			const struct config_option *o = &option_table[i];
			size_t s = strlen(o->section), k = strlen(o->key);
			bool section = strncasecmp(name, o->section, s) == 0 && name[s] == '_';
			known_section |= section;
			if (!section || (size_t)(value - name) != s + 1 + k ||
				strncasecmp(name + s + 1, o->key, k) != 0)
				continue;
			char what[600];
			found = true;
			if (option_set(config, o, value + 1, what, sizeof(what)))
				break;
			log_fault(errors, "environment:%.*s: %s", (int)(value - *e), *e, what);
			faults++;
		}
		if (known_section && !found) {
			log_fault(errors,
				"environment:%.*s: no such option; allowed: %s<SECTION>_<KEY> as in the file",
				(int)(value - *e), *e, head);
			faults++;
		}
	}
	return faults;
}

static unsigned check_listen(const struct config *config, const char *path, FILE *errors)
{
	unsigned faults = 0;
	const struct endpoints *proxied = &config->listen.proxy_protocol;
	if (config->listen.tcp.count + config->listen.udp.count + config->listen.tls.count == 0) {
		fprintf(errors, "%s: [listen] tcp, udp and tls are all empty; at least one address is needed\n",
			path);
		faults++;
	}
	if (config->listen.tls.count > 0 && (!*config->listen.tls_cert_file || !*config->listen.tls_key_file)) {
		fprintf(errors, "%s: [listen] tls needs tls_cert_file and tls_key_file\n", path);
		faults++;
	}
	for (unsigned i = 0; i < proxied->count; i++) {
		if (endpoints_have(&config->listen.tcp, &proxied->item[i]) ||
			endpoints_have(&config->listen.tls, &proxied->item[i]))
			continue;
		fprintf(errors,
			"%s: [listen] proxy_protocol: address %u of the list stands neither in tcp nor in "
			"tls\n",
			path, i + 1);
		faults++;
	}
	return faults;
}

static unsigned check_whole(struct config *config, const char *path, FILE *errors)
{
	unsigned faults = check_listen(config, path, errors);
	if (config->homeassistant.discovery && config->publish.format != 0) {
		fprintf(errors,
			"%s: [homeassistant] discovery needs [publish] format = json: Home Assistant reads "
			"no MessagePack\n",
			path);
		faults++;
	}
	if (*config->owntracks.topic && (strstr(config->owntracks.topic, "{ident}") == NULL ||
						strpbrk(config->owntracks.topic, "+#") != NULL)) {
		log_fault(errors,
			"%s: [owntracks] topic = %s is not allowed; allowed: topic levels without + and #, one "
			"of "
			"them with {ident}",
			path, config->owntracks.topic);
		faults++;
	}
	if (*config->relay.server && !lookup_allowed(config->relay.server)) {
		log_fault(errors, "%s: [relay] server = %s is not allowed; allowed: host:port", path,
			config->relay.server);
		faults++;
	}
	if (config->metrics.listen.count > 1) {
		fprintf(errors, "%s: [metrics] listen takes one address\n", path);
		faults++;
	}
	if (!*config->mqtt.tls_cert_file != !*config->mqtt.tls_key_file) {
		fprintf(errors, "%s: [mqtt] tls_cert_file and tls_key_file go together\n", path);
		faults++;
	}
	if (!config->mqtt.tls && (*config->mqtt.tls_ca_file || *config->mqtt.tls_cert_file)) {
		fprintf(errors, "%s: [mqtt] tls_ca_file and tls_cert_file need tls = yes\n", path);
		faults++;
	}
	return faults;
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
	for (size_t i = 0; i < option_count; i++) {
		const struct config_option *o = &option_table[i];
		if (!option_set(config, o, option_standard(o, own), why, sizeof(why)) &&
			!option_set(config, o, o->standard, why, sizeof(why))) /* a home with a strange name */
			return false;
	}
	return true;
}

static bool is_string(enum option_type type)
{
	return type == OPTION_TEXT || type == OPTION_NAME || type == OPTION_TOPIC || type == OPTION_PREFIXES;
}

void config_free(struct config *config)
{
	for (size_t i = 0; i < option_count; i++) {
		if (is_string(option_table[i].type))
			free(*(char **)((char *)config + option_table[i].offset));
	}
	memset(config, 0, sizeof(*config));
}

unsigned config_load(struct config *config, const char *path, FILE *errors)
{
	struct reading r = {.config = config};
	r.file = (struct inifile){
		.path = path ? path : "defaults", .errors = errors, .ctx = &r, .pair = on_pair};
	if (path != NULL && !inifile_read(&r.file))
		return r.file.faults;
	unsigned faults = r.file.faults + read_environment(config, errors);
	if (faults == 0)
		faults += check_whole(config, r.file.path, errors) + use_password(config, path, errors);
	set_instance(config);
	return faults;
}

static size_t size_of(enum option_type type)
{
	switch (type) {
	case OPTION_BOOLEAN:
		return sizeof(bool);
	case OPTION_ENDPOINTS:
	case OPTION_SOME_ENDPOINTS:
		return sizeof(struct endpoints);
	case OPTION_NETWORKS:
		return sizeof(struct networks);
	case OPTION_TEXT:
	case OPTION_NAME:
	case OPTION_TOPIC:
	case OPTION_PREFIXES:
	case OPTION_INTEGER:
	case OPTION_DURATION:
	case OPTION_SIZE:
	case OPTION_CHOICE:
	case OPTION_TIMEZONE:
		return sizeof(int64_t);
	}
	return 0;
}

void config_apply(struct config *config, const struct config *fresh)
{
	for (size_t i = 0; i < option_count; i++) {
		const struct config_option *o = &option_table[i];
		char *old = (char *)config + o->offset;
		const char *now = (const char *)fresh + o->offset;
		bool text = is_string(o->type);
		bool same = text ? strcmp(*(char **)old, *(char *const *)now) == 0
				 : memcmp(old, now, size_of(o->type)) == 0;
		if (same)
			continue;
		if (o->flags & OPTION_RELOAD) {
			/* no text may change while running, so no pointer is copied */
			memcpy(old, now, size_of(o->type));
			log_notice("reload: [%s] %s changed", o->section, o->key);
		} else {
			log_warning("reload: [%s] %s changed; it needs a restart", o->section, o->key);
		}
	}
}
