// SPDX-License-Identifier: MIT
/* parts_check: whether the files and directories that the configuration names can be used.
 * Uses: bridge/base, bridge/outbox.
 * Not: open any part. */
#include "bridge/parts.h"

#include "bridge/base/directory.h"
#include "bridge/base/file_fault.h"
#include "bridge/base/log.h"
#include "bridge/base/tls.h"
#include "bridge/outbox/store.h"

/* "section.key" of an option. */
struct option_name {
	char text[110];
};

static struct option_name name_of(const struct option_at *at)
{
	struct option_name out;
	snprintf(out.text, sizeof(out.text), "%s.%s", at->section, at->row->key);
	return out;
}

/* What a text of the bridge with one of these flags is; "": it is empty, or has none of them. */
static const char *text_of(const struct config *c, const struct option_at *at, unsigned flags)
{
	bool wanted = at->codec == NULL && (at->row->flags & flags);
	return wanted ? *(char *const *)(const void *)((const char *)c + at->row->offset) : "";
}

/* --- directories --- */

/* Can what is to be kept on disk be kept there? */
static unsigned check_places(const struct config *c, FILE *errors)
{
	char where[DIRECTORY_PATH_MAX];
	unsigned faults = 0;
	for (struct option_at at = {0}; option_next(&at);) {
		const char *path = text_of(c, &at, OPTION_DIRECTORY);
		const char *fault = *path ? directory_fault(path, where) : NULL;
		if (fault == NULL)
			continue;
		log_fault(errors,
			"%s: [%s] %s = %s cannot be made: %s: %s; allowed: a directory that this user may make "
			"and write",
			origin_where(c, name_of(&at).text).text, at.section, at.row->key, path, where, fault);
		faults++;
	}
	return faults;
}

/* --- files --- */

/* Is the file read at all? */
static bool is_used(const struct config *c, const struct option_at *at)
{
	bool tls = strncmp(at->row->key, "tls_", 4) == 0;
	if (strcmp(at->section, "listen") == 0)
		return c->listen.tls.count > 0;
	if (strcmp(at->section, "web") == 0)
		return c->web.listen.count > 0;
	return strcmp(at->section, "mqtt") != 0 || !tls || c->mqtt.tls;
}

/* What to type. A name that a shell would not take as it is stands in quotation marks. */
static void warn_of_readers(const char *where, const char *what, const char *path, FILE *errors)
{
	const char *quote = strpbrk(path, " \t\"$`\\&;()<>|*?[]#~!{}") != NULL ? "'" : "";
	log_fault(errors, "%s: warning: %s %s can be read by every user of this machine: chmod o-rwx %s%s%s",
		where, what, path, quote, path, quote);
}

/* Secrets in the file of the configuration itself. */
static void warn_of_secrets(const struct config *c, FILE *errors)
{
	for (struct option_at at = {0}; option_next(&at);) {
		const struct origin *o = &c->origins[at.number];
		if (*text_of(c, &at, OPTION_SECRET) == '\0' || o->line == 0 || !file_is_public(c->path))
			continue;
		char what[100];
		snprintf(what, sizeof(what), "[%s] %s stands here, and", at.section, at.row->key);
		warn_of_readers(origin_where(c, name_of(&at).text).text, what, c->path, errors);
	}
}

/* The password's file has been read already; it is told there. */
static bool is_told(const struct option_at *at)
{
	return strcmp(at->row->key, "password_file") == 0;
}

static unsigned check_files(const struct config *c, FILE *errors)
{
	unsigned faults = 0;
	for (struct option_at at = {0}; option_next(&at);) {
		const char *path = text_of(c, &at, OPTION_FILE), *key = at.row->key;
		if (*path == '\0' || !is_used(c, &at))
			continue;
		const struct origin_text where = origin_where(c, name_of(&at).text);
		const char *fault = file_fault(path);
		if (fault == NULL && (at.row->flags & OPTION_PRIVATE) && file_is_public(path)) {
			char what[100];
			snprintf(what, sizeof(what), "[%s] %s:", at.section, key);
			warn_of_readers(where.text, what, path, errors);
		}
		if (fault == NULL || is_told(&at))
			continue;
		log_fault(errors,
			"%s: [%s] %s: cannot read %s: %s; name a file that this user may read, or leave %s "
			"empty",
			where.text, at.section, key, path, fault, key);
		faults++;
	}
	warn_of_secrets(c, errors);
	return faults;
}

