/* outbox_send: which message of the outbox goes out next. A part of the outbox: only outbox.c includes this.
 * May use: ring, store, lanes. May not: know MQTT. */
#ifndef T2M_OUTBOX_SEND_H
#define T2M_OUTBOX_SEND_H

#include "bridge/outbox/lanes.h"
#include "bridge/outbox/outbox.h"
#include "bridge/outbox/ring.h"
#include "bridge/outbox/store.h"

#define SENDING_ASIDE_MOST 64

struct numbers { /* a queue */
	uint64_t *item;
	size_t head, count;
};

struct bucket {
	uint64_t last; /* number of the last message of this order */
	bool live;     /* it went into the live lane */
};

struct sending {
	struct outbox_ring *ring; /* the outbox's; the store may be NULL */
	struct store *store;
	uint64_t cursor; /* the backlog up to here has been given out, or is held */
	struct numbers live,
		skip; /* of the live lane: to be given out; given out before the cursor came there */
	unsigned turn;
	struct bucket *buckets;
	struct lanes lanes;
	uint64_t sweep; /* it is through up to here; 0: there is none */
	size_t swept;   /* messages that it looked at */
	int64_t sweep_from_ms;
	size_t held; /* messages up to the cursor that wait because the broker refused them, or one before them */
	bool more, urgent; /* urgent: one that waits goes next */
	struct {
		uint64_t number, order;
	} last; /* given out last */
	struct store_refusal aside[SENDING_ASIDE_MOST];
	size_t aside_count;
};

bool sending_open(struct sending *s, struct outbox_ring *ring, struct store *store);
void sending_close(struct sending *s);
/* A message was put; `waiting` others are in the outbox. */
void sending_put(struct sending *s, uint64_t number, uint64_t order, size_t waiting);
/* Is nothing behind it in its order? False when it is not sure. */
bool sending_is_last(const struct sending *s, uint64_t number, uint64_t order);
/* The next one of those up to `stored`. */
bool sending_next(struct sending *s, uint64_t stored, struct outbox_message *out);
/* Exactly this one; false: it is not there. */
bool sending_get(struct sending *s, uint64_t number, struct outbox_message *out);
/* What was given last waits for so long; 0: it is the next one that is given. */
void sending_postpone(struct sending *s, int64_t ms);
void sending_rewind(struct sending *s);
void sending_passed(struct sending *s, uint64_t number, uint64_t order);
void sending_refused(struct sending *s, uint64_t number, uint64_t order, bool closes);

#endif
