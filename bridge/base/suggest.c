// SPDX-License-Identifier: MIT
/* suggest: see suggest.h. */
#include "bridge/base/suggest.h"

#include <string.h>

#define MOST 64 /* characters that are compared */
#define WHOLE_PART 4

static uint8_t small(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

static unsigned least_of(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* How many characters have to be changed, added, left out or exchanged with the next to make one text of the other. */
static unsigned slips_between(struct span a, struct span b)
{
	unsigned rows[3][MOST + 1]; /* this row and the two before it */
	for (size_t j = 0; j <= b.len; j++)
		rows[0][j] = (unsigned)j;
	for (size_t i = 1; i <= a.len; i++) {
		unsigned *now = rows[i % 3];
		const unsigned *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
		now[0] = (unsigned)i;
		for (size_t j = 1; j <= b.len; j++) {
			uint8_t x = small(a.ptr[i - 1]), y = small(b.ptr[j - 1]);
			now[j] = least_of(least_of(last[j], now[j - 1]) + 1, last[j - 1] + (x != y));
			if (i > 1 && j > 1 && x == small(b.ptr[j - 2]) && y == small(a.ptr[i - 2]))
				now[j] = least_of(now[j], before[j - 2] + 1);
		}
	}
	return rows[a.len % 3][b.len];
}

/* Is one the beginning or the end of the other, and at least half of it? */
static bool is_part(struct span a, struct span b)
{
	struct span part = a.len < b.len ? a : b, whole = a.len < b.len ? b : a;
	if (part.len < WHOLE_PART || part.len * 2 < whole.len)
		return false;
	return slips_between(part, span_part(whole, 0, part.len)) == 0 ||
	       slips_between(part, span_after(whole, whole.len - part.len)) == 0;
}

void suggest_try(struct suggest *s, const char *name)
{
	struct span other = span_text(name);
	if (s->word.len > MOST || other.len > MOST || s->word.len == 0)
		return;
	unsigned slips = slips_between(s->word, other);
	size_t longer = s->word.len > other.len ? s->word.len : other.len;
	bool near = slips <= longer / 3 || is_part(s->word, other);
	if (!near || (s->name != NULL && slips >= s->slips))
		return;
	s->name = name;
	s->slips = slips;
}
