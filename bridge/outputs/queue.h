// SPDX-License-Identifier: MIT
/* queue: units whose time is to come, the first first.
 * Uses: bridge/base, bridge/units.
 * Not: know what is to be done then.
 *
 * All in one queue wait equally long. Who puts a unit in notes that in its own memory of the unit: the queue does not look whether it is
 * there already. */
#ifndef T2M_QUEUE_H
#define T2M_QUEUE_H

#include "bridge/base/fifo.h"
#include "bridge/units/session.h"

struct queued {
	struct session *session; /* NULL: it has left */
	int64_t due_ms;          /* steady time */
};

/* All zero: empty. */
struct queue {
	struct fifo items; /* struct queued */
};

/* False: no memory. */
bool queue_put(struct queue *queue, struct session *session, int64_t due_ms);
size_t queue_count(const struct queue *queue);
/* The first; NULL: the queue is empty. */
const struct queued *queue_first(const struct queue *queue);
void queue_drop_first(struct queue *queue);
/* The session is forgotten: takes time for all that wait. */
void queue_leave(struct queue *queue, const struct session *session);
void queue_free(struct queue *queue);

#endif
