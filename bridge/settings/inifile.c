// SPDX-License-Identifier: MIT
/* inifile: see inifile.h. */
#include "bridge/settings/inifile.h"

#include "bridge/base/log.h"
#include "bridge/base/readable.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_LENGTH 198 /* what inih 55 takes in one piece */

void inifile_fault(struct inifile *r, const char *what)
{
	r->faults++;
	log_fault(r->errors, "%s:%u: %s", r->path, r->line, what);
}

/* What is wrong with a line of `n` bytes, which has no newline; NULL: nothing. */
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

/* inih tells of a section only with its first key. */
static void begin_section(struct inifile *r, const char *name)
{
	char section[LINE_MAX_LENGTH + 1];
	snprintf(section, sizeof(section), "%.*s", (int)strcspn(name, "]"), name);
	r->section(r, section);
}

/* inih reads through this: it gets an empty line in place of each faulty one, so that its line numbers stay right. */
static char *read_line(char *buf, int size, void *stream)
{
	struct inifile *r = stream;
	char *line = NULL;
	size_t cap = 0;
	ssize_t n = getline(&line, &cap, r->in);
	if (n < 0) {
		free(line);
		return NULL;
	}
	r->line++;
	if (r->line == 1 && readable_is_utf16(line)) {
		inifile_fault(r, "this file is UTF-16; save it as UTF-8");
		free(line);
		return NULL;
	}
	if (n > 0 && line[n - 1] == '\n')
		n--;
	if (n > 0 && line[n - 1] == '\r')
		n--;
	line[n] = '\0';
	size_t bom = r->line == 1 && n >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
	const char *what = line_fault(line + bom, (size_t)n - bom);
	if (what != NULL)
		inifile_fault(r, what);
	else if (line[bom] == '[' && r->section != NULL)
		begin_section(r, line + bom + 1);
	r->comment_behind = strstr(line, " ;") != NULL || strstr(line, "\t;") != NULL;
	snprintf(buf, (size_t)size, "%s\n", what == NULL ? line + bom : "");
	free(line);
	return buf;
}

static int on_pair(void *user, const char *section, const char *key, const char *value)
{
	struct inifile *r = user;
	r->pair(r, section, key, value);
	return 1;
}

bool inifile_read(struct inifile *r)
{
	r->in = fopen(r->path, "r");
	bool ok = r->in != NULL;
	if (ok) {
		ini_parse_stream(read_line, r, on_pair, r);
		ok = !ferror(r->in);
		fclose(r->in);
	}
	if (!ok) {
		log_fault(r->errors, "%s: %s", r->path, strerror(errno));
		r->faults++;
	}
	return ok;
}
