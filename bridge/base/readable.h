// SPDX-License-Identifier: MIT
/* readable: files that a user names: can they be read, and by whom.
 * Uses: nothing else.
 * Not: read them, know what they are for. */
#ifndef T2M_READABLE_H
#define T2M_READABLE_H

#include <stdbool.h>

/* Can this user read it as a file? NULL: yes; else why not, a text that stays until the next call. */
const char *readable_fault(const char *path);
/* May every user of the machine read it? */
bool readable_by_all(const char *path);
/* Do the first bytes of a text say that it is UTF-16? `text` ends with a NUL. */
bool readable_is_utf16(const char *text);

#endif
