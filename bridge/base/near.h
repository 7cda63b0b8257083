// SPDX-License-Identifier: MIT
/* near: the name that somebody meant who wrote a word that is none.
 * Uses: codecs/record.
 * Not: know whose names they are. */
#ifndef T2M_NEAR_H
#define T2M_NEAR_H

#include "codecs/record/bytes.h"

struct near {
	struct span word;
	const char *name;  /* the nearest of those that were tried; NULL: none is near */
	unsigned distance; /* of that one; 0: but for capitals it is the word itself */
};

static inline struct near near_to(struct span word)
{
	return (struct near){.word = word};
}

/* Compares the word with one name, which must outlive `near`. Near is a name of which few letters are changed, added, left out or
 * exchanged with their neighbour: one for a name of up to 5 letters, then one more for each 3; or a name that holds the word, of 4
 * letters at least. */
void near_try(struct near *near, const char *name);

#endif
