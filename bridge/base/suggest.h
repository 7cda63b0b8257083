// SPDX-License-Identifier: MIT
/* suggest: of many names the one that somebody may have meant, when it is near enough.
 * Uses: codecs/record.
 * Not: know what the names stand for.
 *
 * Near is: the same letters in another case, one slip (a letter changed, added, left out, or two exchanged) for each three
 * characters, or at least half of the name. */
#ifndef T2M_SUGGEST_H
#define T2M_SUGGEST_H

#include "codecs/record/bytes.h"

#include <stdbool.h>

/* All zero but `word` at first. */
struct suggest {
	struct span word;
	const char *name; /* NULL: none is near; else the best until now, which is the caller's */
	unsigned slips;   /* that lie between word and name */
};

/* Takes a name into account; of two that are equally near the first one counts. */
void suggest_try(struct suggest *s, const char *name);

#endif
