// SPDX-License-Identifier: MIT
/* outbox_send: gives the messages of the ring or the store in the order of send_order.
 * Uses: bridge/base.
 * Not: decide who goes next; know MQTT.
 *
 * It knows the time, and leaves out the messages that are to be set aside. Only outbox.c includes this. */
#ifndef T2M_OUTBOX_SEND_H
#define T2M_OUTBOX_SEND_H

#include "bridge/outbox/ring.h"
#include "bridge/outbox/send_order.h"
#include "bridge/outbox/store.h"

#define SENDING_ASIDE_MOST 64

struct sending {
	struct outbox_ring *ring; /* the outbox's; the store may be NULL */
	struct store *store;
	struct send_order order;
	struct outbox_message found;                    /* the message that was read last */
	struct store_refusal aside[SENDING_ASIDE_MOST]; /* to be set aside; they are not sent meanwhile */
	size_t aside_count;
};

/* Learns what waits from an earlier run. False: no memory. `s` does not move before sending_close. */
bool sending_open(struct sending *s, struct outbox_ring *ring, struct store *store);
void sending_close(struct sending *s);
/* The next message of those up to number `stored`. */
bool sending_next(struct sending *s, uint64_t stored, struct outbox_message *out);
/* The message with exactly this number, one that is to be set aside as well; false: it is not there. */
bool sending_get(struct sending *s, uint64_t number, struct outbox_message *out);
/* These are send_order's, with the time. */
void sending_postpone(struct sending *s, int64_t ms);
void sending_rewind(struct sending *s);
void sending_passed(struct sending *s, uint64_t number, uint64_t order);
void sending_refused(struct sending *s, uint64_t number, uint64_t order, bool closes);

#endif
