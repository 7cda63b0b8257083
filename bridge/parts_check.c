// SPDX-License-Identifier: MIT
/* parts_check: what the configuration names, looked at before anything starts.
 * Uses: bridge/base, bridge/outbox.
 * Not: start anything. */
#include "bridge/parts.h"

#include "bridge/base/directory.h"
#include "bridge/base/log.h"
#include "bridge/base/tls.h"
#include "bridge/outbox/store.h"

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
			faults += fprintf(errors,
					  "[%s] %s = %s cannot be made: %s: %s; allowed: a directory that this "
					  "user may "
					  "make and write\n",
					  at.section, row->key, path, where, fault) > 0;
	}
	return faults;
}

/* Without a unit in the units file. True: it is a fault; a bridge that starts so may get its units by a reload. */
static bool nobody_is_admitted(const struct config *c, bool test, FILE *errors)
{
	if (c->units.unknown != UNITS_UNKNOWN_REJECT)
		return false;
	log_fault(errors,
		"[units] unknown = reject, and %s%s: no unit can connect; add a section [IDENT] for each "
		"unit%s, or set unknown "
		"= accept",
		*c->units.file ? "no unit stands in " : "[units] file is empty", c->units.file,
		*c->units.file ? "" : " to a file, and name the file");
	return test;
}

unsigned parts_check(const struct config *c, bool places, FILE *errors)
{
	char why[TLS_WHY_MAX];
	unsigned faults =
		(places ? check_places(c, errors) : 0) + allowed_check(c, errors) + cluster_check(c, errors);
	if (*c->outbox.path && !store_fits((uint64_t)c->outbox.size))
		faults += fprintf(errors,
				  "[outbox] size = %lldM: this process has no address space for it (32 bit, or "
				  "a limit "
				  "of the system); set a smaller one\n",
				  (long long)(c->outbox.size >> 20)) > 0;
	struct units *units = units_open(c->units.file, errors);
	faults += units == NULL || (units_count(units) == 0 && nobody_is_admitted(c, places, errors));
	if (units != NULL)
		units_free(units);
	if (c->listen.tls.count > 0 && *c->listen.tls_cert_file && *c->listen.tls_key_file) {
		struct tls_server *server =
			tls_server_open(c->listen.tls_cert_file, c->listen.tls_key_file, why);
		if (server != NULL)
			tls_server_free(server);
		else
			log_fault(errors, "[listen] tls: %s", why);
		faults += server == NULL ? 1 : 0;
	}
	const struct tls_client_options options = {
		c->mqtt.tls_ca_file, c->mqtt.tls_cert_file, c->mqtt.tls_key_file, c->mqtt.host};
	struct tls_client *client = c->mqtt.tls ? tls_client_open(&options, why) : NULL;
	if (client != NULL)
		tls_client_free(client);
	else if (c->mqtt.tls)
		log_fault(errors, "[mqtt] tls: %s", why);
	return faults + (c->mqtt.tls && client == NULL ? 1 : 0);
}
