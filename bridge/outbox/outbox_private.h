// SPDX-License-Identifier: MIT
/* outbox_private: what the files of the outbox share. See outbox.h.
 * Uses: bridge/base.
 *
 * outbox.c calls outbox_sync.c: how much there is, and when it is stored and safe. */
#ifndef T2M_OUTBOX_PRIVATE_H
#define T2M_OUTBOX_PRIVATE_H

#include "bridge/outbox/outbox.h"
#include "bridge/outbox/outbox_memory.h"
#include "bridge/outbox/outbox_send.h"

#include "bridge/base/hash.h"

#define RETRY_MS 200

struct outbox {
	struct outbox_options options;
	struct outbox_ring *ring;
	struct store *store; /* NULL: in memory only */
	uint64_t seqnum;
	uint64_t safe; /* messages up to this number may be published */
	struct outbox_flushes flushes;
	uint64_t flush; /* the number of the last flush that began */
	bool told_slow;
	bool waits; /* for any disk: there is nobody to wake */
	struct outbox_memory
		memory; /* of the messages in the ring up to number `learnt`; without a store: all that is remembered */
	uint64_t learnt;
	int64_t done_since_ms, flushed_ms, retry_ms, watched_ms;
	bool unflushed; /* something was written since the last flush began */
	bool full;      /* outbox_has_room said no: some of it must go before it says yes */
	const char *write_trouble, *flush_trouble; /* what the disk said last; NULL: nothing is wrong */
	bool trouble;                              /* something is wrong, and it was logged */
	struct sending sending;
	uint8_t order_key[HASH_KEY_BYTES];
	int64_t aside_retry_ms;
};

/* Is there room for a frame more, not looking at what a slow disk makes wait? */
bool outbox_has_room(const struct outbox *o);

#endif
