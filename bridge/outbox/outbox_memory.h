/* outbox_memory: what messages in the ring say is to be remembered; without a store, all that is remembered.
 * May use: hash. May not: know the disk. */
#ifndef T2M_OUTBOX_MEMORY_H
#define T2M_OUTBOX_MEMORY_H

#include "bridge/outbox/message.h"

/* All zero: empty. */
struct outbox_memory {
	struct remembered *by_key;
	size_t count;
};

/* Takes over what the message says. `most`: beyond, the one that was put longest ago goes; OUTBOX_MEMORY_ALL: all are kept, also
 * that one is forgotten. */
#define OUTBOX_MEMORY_ALL SIZE_MAX
void outbox_memory_put(struct outbox_memory *memory, const struct outbox_message *message, size_t most);
/* False: nothing is known; *value MESSAGE_FORGET: it is known that it is forgotten. */
bool outbox_memory_get(const struct outbox_memory *memory, struct span key, int64_t *value);
void outbox_memory_each(const struct outbox_memory *memory,
	void (*each)(void *ctx, struct span key, int64_t value, int64_t put_ms), void *ctx);
void outbox_memory_clear(struct outbox_memory *memory);

#endif
