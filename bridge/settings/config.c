// SPDX-License-Identifier: MIT
/* config: reading the file and the environment, reloading.
 * Not: start anything. */
#include "bridge/settings/config.h"

#include "bridge/settings/inifile.h"
#include "bridge/base/log.h"
#include "bridge/base/lookup.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

extern char **environ;

/* How an option was set by the file or by the environment. */
struct seen {
	unsigned line; /* of the file; 0: it does not set it */
	bool by_environment, by_old_name;
};

struct reading {
	struct inifile file;
	struct config *config;
	struct seen *seen; /* by the options' numbers */
};

static size_t count_options(void)
{
	struct option_at at = {0};
	while (option_next(&at))
		;
	return at.number;
}

static void unknown_key(struct inifile *r, const char *section, const char *key)
{
	char what[1024];
	bool known_section = false;
	size_t n = 0;
	for (struct option_at at = {0}; option_next(&at);)
		known_section |= strcmp(at.section, section) == 0;
	if (known_section)
		n = (size_t)snprintf(
			what, sizeof(what), "unknown option %.50s in [%s]; allowed:", key, section);
	else
		n = (size_t)snprintf(what, sizeof(what), "%s%.50s%s; allowed:",
			*section ? "unknown section [" : "an option must stand in a section", section,
			*section ? "]" : "");
	const char *last = "";
	for (struct option_at at = {0}; option_next(&at) && n < sizeof(what);) {
		const char *name = known_section ? at.row->key : at.section;
		if ((known_section && strcmp(at.section, section) != 0) || strcmp(last, name) == 0)
			continue;
		last = name;
		n += (size_t)snprintf(what + n, sizeof(what) - n, known_section ? " %s" : " [%s]", name);
	}
	inifile_fault(r, what);
}

