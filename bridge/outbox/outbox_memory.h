// SPDX-License-Identifier: MIT
/* outbox_memory: values under keys, in memory: those of the messages in the ring; without a store, all that is remembered.
 * Uses: bridge/base.
 * Not: know the disk. */
#ifndef T2M_OUTBOX_MEMORY_H
#define T2M_OUTBOX_MEMORY_H

#include "bridge/outbox/message.h"

/* All zero: empty. */
struct outbox_memory {
	struct remembered *by_key;
	size_t count;
};

/* Remembers the message's memory_value and put_ms under its memory_key, or forgets that key. With more than `most` keys, the
 * one that was put longest ago is forgotten. OUTBOX_MEMORY_ALL: all keys are kept, and a key that is to be forgotten is kept
 * with MESSAGE_FORGET. */
#define OUTBOX_MEMORY_ALL SIZE_MAX
void outbox_memory_put(struct outbox_memory *memory, const struct outbox_message *message, size_t most);
/* False: the key is not here. *value may be MESSAGE_FORGET: the key is to be forgotten, whatever the store says. */
bool outbox_memory_get(const struct outbox_memory *memory, struct span key, int64_t *value);
void outbox_memory_each(const struct outbox_memory *memory,
	void (*each)(void *ctx, struct span key, int64_t value, int64_t put_ms), void *ctx);
void outbox_memory_clear(struct outbox_memory *memory);

#endif
