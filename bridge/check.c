// SPDX-License-Identifier: MIT
/* check: see check.h. */
#include "bridge/check.h"

#include "bridge/base/directory.h"
#include "bridge/base/readable.h"
#include "bridge/base/tls.h"
#include "bridge/broker/mqtt.h"
#include "bridge/cluster/cluster.h"
#include "bridge/commands/allowed.h"
#include "bridge/outbox/store.h"
#include "bridge/units/units.h"

/* Can what is to be kept on disk be kept there? */
static unsigned check_places(const struct config *c, FILE *errors)
{
	char where[DIRECTORY_PATH_MAX];
	unsigned faults = 0;
	for (struct option_at at = {0}; option_next(&at);) {
		const struct option_row *row = at.row;
		bool directory = at.codec == NULL && (row->flags & OPTION_DIRECTORY);
		const char *path =
			directory ? *(char *const *)(const void *)((const char *)c + row->offset) : "";
		const char *fault = *path ? directory_fault(path, where) : NULL;
		if (fault != NULL)
			faults += config_fault(c, errors, at.section, row->key,
				"[%s] %s = %s cannot be made: %s: %s; allowed: a directory that this user may "
				"make and write",
				at.section, row->key, path, where, fault);
	}
	return faults;
}

/* A bridge that starts without a unit may get its units by a reload, so this is a fault only in a test. */
static unsigned nobody_is_admitted(const struct config *c, bool test, FILE *errors)
{
	static const char what[] = "[units] unknown = reject, and %s%s: no unit can connect; add a section "
				   "[IDENT] for each unit%s, or set unknown = accept";
	const char *file = c->units.file, *none = *file ? "no unit stands in " : "[units] file is empty",
		   *then = *file ? "" : " to a file, and name the file";
	if (c->units.unknown != UNITS_UNKNOWN_REJECT)
		return 0;
	if (test)
		return config_fault(c, errors, "units", "unknown", what, none, file, then);
	config_notice(c, errors, "units", "unknown", what, none, file, then);
	return 0;
}

/* A units file that cannot be read is a fault of config_load. */
static unsigned check_units(const struct config *c, bool test, FILE *errors)
{
	if (*c->units.file && readable_fault(c->units.file) != NULL)
		return 0;
	struct units *units = units_open(c->units.file, errors);
	unsigned faults = units == NULL ? 1 : 0;
	if (units != NULL && units_count(units) == 0)
		faults += nobody_is_admitted(c, test, errors);
	if (units != NULL)
		units_free(units);
	return faults;
}

/* --- certificates --- */

/* A server's: none is named, or it can be used. */
static unsigned check_server(
	const struct config *c, FILE *errors, const char *section, const char *cert_file, const char *key_file)
{
	char why[TLS_WHY_MAX];
	if (*cert_file == '\0' || *key_file == '\0' || readable_fault(cert_file) != NULL ||
		readable_fault(key_file) != NULL)
		return 0;
	struct tls_server *server = tls_server_open(cert_file, key_file, why);
	if (server == NULL)
		return config_fault(c, errors, section, "tls_cert_file", "[%s] tls: %s", section, why);
	tls_server_free(server);
	return 0;
}

static unsigned check_broker(const struct config *c, FILE *errors)
{
	char why[TLS_WHY_MAX];
	const char *const files[] = {c->mqtt.tls_ca_file, c->mqtt.tls_cert_file, c->mqtt.tls_key_file};
	for (size_t i = 0; i < 3; i++)
		if (*files[i] && readable_fault(files[i]) != NULL)
			return 0;
	return mqtt_check(c, why) ? 0 : config_fault(c, errors, "mqtt", "tls", "[mqtt] tls: %s", why);
}

unsigned check_reload(const struct config *c, FILE *errors)
{
	return allowed_check(c, errors) + cluster_check(c, errors) + check_broker(c, errors);
}

unsigned check_config(const struct config *c, bool test, FILE *errors)
{
	unsigned faults = (test ? check_places(c, errors) : 0) + check_reload(c, errors);
	if (*c->outbox.path && !store_fits((uint64_t)c->outbox.size))
		faults += config_fault(c, errors, "outbox", "size",
			"[outbox] size = %lldM: this process has no address space for it (32 bit, or a limit "
			"of "
			"the system); set a smaller one",
			(long long)(c->outbox.size >> 20));
	faults += check_units(c, test, errors);
	if (c->listen.tls.count > 0)
		faults += check_server(c, errors, "listen", c->listen.tls_cert_file, c->listen.tls_key_file);
	if (c->web.listen.count > 0)
		faults += check_server(c, errors, "web", c->web.tls_cert_file, c->web.tls_key_file);
	return faults;
}
