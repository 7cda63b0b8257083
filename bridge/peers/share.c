// SPDX-License-Identifier: MIT
/* share: see share.h. */
#include "bridge/peers/share.h"

#include <stddef.h>
#include <utlist.h>

/* The power of two that `count` reaches; `count` is not 0. */
static unsigned level_of(uint32_t count)
{
	unsigned level = 0;
	while (count >>= 1)
		level++;
	return level;
}

void share_change(struct shares *shares, struct share *share, int64_t by)
{
	uint32_t before = share->count, count = (uint32_t)(before + by);
	share->count = count;
	if (before > 0 && count > 0 && level_of(before) == level_of(count))
		return;
	if (before > 0)
		DL_DELETE(shares->level[level_of(before)], share);
	if (count > 0)
		DL_APPEND(shares->level[level_of(count)], share);
}

/* The first holder in this level or a lower one that is clearly above `count`. */
static struct share *first_from(const struct shares *shares, unsigned level, uint32_t count)
{
	unsigned least = count > 0 ? level_of(count) + 1 : 1;
	for (; level >= least; level--)
		if (shares->level[level] != NULL)
			return shares->level[level];
	return NULL;
}

struct share *shares_heavier(const struct shares *shares, uint32_t count)
{
	return first_from(shares, 31, count);
}

struct share *shares_next(const struct shares *shares, const struct share *share, uint32_t count)
{
	return share->next != NULL ? share->next : first_from(shares, level_of(share->count) - 1, count);
}
