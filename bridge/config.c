/* config: reading: a strict line reader in front of inih, the environment, reloading.
 * May use: inih, config, log. May not: start anything. */
#include "config.h"

#include "log.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <unistd.h>

extern char **environ;

#define LINE_MAX_LENGTH 198 /* what inih 55 takes in one piece */

struct reading {
	struct config *config;
	const char *path;
	FILE *in, *errors;
	unsigned line, faults;
	bool comment_behind; /* the line at hand has a ` ;` */
	unsigned seen[64];   /* line of each option, 0 = not yet */
};

static void fault(struct reading *r, const char *what)
{
	r->faults++;
	fprintf(r->errors, "%s:%u: %s\n", r->path, r->line, what);
}

/* What is wrong with a line, or NULL. `n` bytes without the newline. */
static const char *line_fault(const char *line, size_t n)
{
	if (memchr(line, '\0', n) != NULL)
		return "a NUL byte is not allowed; this must be a text file";
	if (n > LINE_MAX_LENGTH)
		return "line too long; at most 198 characters are allowed (for secrets use password_file)";
	if (n > 0 && (line[0] == ' ' || line[0] == '\t') && strspn(line, " \t\r") < n)
		return "a line must not begin with a blank; allowed: [section], key = value, # comment";
	size_t end = n;
	while (end > 0 && isspace((unsigned char)line[end - 1]))
		end--;
	if (end == 0 || line[0] == '#' || line[0] == ';')
		return NULL;
	if (line[0] == '[')
		return memchr(line, ']', end) ? NULL : "a section must end in ]; allowed: [section]";
	if (memchr(line, '=', end) == NULL || line[0] == '=')
		return "not understood; allowed: [section], key = value, # comment";
	return NULL;
}

/* inih's reader: hands over good lines, and an empty one in place of each faulty one. */
static char *read_line(char *buf, int size, void *stream)
{
	struct reading *r = stream;
	char *line = NULL;
	size_t cap = 0;
	ssize_t n = getline(&line, &cap, r->in);
	if (n < 0) {
		free(line);
		return NULL;
	}
	r->line++;
	if (n > 0 && line[n - 1] == '\n')
		n--;
	if (n > 0 && line[n - 1] == '\r')
		n--;
	line[n] = '\0';
	size_t bom = r->line == 1 && n >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
	const char *what = line_fault(line + bom, (size_t)n - bom);
	if (what != NULL)
		fault(r, what);
	r->comment_behind = strstr(line, " ;") != NULL || strstr(line, "\t;") != NULL;
	snprintf(buf, (size_t)size, "%s\n", what == NULL ? line + bom : "");
	free(line);
	return buf;
}

static void unknown_key(struct reading *r, const char *section, const char *key)
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
	fault(r, what);
}

static int on_pair(void *user, const char *section, const char *key, const char *value)
{
	struct reading *r = user;
	const struct config_option *option = option_find(section, key);
	char what[600];
	if (option == NULL) {
		unknown_key(r, section, key);
		return 1;
	}
	unsigned *seen = &r->seen[option - option_table];
	if (*seen != 0) {
		snprintf(what, sizeof(what), "%s is set twice; line %u has it already", key, *seen);
		fault(r, what);
		return 1;
	}
	*seen = r->line;
	if ((option->flags & OPTION_SECRET) && r->comment_behind) {
		snprintf(what, sizeof(what),
			"%s: a ';' behind a blank would start a comment and cut the value; use %s_file", key,
			key);
		fault(r, what);
	} else if (!option_set(r->config, option, value, what, sizeof(what))) {
		fault(r, what);
	}
	return 1;
}