/* --- TLS --- */

/* What is shown to the other side: the options `cert` and `key` of a section, as names. */
static unsigned check_pair(
	const struct config *c, const char *section, const char *cert, const char *key, FILE *errors)
{
	char why[TLS_WHY_MAX], names[110];
	bool key_is_wrong;
	if (*cert == '\0' || *key == '\0' || file_fault(cert) != NULL || file_fault(key) != NULL ||
		tls_pair_check(cert, key, &key_is_wrong, why))
		return 0;
	snprintf(names, sizeof(names), "%s.%s", section, key_is_wrong ? "tls_key_file" : "tls_cert_file");
	log_fault(errors, "%s: [%s] %s: %s", origin_where(c, names).text, section, strchr(names, '.') + 1, why);
	return 1;
}

static unsigned check_authorities(const struct config *c, FILE *errors)
{
	char why[TLS_WHY_MAX];
	const struct tls_client_options options = {c->mqtt.tls_ca_file, "", "", "localhost"};
	if (*options.ca_file != '\0' && file_fault(options.ca_file) != NULL)
		return 0;
	struct tls_client *client = tls_client_open(&options, why);
	if (client == NULL)
		log_fault(errors, "%s: [mqtt] tls_ca_file: %s",
			origin_where(c, "mqtt.tls_ca_file mqtt.tls").text, why);
	else
		tls_client_free(client);
	return client == NULL;
}

static unsigned check_tls(const struct config *c, FILE *errors)
{
	unsigned faults = 0;
	if (c->listen.tls.count > 0)
		faults += check_pair(c, "listen", c->listen.tls_cert_file, c->listen.tls_key_file, errors);
	if (c->web.listen.count > 0)
		faults += check_pair(c, "web", c->web.tls_cert_file, c->web.tls_key_file, errors);
	if (c->mqtt.tls)
		faults += check_authorities(c, errors) +
			  check_pair(c, "mqtt", c->mqtt.tls_cert_file, c->mqtt.tls_key_file, errors);
	return faults;
}

/* --- units --- */

/* Without a unit in the units file. True: it is a fault; a bridge that runs so may get its units by a reload. */
static bool nobody_is_admitted(const struct config *c, bool test, FILE *errors)
{
	if (c->units.unknown != UNITS_UNKNOWN_REJECT)
		return false;
	log_fault(errors,
		"%s: [units] unknown = reject, and %s%s: no unit can connect; add a section [IDENT] for each "
		"unit%s, or set "
		"unknown = accept",
		origin_where(c, "units.unknown").text,
		*c->units.file ? "no unit stands in " : "[units] file is empty", c->units.file,
		*c->units.file ? "" : " to a file, and name the file");
	return test;
}

static unsigned check_units(const struct config *c, bool test, FILE *errors)
{
	if (*c->units.file != '\0' && file_fault(c->units.file) != NULL)
		return 0; /* told with the files */
	struct units *units = units_open(c->units.file, errors);
	unsigned faults = units == NULL || (units_count(units) == 0 && nobody_is_admitted(c, test, errors));
	if (units != NULL)
		units_free(units);
	return faults;
}

unsigned parts_check(const struct config *c, enum parts_check when, FILE *errors)
{
	unsigned faults = check_files(c, errors) + check_tls(c, errors) + allowed_check(c, errors);
	if (when != PARTS_CHECK_RELOAD)
		faults += check_units(c, when == PARTS_CHECK_TEST, errors);
	if (when != PARTS_CHECK_START) /* the outbox tells it then */
		faults += check_places(c, errors);
	/* at a reload the outbox has its part of the address space already */
	if (when == PARTS_CHECK_RELOAD || *c->outbox.path == '\0' || store_fits((uint64_t)c->outbox.size))
		return faults;
	log_fault(errors,
		"%s: [outbox] size = %lldM: this process has no address space for it (32 bit, or a limit of "
		"the system); "
		"set a smaller one",
		origin_where(c, "outbox.size").text, (long long)(c->outbox.size >> 20));
	return faults + 1;
}
