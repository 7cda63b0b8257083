// SPDX-License-Identifier: MIT
/* version: what --version prints: the release, the commit and the libraries that the program was built with.
 * Uses: nothing else.
 * Not: know which program asks. */
#ifndef T2M_VERSION_H
#define T2M_VERSION_H

/* Writes `program`, the release and the commit on stdout, then a line a library. Returns the exit code: 1 when stdout takes nothing. */
int version_print(const char *program);

#endif