static bool read_password(struct config *config, FILE *errors)
{
	char buf[512] = "";
	FILE *f = fopen(config->mqtt.password_file, "r");
	bool ok = f != NULL && (fgets(buf, sizeof(buf), f) != NULL || !ferror(f));
	if (!ok)
		fprintf(errors, "password_file %s: %s\n", config->mqtt.password_file, strerror(errno));
	if (f != NULL)
		fclose(f);
	buf[strcspn(buf, "\r\n")] = '\0';
	free(config->mqtt.password);
	config->mqtt.password = strdup(buf);
	return ok;
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
			fprintf(errors, "environment:%.*s: %s\n", (int)(value - *e), *e, what);
			faults++;
		}
		if (known_section && !found) {
			fprintf(errors,
				"environment:%.*s: no such option; allowed: %s<SECTION>_<KEY> as in the file\n",
				(int)(value - *e), *e, head);
			faults++;
		}
	}
	return faults;
}

static unsigned check_whole(struct config *config, const char *path, FILE *errors)
{
	unsigned faults = 0;
	if (config->listen.tcp.count + config->listen.udp.count == 0) {
		fprintf(errors, "%s: [listen] tcp and udp are both empty; at least one address is needed\n",
			path);
		faults++;
	}
	if (*config->mqtt.password_file != '\0') {
		if (*config->mqtt.password != '\0') {
			fprintf(errors,
				"%s: [mqtt] password and password_file are both set; only one is allowed\n",
				path);
			faults++;
		} else if (!read_password(config, errors)) {
			faults++;
		}
	}
	if (*config->mqtt.password != '\0' && *config->mqtt.username == '\0') {
		fprintf(errors, "%s: [mqtt] a password needs a username\n", path);
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

void config_init(struct config *config)
{
	char why[600];
	memset(config, 0, sizeof(*config));
	for (size_t i = 0; i < option_count; i++)
		if (!option_set(config, &option_table[i], option_table[i].standard, why, sizeof(why)))
			abort(); /* our own table */
}

void config_free(struct config *config)
{
	for (size_t i = 0; i < option_count; i++) {
		enum option_type type = option_table[i].type;
		if (type == OPTION_TEXT || type == OPTION_NAME || type == OPTION_TOPIC)
			free(*(char **)((char *)config + option_table[i].offset));
	}
	memset(config, 0, sizeof(*config));
}

unsigned config_load(struct config *config, const char *path, FILE *errors)
{
	struct reading r = {.config = config, .path = path ? path : "defaults", .errors = errors};
	_Static_assert(sizeof(r.seen) / sizeof(r.seen[0]) >= 64, "room for every option");
	if (option_count > sizeof(r.seen) / sizeof(r.seen[0]))
		abort();
	if (path != NULL) {
		r.in = fopen(path, "r");
		if (r.in == NULL) {
			fprintf(errors, "%s: %s\n", path, strerror(errno));
			return 1;
		}
		ini_parse_stream(read_line, &r, on_pair, &r);
		if (ferror(r.in)) {
			fprintf(errors, "%s: %s\n", path, strerror(errno));
			r.faults++;
		}
		fclose(r.in);
	}
	r.faults += read_environment(config, errors);
	if (r.faults == 0)
		r.faults += check_whole(config, r.path, errors);
	set_instance(config);
	return r.faults;
}

static size_t size_of(enum option_type type)
{
	switch (type) {
	case OPTION_BOOLEAN:
		return sizeof(bool);
	case OPTION_ENDPOINTS:
		return sizeof(struct endpoints);
	case OPTION_TEXT:
	case OPTION_NAME:
	case OPTION_TOPIC:
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
		bool text = o->type == OPTION_TEXT || o->type == OPTION_NAME || o->type == OPTION_TOPIC;
		bool same = text ? strcmp(*(char **)old, *(char *const *)now) == 0
				 : memcmp(old, now, size_of(o->type)) == 0;
		if (same)
			continue;
		if (o->flags & OPTION_RELOAD) {
			memcpy(old, now, size_of(o->type)); /* never a text: those belong to their struct */
			log_notice("reload: [%s] %s changed", o->section, o->key);
		} else {
			log_warning("reload: [%s] %s changed; it needs a restart", o->section, o->key);
		}
	}
}
