// SPDX-License-Identifier: MIT
/* inifile: a strict reader of lines in front of inih, which names every fault with its line.
 * Uses: bridge/base; <ini.h>.
 * Not: know any option.
 *
 * Faults are: a file in UTF-16, lines of more than 198 characters, lines that begin with a blank, NUL bytes, carriage returns within a
 * line, keys with blanks, and lines that are neither a section, a key = value nor a comment. No fault shows a line: it may hold a
 * secret. */
#ifndef T2M_INIFILE_H
#define T2M_INIFILE_H

#include <stdbool.h>
#include <stdio.h>

struct inifile {
	const char *path;
	FILE *errors;
	unsigned line, faults;
	bool comment_behind; /* the line at hand ends with a comment, which a ` ;` begins */
	FILE *in;
	void *ctx;
	void (*section)(struct inifile *file, const char *section); /* NULL: not asked for */
	void (*pair)(struct inifile *file, const char *section, const char *key, const char *value);
};

/* Reads the file at `path` and calls `section` for each section, `pair` for each key; their texts are valid during the call.
 * The caller fills in path, errors, ctx and the two functions. False: the file cannot be read, which is a fault as well. */
bool inifile_read(struct inifile *file);
/* Counts a fault, and writes it to `errors` as FILE:LINE: what. */
void inifile_fault(struct inifile *file, const char *what);

#endif
