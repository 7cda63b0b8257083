// SPDX-License-Identifier: MIT
/* queue: see queue.h. */
#include "bridge/outputs/queue.h"

bool queue_put(struct queue *q, struct session *session, int64_t due_ms)
{
	const struct queued item = {session, due_ms};
	return fifo_put(&q->items, &item, sizeof(item));
}

size_t queue_count(const struct queue *q)
{
	return q->items.count;
}

const struct queued *queue_first(const struct queue *q)
{
	return q->items.count > 0 ? fifo_at(&q->items, 0) : NULL;
}

void queue_drop_first(struct queue *q)
{
	fifo_drop_first(&q->items);
}

void queue_leave(struct queue *q, const struct session *session)
{
	for (size_t i = 0; i < q->items.count; i++) {
		struct queued *item = fifo_at(&q->items, i);
		if (item->session == session)
			item->session = NULL;
	}
}

void queue_free(struct queue *q)
{
	fifo_free(&q->items);
}
