// SPDX-License-Identifier: MIT
/* option_reason: what exactly is wrong with a value, and what of it may be shown.
 * Uses: bridge/base, codecs, codecs/record.
 * Not: set a value. */
#ifndef T2M_OPTION_REASON_H
#define T2M_OPTION_REASON_H

#include "codecs/option.h"

#include <stdbool.h>

/* The value as far as a line may show it: nothing of a secret, no login of a URL, nothing behind a word like password. */
struct option_shown {
	char text[160];
};
struct option_shown option_shown(const struct option_row *row, const char *text);
/* Is something of it not to be shown? */
bool option_hides(const struct option_row *row, const char *text);

/* Of a value that option_parse refuses: what is wrong, for a line behind "is not allowed: "; "" when what is allowed says it all. Valid
 * as long as `buf` of OPTION_REASON_MAX bytes. */
#define OPTION_REASON_MAX 300
const char *option_reason(const struct option_row *row, const char *text, char *buf);

#endif
