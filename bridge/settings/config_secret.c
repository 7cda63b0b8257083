// SPDX-License-Identifier: MIT
/* config_secret: the password, from the only place that has one.
 * Uses: bridge/base. */
#include "bridge/settings/config_private.h"

#include "bridge/base/readable.h"

#include <errno.h>
#include <stdlib.h>

#define LINE_BYTES 512

/* Reads the first line of a file, "" when there is none. NULL, or why not. */
static const char *read_first_line(const char *path, char line[LINE_BYTES])
{
	const char *why = NULL;
	*line = '\0';
	FILE *f = fopen(path, "r");
	if (f == NULL)
		return strerror(errno);
	if (fgets(line, LINE_BYTES, f) == NULL && ferror(f))
		why = strerror(errno);
	fclose(f);
	if (strlen(line) == LINE_BYTES - 1)
		why = "its first line is too long; allowed: 510 bytes";
	if (readable_is_utf16(line))
		why = "it is UTF-16; save it as UTF-8";
	line[strcspn(line, "\r\n")] = '\0';
	if (strncmp(line, "\xef\xbb\xbf", 3) == 0)
		memmove(line, line + 3, strlen(line + 3) + 1);
	return why;
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

static unsigned bad_file(const struct config *config, FILE *errors, const char *path, const char *why)
{
	return config_fault(config, errors, "mqtt", "password_file", "password_file %s: %s", path, why);
}

unsigned config_use_password(struct config *config, FILE *errors)
{
	char file[LINE_BYTES] = "", credential[LINE_BYTES] = "", path[4200];
	const char *config_path = config->places->path, *named = config->mqtt.password_file;
	if (*named && readable_fault(named) != NULL)
		return 0; /* a fault of config_check */
	const char *why = *named ? read_first_line(named, file) : NULL;
	if (why != NULL)
		return bad_file(config, errors, named, why);
	if (credential_path(config_path, path, sizeof(path)) && strcmp(path, named) != 0) {
		why = read_first_line(path, credential);
		if (why != NULL && errno != ENOENT && errno != ENOTDIR)
			return bad_file(config, errors, path, why);
	}
	const char *values[] = {config->mqtt.password, file, credential};
	const char *names[] = {"password", "password_file", path}, *found = NULL, *by = NULL;
	unsigned faults = 0;
	for (size_t i = 0; i < 3; i++) {
		if (*values[i] == '\0')
			continue;
		if (found != NULL)
			faults += config_fault(config, errors, "mqtt", i == 1 ? names[i] : "password",
				"[mqtt] %s and %s are both set; only one is allowed", by, names[i]);
		found = values[i];
		by = names[i];
	}
	if (found == NULL && *named)
		faults += bad_file(config, errors, named,
			"its first line is empty; write the password there, or leave password_file empty");
	if (found == config->mqtt.password && found != NULL && config_path != NULL &&
		readable_by_all(config_path))
		config_notice(config, errors, "mqtt", "password",
			"every user of this machine can read %s, and the password in it; use password_file, or "
			"type chmod 600 %s",
			config_path, config_path);
	if (found != NULL && found != config->mqtt.password) {
		free(config->mqtt.password);
		config->mqtt.password = strdup(found);
	}
	if (found != NULL && *config->mqtt.username == '\0')
		faults += config_fault(config, errors, "mqtt", found == file ? "password_file" : "password",
			"[mqtt] a password (%s) needs a username", by);
	return faults;
}