/* Under an old name, too, an option is told under the name that was given. */
static void on_pair(struct inifile *file, const char *section, const char *key, const char *value)
{
	struct reading *r = file->ctx;
	struct option_at at, given;
	char what[600];
	if (!option_find(section, key, &given)) {
		unknown_key(file, section, key);
		return;
	}
	option_moved(&given, &at);
	bool old_name = at.row != given.row;
	struct seen *seen = &r->seen[at.number];
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

#define ENVIRONMENT_HEAD "TRACKER2MQTT_"

/* Is this the name of the option in the environment, behind the head? `section`: is its section's at least? */
static bool is_named(const struct option_at *at, const char *name, size_t len, bool *section)
{
	size_t s = strlen(at->section), k = strlen(at->row->key);
	*section = strncasecmp(name, at->section, s) == 0 && name[s] == '_';
	return *section && len == s + 1 + k && strncasecmp(name + s + 1, at->row->key, k) == 0;
}

/* Sets an option from a variable NAME=value. false: `what` says why not. An old name is told in a line of its own. */
static bool take_variable(
	struct reading *r, const struct option_at *given, const char *variable, char *what, size_t size)
{
	struct option_at at;
	const char *value = strchr(variable, '=') + 1;
	option_moved(given, &at);
	bool old_name = at.row != given->row;
	struct seen *seen = &r->seen[at.number];
	if (seen->by_environment && old_name != seen->by_old_name) {
		snprintf(what, size, "[%s] %s is set twice, once under its old name; only one is allowed",
			at.section, at.row->key);
		return false;
	}
	seen->by_environment = true;
	seen->by_old_name = old_name;
	if (!option_set(at.row, given->row->key, value, option_owner(r->config, &at), what, size))
		return false;
	if (old_name)
		log_fault(r->file.errors,
			"environment:%.*s: notice: [%s] %s is called [%s] %s now: rename it; the old name "
			"still works",
			(int)(value - 1 - variable), variable, given->section, given->row->key, at.section,
			at.row->key);
	return true;
}

static unsigned read_environment(struct reading *r)
{
	static const size_t head = sizeof(ENVIRONMENT_HEAD) - 1;
	unsigned faults = 0;
	for (char **e = environ; *e != NULL; e++) {
		const char *value = strchr(*e, '=');
		if (strncmp(*e, ENVIRONMENT_HEAD, head) != 0 || value == NULL)
			continue;
		bool known_section = false, found = false, section;
		char what[600];
		for (struct option_at at = {0}; !found && option_next(&at);) {
			found = is_named(&at, *e + head, (size_t)(value - *e) - head, &section);
			known_section |= section;
			if (!found || take_variable(r, &at, *e, what, sizeof(what)))
				continue;
			log_fault(r->file.errors, "environment:%.*s: %s", (int)(value - *e), *e, what);
			faults++;
		}
		if (known_section && !found) {
			log_fault(r->file.errors,
				"environment:%.*s: no such option; allowed: %s<SECTION>_<KEY> as in the file",
				(int)(value - *e), *e, ENVIRONMENT_HEAD);
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

static unsigned check_homeassistant(const struct config *config, const char *path, FILE *errors)
{
	unsigned faults = 0;
	if (!config->homeassistant.discovery)
		return 0;
	if (config->publish.format != PUBLISH_JSON)
		faults += fprintf(errors,
				  "%s: [homeassistant] discovery needs [publish] format = json: Home Assistant "
				  "reads no MessagePack\n",
				  path) > 0;
	if (config->publish.state == PUBLISH_STATE_NO)
		faults += fprintf(errors,
				  "%s: [homeassistant] discovery needs [publish] state = auto or yes: all that "
				  "Home Assistant shows comes from there\n",
				  path) > 0;
	return faults;
}

/* An address that the page's headers name: a scheme that ends with one of `ends`, and a host. */
static unsigned check_url(
	const char *key, const char *url, const char *const ends[2], const char *path, FILE *errors)
{
	size_t scheme = strcspn(url, ":");
	const char *host = url + scheme + 3;
	if (*url == '\0')
		return 0;
	for (size_t i = 0; i < 2; i++)
		if (strncmp(url, ends[i], scheme) == 0 && ends[i][scheme] == '\0' &&
			strncmp(url + scheme, "://", 3) == 0 && strcspn(host, "/?#") > 0 &&
			strcspn(host, "\"' ;,") >= strcspn(host, "/?#"))
			return 0;
	log_fault(errors, "%s: [web] %s = %s is not allowed; allowed: %s://host… or %s://host…", path, key, url,
		ends[0], ends[1]);
	return 1;
}

static unsigned check_web(const struct config *config, const char *path, FILE *errors)
{
	static const char *const tiles[] = {"https", "http"}, *const mqtt[] = {"wss", "ws"};
	unsigned faults = check_url("tiles", config->web.tiles, tiles, path, errors) +
			  check_url("mqtt", config->web.mqtt, mqtt, path, errors);
	if (config->web.listen.count > 1)
		faults += fprintf(errors, "%s: [web] listen takes one address\n", path) > 0;
	if (!*config->web.tls_cert_file != !*config->web.tls_key_file)
		faults += fprintf(errors, "%s: [web] tls_cert_file and tls_key_file go together\n", path) > 0;
	if (strpbrk(config->web.frame_ancestors, ";,") != NULL) {
		log_fault(errors,
			"%s: [web] frame_ancestors = %s is not allowed; allowed: origins such as "
			"http://homeassistant.local:8123, with blanks between them",
			path, config->web.frame_ancestors);
		faults++;
	}
	return faults;
}

static unsigned check_whole(struct config *config, const char *path, FILE *errors)
{
	unsigned faults = check_listen(config, path, errors) + check_homeassistant(config, path, errors);
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
	faults += check_web(config, path, errors);
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
	memset(config, 0, sizeof(*config));
}

unsigned config_load(struct config *config, const char *path, FILE *errors)
{
	struct reading r = {.config = config, .seen = calloc(count_options(), sizeof(*r.seen))};
	r.file = (struct inifile){
		.path = path ? path : "defaults", .errors = errors, .ctx = &r, .pair = on_pair};
	if (r.seen == NULL) {
		inifile_fault(&r.file, "no memory to read the configuration");
		return r.file.faults;
	}
	bool read = path == NULL || inifile_read(&r.file);
	unsigned faults = r.file.faults + (read ? read_environment(&r) : 0);
	free(r.seen);
	if (!read)
		return faults;
	if (faults == 0)
		faults += check_whole(config, r.file.path, errors) + use_password(config, path, errors);
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
