/* inifile: a strict line reader in front of inih: every fault with its line, none skipped over.
 * May use: inih (inifile.c only). May not: know any option.
 *
 * Refused, each with its line: lines over 198 characters, lines that begin with a blank, NUL bytes, what is no section,
 * key = value or comment. */
#ifndef T2M_INIFILE_H
#define T2M_INIFILE_H

#include <stdbool.h>
#include <stdio.h>

struct inifile {
	const char *path;
	FILE *errors;
	unsigned line, faults;
	bool comment_behind; /* the line at hand has a ` ;`, which starts a comment */
	FILE *in;
	void *ctx;
	void (*section)(struct inifile *file, const char *section); /* NULL: not asked for */
	void (*pair)(struct inifile *file, const char *section, const char *key, const char *value);
};

/* Calls `section` and `pair` for each one; false: the file cannot be read (that is a fault, too). */
bool inifile_read(struct inifile *file);
/* Writes FILE:LINE: what. */
void inifile_fault(struct inifile *file, const char *what);

#endif
