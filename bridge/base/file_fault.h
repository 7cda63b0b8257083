// SPDX-License-Identifier: MIT
/* file_fault: whether a file that somebody names can be read, and by whom else.
 * Uses: nothing else.
 * Not: know what stands in it. */
#ifndef T2M_FILE_FAULT_H
#define T2M_FILE_FAULT_H

#include <stdbool.h>

/* Why it cannot be read by this process; NULL: it can. A directory cannot. */
const char *file_fault(const char *path);
/* May every user of this machine read it? */
bool file_is_public(const char *path);

#endif
