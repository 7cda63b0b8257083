// SPDX-License-Identifier: MIT
/* password: see password.h. */
#include "bridge/settings/password.h"

#include "bridge/base/file_fault.h"
#include "bridge/base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define LINE_MOST 510

/* Reads the first line of a file. NULL, or what is wrong. */
static const char *read_first_line(const char *path, char line[LINE_MOST + 2])
{
	static const char bom[] = "\xef\xbb\xbf"; /* some editors write it */
	const char *fault = file_fault(path);
	FILE *f = fault == NULL ? fopen(path, "re") : NULL;
	size_t n = f != NULL ? fread(line, 1, LINE_MOST + 1, f) : 0;
	if (f == NULL || ferror(f))
		fault = fault != NULL ? fault : strerror(errno);
	if (f != NULL)
		fclose(f);
	line[n] = '\0';
	size_t end = strcspn(line, "\r\n");
	if (fault == NULL && end < n && line[end] == '\0')
		fault = "a NUL byte stands in its first line: it must be a text file in UTF-8";
	else if (fault == NULL && end > LINE_MOST)
		fault = "its first line is too long; allowed: 510 bytes";
	line[end] = '\0';
	if (strncmp(line, bom, 3) == 0)
		memmove(line, line + 3, end - 2);
	return fault;
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

/* Only one may have a password. `found`: its number; -1: none has. */
static unsigned choose(const struct config *config, const char *const values[3], const char *const names[3],
	int *found, FILE *errors)
{
	unsigned faults = 0;
	*found = -1;
	for (int i = 0; i < 3; i++) {
		if (*values[i] == '\0')
			continue;
		if (*found >= 0) {
			log_fault(errors, "%s: [mqtt] %s and %s are both set; only one is allowed",
				origin_where(config, "mqtt.password_file mqtt.password").text, names[*found],
				names[i]);
			faults++;
		}
		*found = i;
	}
	return faults;
}

unsigned password_use(struct config *config, const char *config_path, FILE *errors)
{
	char file[LINE_MOST + 2] = "", credential[LINE_MOST + 2] = "", path[4200];
	const char *named = config->mqtt.password_file, *fault = *named ? read_first_line(named, file) : NULL;
	const struct origin_text where = origin_where(config, "mqtt.password_file");
	if (fault != NULL) {
		log_fault(errors,
			"%s: [mqtt] password_file: cannot use %s: %s; write the password into the first line "
			"of a file "
			"that this user may read",
			where.text, named, fault);
		return 1;
	}
	if (credential_path(config_path, path, sizeof(path)) && strcmp(path, named) != 0 &&
		access(path, F_OK) == 0)
		fault = read_first_line(path, credential);
	if (fault != NULL) {
		log_fault(errors,
			"%s: cannot use %s: %s; write the password for the broker into its first line, or "
			"remove it",
			config->path, path, fault);
		return 1;
	}
	const char *values[] = {config->mqtt.password, file, credential};
	const char *names[] = {"password", "password_file", path};
	int found;
	unsigned faults = choose(config, values, names, &found, errors);
	if (found < 0 && *named != '\0') {
		log_fault(errors,
			"%s: [mqtt] password_file: the first line of %s is empty: write the password into it, "
			"or leave "
			"password_file empty",
			where.text, named);
		return 1;
	}
	if (found > 0) {
		free(config->mqtt.password);
		config->mqtt.password = strdup(values[found]);
	}
	if (found >= 0 && *config->mqtt.username == '\0') {
		log_fault(errors, "%s: [mqtt] a password (%s) needs a username: set [mqtt] username",
			origin_where(config, "mqtt.password mqtt.password_file").text, names[found]);
		faults++;
	}
	return faults;
}
