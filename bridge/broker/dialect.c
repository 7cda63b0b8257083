// SPDX-License-Identifier: MIT
/* dialect: see dialect.h. */
#include "bridge/broker/dialect.h"

void dialect_open(struct dialect *d, int version)
{
	*d = (struct dialect){.wanted = version, .now = version};
}

void dialect_again(struct dialect *d)
{
	if (d->wanted == 5 && d->now == 4)
		*d = (struct dialect){.wanted = 5, .now = 5, .answered = true};
}

bool dialect_unanswered(struct dialect *d)
{
	if (d->wanted != 5 || d->sure)
		return false;
	bool first = !d->both;
	d->both = d->both || d->now == 4;
	d->sure = d->now == 5 && d->answered;
	d->now = d->now == 5 ? 4 : 5;
	return first;
}

bool dialect_answered(struct dialect *d)
{
	bool asked = d->wanted == 5 && !d->sure && d->now == 4;
	d->both = false;
	d->answered = asked;
	if (asked)
		d->now = 5;
	return !asked;
}

bool dialect_refused(struct dialect *d)
{
	bool first = d->now == 5;
	if (d->wanted != 5)
		return false;
	d->both = d->now == 4;
	d->now = d->now == 5 ? 4 : 5;
	d->sure = d->now == 4;
	return first;
}
