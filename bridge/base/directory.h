// SPDX-License-Identifier: MIT
/* directory: making directories for files that the bridge keeps.
 * Uses: nothing else.
 * Not: know what they are for. */
#ifndef T2M_DIRECTORY_H
#define T2M_DIRECTORY_H

#include <stdbool.h>

#define DIRECTORY_PATH_MAX 400

/* Makes the directory with mode 0700, and those above it that are missing with 0755. True also when it is there already.
 * False: errno says why. */
bool directory_make(const char *path);

/* Could this user make the directory and write into it? Nothing is made. NULL: yes. Else why not, a text that stays, and in
 * `where` (of DIRECTORY_PATH_MAX bytes) the directory for which that is so. */
const char *directory_fault(const char *path, char *where);

#endif
