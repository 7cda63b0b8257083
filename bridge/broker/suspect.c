// SPDX-License-Identifier: MIT
/* suspect: see suspect.h. */
#include "bridge/broker/suspect.h"

#include <stdlib.h>

#define SUSPECTS_MOST 65536u

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static struct suspect *find(const struct suspects *s, uint64_t number)
{
	size_t low = 0, high = s->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (s->item[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	bool found = low < s->count && s->item[low].number == number && s->item[low].breaks > 0;
	return found ? &s->item[low] : NULL;
}

/* Adds one break to each of these numbers. A suspect that is not among them stays: the connection broke before it was sent again. */
static bool merge(struct suspects *s, const uint64_t *numbers, size_t count)
{
	size_t old = 0, new = 0, n = 0, most = s->count + count;
	struct suspect *all = most > 0 ? malloc(most * sizeof(*all)) : NULL;
	if (all == NULL)
		return most == 0;
	while ((old < s->count || new < count) && n < SUSPECTS_MOST) {
		if (old < s->count && s->item[old].breaks == 0) {
			old++;
			continue;
		}
		if (new == count || (old < s->count && s->item[old].number < numbers[new])) {
			all[n++] = s->item[old++];
			continue;
		}
		bool known = old < s->count && s->item[old].number == numbers[new];
		all[n] = known ? s->item[old++] : (struct suspect){.number = numbers[new]};
		all[n++].breaks++;
		new ++;
	}
	free(s->item);
	s->item = all;
	s->count = s->open = n;
	return true;
}

static void forget(struct suspects *s, struct suspect *one)
{
	one->breaks = one->alone = 0;
	if (--s->open == 0)
		suspects_clear(s);
}

enum suspect_verdict suspects_broke(
	struct suspects *s, uint64_t *numbers, size_t count, bool sure, uint64_t *which)
{
	if (count > 1)
		qsort(numbers, count, sizeof(*numbers), by_number);
	if (!merge(s, numbers, count) || count != 1)
		return SUSPECT_UNKNOWN;
	struct suspect *one = find(s, numbers[0]);
	if (one == NULL)
		return SUSPECT_UNKNOWN;
	*which = one->number;
	one->alone += sure;
	if (one->breaks < SUSPECT_BREAKS || (sure && one->alone < SUSPECT_ALONE))
		return SUSPECT_UNKNOWN;
	if (!sure || s->row >= SUSPECT_ROW)
		return SUSPECT_WAITS;
	s->row++;
	forget(s, one);
	return SUSPECT_FOUND;
}

void suspects_answered(struct suspects *s, uint64_t number, bool taken)
{
	if (taken)
		s->row = 0;
	struct suspect *one = s->count > 0 ? find(s, number) : NULL;
	if (one != NULL)
		forget(s, one);
}

bool suspects_alone(const struct suspects *s, uint64_t number)
{
	const struct suspect *one = s->count > 0 ? find(s, number) : NULL;
	return one != NULL && one->breaks >= 2;
}

void suspects_clear(struct suspects *s)
{
	free(s->item);
	s->item = NULL;
	s->count = s->open = 0;
}
