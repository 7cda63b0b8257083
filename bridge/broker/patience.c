// SPDX-License-Identifier: MIT
/* patience: see patience.h. */
#include "bridge/broker/patience.h"

/* The wait before the n-th try in a row, from 1. */
static double doubled(unsigned n, double most)
{
	double wait = PATIENCE_FIRST;
	for (unsigned i = 1; i < n && wait < most; i++)
		wait *= 2;
	return wait < most ? wait : most;
}

bool patience_is_good(const struct patience *p, bool subscribed, double seconds)
{
	return subscribed && seconds >= (p->twin ? PATIENCE_UNDISTURBED : PATIENCE_GOOD);
}

static double after_connection(struct patience *p, const struct life *life)
{
	bool good = patience_is_good(p, life->subscribed, life->seconds);
	if (good)
		*p = (struct patience){0};
	p->failed = 0;
	p->closed = life->closed && !good ? p->closed + 1 : 0;
	p->twin |= life->twin || p->closed >= PATIENCE_TWIN;
	if (good && !life->twin)
		return PATIENCE_FIRST;
	p->brief++;
	return doubled(p->brief, life->search ? PATIENCE_SEARCH : PATIENCE_MOST);
}

double patience_after(struct patience *p, const struct life *life)
{
	double wait = 0, most = PATIENCE_MOST;
	switch (life->ending) {
	case ENDING_LIVED:
		wait = after_connection(p, life);
		break;
	case ENDING_NOBODY:
		most = life->seconds < PATIENCE_LONG ? PATIENCE_AWAY : PATIENCE_AWAY_LONG;
		/* fall through */
	case ENDING_REFUSED:
		p->failed += p->failed < 100;
		if (life->ending == ENDING_NOBODY &&
			!p->twin) /* the broker was away: that is why they were brief */
			p->brief = p->closed = 0;
		wait = doubled(p->failed, most);
		break;
	}
	return life->hurry ? PATIENCE_HURRY : wait;
}
