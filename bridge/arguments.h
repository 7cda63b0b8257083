// SPDX-License-Identifier: MIT
/* arguments: the command line: what is printed and done with, and what is left for main.
 * Uses: bridge/base, bridge/settings, codecs, codecs/record.
 * Not: start anything. */
#ifndef T2M_ARGUMENTS_H
#define T2M_ARGUMENTS_H

#include <stdbool.h>

struct arguments {
	const char *path;   /* NULL: no file, defaults only */
	const char *forget; /* NULL: nobody */
	bool test, outbox_status, outbox_aside, units;
};

/* -1: go on; else the exit code. */
int arguments_read(int argc, char **argv, struct arguments *out);

#endif
