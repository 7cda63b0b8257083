// SPDX-License-Identifier: MIT
/* whole: what options must be together.
 * Uses: bridge/base.
 * Not: read files. */
#ifndef T2M_WHOLE_H
#define T2M_WHOLE_H

#include "bridge/settings/config.h"

#include <stdio.h>

/* Writes one line for each fault to `errors`, with the place of one of the options and the names of the others. Returns the number of
 * faults. */
unsigned whole_check(const struct config *config, FILE *errors);

#endif
