/* store: messages on disk, in LMDB: one transaction for a turn of the loop.
 * May use: LMDB (store.c only), message. May not: know MQTT, units or the order of sending.
 *
 * The directory holds data.mdb, lock.mdb and the lock file of the one process that writes. */
#ifndef T2M_STORE_H
#define T2M_STORE_H

#include "ring.h"

enum store_sync { STORE_SYNC_ALWAYS = 0, STORE_SYNC_INTERVAL, STORE_SYNC_NEVER };

struct store;

/* Is there address space for so many bytes? 32-bit machines and limits of the process know less than 1024G. */
bool store_fits(uint64_t size);

/* Creates what is missing. NULL: `why` says what is wrong and what to do. */
struct store *store_open(const char *path, size_t size, enum store_sync sync, char *why, size_t why_size);
void store_close(struct store *store);

/* All of the ring's messages in (NULL: none), those with the given numbers out, in one transaction; on NULL all is safe as `sync`
 * says. Else nothing has changed, and what the disk said. */
const char *store_write(struct store *store, struct outbox_ring *in, const uint64_t *out, size_t out_count,
	uint64_t last_seqnum);
/* For STORE_SYNC_INTERVAL: begins to make safe all that was written, beside the loop. False: not now, try again. */
bool store_flush(struct store *store);
/* True, once, when it has ended: *why is NULL, or what the disk said. */
bool store_flushed(struct store *store, const char **why);

/* The first message behind `after`, or exactly number `seqnum`. Spans are valid until store_write or store_rest. */
bool store_next(struct store *store, uint64_t after, struct outbox_message *out);
bool store_get(struct store *store, uint64_t seqnum, struct outbox_message *out);
/* No more reading for now. */
void store_rest(struct store *store);

/* What was remembered under this key; false: nothing. */
bool store_recall(struct store *store, struct span key, int64_t *value);

uint64_t store_last_seqnum(const struct store *store); /* never goes back, also over restarts */
size_t store_count(const struct store *store);
size_t store_bytes(const struct store *store); /* of the messages as packed */

/* For people, also while a bridge runs: 0, or 1 with a message on stderr. */
int store_print_status(const char *path);
/* Moves a damaged outbox aside: 0, or 1 with a message on stderr. */
int store_move_aside(const char *path);

#endif
