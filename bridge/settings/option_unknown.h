// SPDX-License-Identifier: MIT
/* option_unknown: a name that no option has, and which one may have been meant.
 * Uses: bridge/base.
 * Not: set anything. */
#ifndef T2M_OPTION_UNKNOWN_H
#define T2M_OPTION_UNKNOWN_H

#include <stddef.h>

/* `what` (of `size`): that [section] key is unknown, with the near name, or with all that are allowed when none is near. */
void option_unknown(const char *section, const char *key, char *what, size_t size);
/* The same for a variable of the environment; `name` is what stands behind ENVIRONMENT_HEAD. */
void option_unknown_variable(const char *name, char *what, size_t size);

#endif
