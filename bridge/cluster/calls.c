// SPDX-License-Identifier: MIT
/* calls: see calls.h. */
#include "bridge/cluster/calls.h"

#include <stdlib.h>

#define ROOM_FIRST 64

bool calls_put(struct calls *c, const struct pending *p)
{
	if (c->count == c->room) {
		size_t room = c->room > 0 ? c->room * 2 : ROOM_FIRST;
		struct pending *fresh = malloc(room * sizeof(*fresh));
		if (fresh == NULL)
			return false;
		for (size_t i = 0; i < c->count; i++)
			fresh[i] = c->pending[(c->head + i) % c->room];
		free(c->pending);
		c->pending = fresh;
		c->room = room;
		c->head = 0;
	}
	c->pending[(c->head + c->count++) % c->room] = *p;
	return true;
}

void calls_take_back(struct calls *c)
{
	c->count--;
}

void calls_answer(struct calls *c, const struct redisReply *reply)
{
	struct pending p = c->pending[c->head];
	c->head = (c->head + 1) % c->room;
	c->count--;
	if (p.answer != NULL)
		p.answer(p.ctx, reply, p.number, p.subject);
}

void calls_free(struct calls *c)
{
	free(c->pending);
	*c = (struct calls){.count = 0};
}
