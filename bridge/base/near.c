// SPDX-License-Identifier: MIT
/* near: see near.h. */
#include "bridge/base/near.h"

#include <limits.h>
#include <stdbool.h>

#define LONGEST 63
#define WORD_MIN 4 /* letters of a word that may be a part of a name */

static uint8_t small(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 'a' - 'A') : c;
}

static bool same(struct span a, size_t i, const char *b, size_t j)
{
	return small(a.ptr[i]) == small((uint8_t)b[j]);
}

static unsigned least_of(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* How many letters have to be changed, added, left out, or exchanged with their neighbour. Both are at most LONGEST long. */
static unsigned distance(struct span a, const char *b, size_t n)
{
	unsigned rows[3][LONGEST + 1], *older = rows[0], *old = rows[1], *row = rows[2];
	for (size_t j = 0; j <= n; j++)
		old[j] = (unsigned)j;
	for (size_t i = 0; i < a.len; i++) {
		row[0] = (unsigned)i + 1;
		for (size_t j = 0; j < n; j++) {
			row[j + 1] = least_of(least_of(row[j], old[j + 1]) + 1, old[j] + !same(a, i, b, j));
			if (i > 0 && j > 0 && same(a, i, b, j - 1) && same(a, i - 1, b, j))
				row[j + 1] = least_of(row[j + 1], older[j - 1] + 1);
		}
		unsigned *reuse = older;
		older = old;
		old = row;
		row = reuse;
	}
	return old[n];
}

static bool holds(const char *name, size_t n, struct span word)
{
	for (size_t at = 0; word.len >= WORD_MIN && at + word.len <= n; at++) {
		size_t i = 0;
		while (i < word.len && same(word, i, name + at, i))
			i++;
		if (i == word.len)
			return true;
	}
	return false;
}

void near_try(struct near *near, const char *name)
{
	size_t n = strlen(name);
	if (n > LONGEST || near->word.len > LONGEST || near->word.len == 0)
		return;
	unsigned most = n < 6 ? 1 : (unsigned)n / 3, far = distance(near->word, name, n);
	if (far > most && holds(name, n, near->word))
		far = most;
	if (far <= most && far < n && far < near->word.len && (near->name == NULL || far < near->distance)) {
		near->name = name;
		near->distance = far;
	}
}
