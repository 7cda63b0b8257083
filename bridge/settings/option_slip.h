// SPDX-License-Identifier: MIT
/* option_slip: values that look right and are not: quotation marks, a comment, a port or a scheme in a host.
 * Uses: bridge/base, codecs.
 * Not: read files, set anything. */
#ifndef T2M_OPTION_SLIP_H
#define T2M_OPTION_SLIP_H

#include "codecs/option.h"

#include <stdbool.h>

/* Is something in the text that nobody means as a value of this row? True: `why` (of `size`) says what, and what to write instead; it begins
 * with `key`. Secrets and names of units may be any text. */
bool option_slip(const struct option_row *row, const char *key, const char *text, char *why, size_t size);

#endif
