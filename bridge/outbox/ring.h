// SPDX-License-Identifier: MIT
/* ring: messages in memory, in the order of their numbers, in chunks that are allocated and freed as needed.
 * Uses: nothing else.
 * Not: know MQTT or the disk. */
#ifndef T2M_RING_H
#define T2M_RING_H

#include "bridge/outbox/message.h"

struct outbox_ring;

struct outbox_ring *ring_open(void);
void ring_close(struct outbox_ring *ring);
/* Copies the message; its seqnum must be higher than all before. False: no memory. */
bool ring_put(struct outbox_ring *ring, const struct outbox_message *message);
/* The first message behind number `after` that is not done; its spans are valid until ring_done, ring_drop or ring_clear. */
bool ring_next(struct outbox_ring *ring, uint64_t after, struct outbox_message *out);
/* This message is done; a number that is not there is no fault. */
void ring_done(struct outbox_ring *ring, uint64_t seqnum);
/* All messages up to number `upto` are done. */
void ring_drop(struct outbox_ring *ring, uint64_t upto);
/* All messages are done. */
void ring_clear(struct outbox_ring *ring);
size_t ring_count(const struct outbox_ring *ring);
size_t ring_bytes(const struct outbox_ring *ring); /* message_packed_size of all */

#endif
