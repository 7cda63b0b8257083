// SPDX-License-Identifier: MIT
/* queue: see queue.h. */
#include "bridge/outputs/queue.h"

#include <stdlib.h>

static bool grow(struct queue *q)
{
	size_t room = q->room > 0 ? q->room * 2 : 64;
	struct queued *item = malloc(room * sizeof(*item));
	if (item == NULL)
		return false;
	for (size_t i = 0; i < q->count; i++)
		item[i] = q->item[(q->head + i) % q->room];
	free(q->item);
	*q = (struct queue){.item = item, .count = q->count, .room = room};
	return true;
}

bool queue_put(struct queue *q, struct session *session, int64_t due_ms)
{
	if (q->count == q->room && !grow(q))
		return false;
	q->item[(q->head + q->count++) % q->room] = (struct queued){session, due_ms};
	return true;
}

const struct queued *queue_first(const struct queue *q)
{
	return q->count > 0 ? &q->item[q->head] : NULL;
}

void queue_drop_first(struct queue *q)
{
	q->head = (q->head + 1) % q->room;
	q->count--;
}

void queue_leave(struct queue *q, const struct session *session)
{
	for (size_t i = 0; i < q->count; i++) {
		struct queued *item = &q->item[(q->head + i) % q->room];
		if (item->session == session)
			item->session = NULL;
	}
}

void queue_free(struct queue *q)
{
	free(q->item);
	*q = (struct queue){0};
}
