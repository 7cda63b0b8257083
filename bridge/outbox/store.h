/* store: messages on disk, in LMDB: one transaction for a turn of the loop.
 * May use: LMDB (store*.c only), message, log. May not: know MQTT, units or the order of sending.
 *
 * The directory holds data.mdb, the lock file of the one process that writes, and (sync = interval) the mark of the last
 * flush. What LMDB opens has been examined before; when its file is taken away or cut while it runs, that is noticed,
 * and no reading of it ends the process.
 *
 * Files, from the bottom up (see store_private.h): store_guard.c works on what LMDB has mapped, store_room.c makes room,
 * store_read.c reads, store_memory.c remembers values under keys, store_sync.c makes safe, store_env.c opens LMDB, store_write.c
 * writes, store_open.c decides what is opened and moves aside what is damaged, store.c opens, closes and does a turn. Beside them
 * store_aside.c keeps what the broker can never take, and store_tools.c is for people. */
#ifndef T2M_STORE_H
#define T2M_STORE_H

#include "bridge/base/hash.h"
#include "bridge/outbox/outbox_options.h"
#include "bridge/outbox/ring.h"

struct store_options {
	const char *path;         /* copied */
	size_t size, memory_most; /* bytes of messages; keys that are remembered */
	enum outbox_sync sync;
	enum outbox_damaged damaged;
};

struct store;

/* A message that the broker can never take: a code of reason.h, and Unix time. */
struct store_refusal {
	uint64_t number;
	int reason;
	int64_t when_ms;
};

/* Is there address space for so many bytes of messages? 32-bit machines and limits of the process know less than 1024G. */
bool store_fits(uint64_t size);

/* Creates what is missing. NULL: `why` says what is wrong and what to do. */
struct store *store_open(const struct store_options *options, char *why, size_t why_size);
void store_close(struct store *store);

/* Stores the ring's messages, and deletes what is done; in several transactions when one is too large for the disk. What is
 * stored leaves the ring. NULL: all is stored, safe as `sync` says. Else what the disk said, valid until the next
 * call; what is left in the ring is to be tried again later. */
const char *store_write(struct store *store, struct outbox_ring *in);
/* The broker has it: it is not read again, and deleted when the disk takes that. */
void store_done(struct store *store, uint64_t seqnum);
size_t store_done_count(const struct store *store); /* of those that are still to be deleted */

/* Moves messages to where --outbox-status shows them, in one transaction; when that is full, the oldest there go, and are counted.
 * NULL, or what the disk said: then nothing has changed. */
const char *store_set_aside(struct store *store, const struct store_refusal *list, size_t count);

/* Did somebody take the files away, or cut them? The next store_write deals with it. False: they are to be written. */
bool store_watch(struct store *store);

/* Is there room on the disk, and in the file, for so many bytes of messages? */
bool store_room(const struct store *store, size_t bytes);

/* NULL, or what the disk said when it had no more room; it is asked again by store_watch. */
const char *store_tight(struct store *store);

/* For OUTBOX_SYNC_INTERVAL: begins to make safe all that was written, beside the loop. False: not now, try again. */
bool store_flush(struct store *store);
/* So much was written since the last flush that it should not wait. */
bool store_flush_due(const struct store *store);
/* True, once, when it has ended: *why is NULL, or what the disk said. */
bool store_collect_flush(struct store *store, const char **why);

/* The first message behind `after` that is not done, or exactly number `seqnum`. Spans are valid until the next call. */
bool store_next(struct store *store, uint64_t after, struct outbox_message *out);
bool store_get(struct store *store, uint64_t seqnum, struct outbox_message *out);
/* False: the disk does not let it be read now; that nothing is found says nothing then. */
bool store_try_reading(struct store *store);
/* No more reading for now. */
void store_rest(struct store *store);

/* What was remembered under this key; false: nothing. */
bool store_recall(struct store *store, struct span key, int64_t *value, int64_t *put_ms);
typedef void store_each(void *ctx, struct span key, int64_t value, int64_t put_ms);
/* All that is remembered. */
void store_remembered(struct store *store, store_each *each, void *ctx);
size_t store_remembered_count(const struct store *store);

/* The key for orders, the same over restarts; made when there is none. False: the disk refuses. */
bool store_order_key(struct store *store, uint8_t out[HASH_KEY_BYTES]);

uint64_t store_last_seqnum(const struct store *store); /* never goes back, also over restarts */
/* Of what is not done; bytes as packed. */
size_t store_count(const struct store *store);
size_t store_bytes(const struct store *store);

/* For people, also while a bridge runs, which does not notice: 0, or 1 with a message on stderr. */
int store_print_status(const char *path);
/* Moves an outbox aside: 0, or 1 with a message on stderr. */
int store_move_aside(const char *path);

#endif
