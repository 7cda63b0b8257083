// SPDX-License-Identifier: MIT
/* store: messages on disk, in LMDB: one transaction for each turn of the loop.
 * Uses: bridge/base.
 * Not: know MQTT, units or the order of sending.
 *
 * The directory holds data.mdb, the lock file of the one process that writes, and (unless sync = never) the mark of the last flush.
 * A file is examined before LMDB opens it. When the file is taken away or cut while the bridge runs, that is noticed, and no
 * reading of it ends the process. All calls come from one thread.
 *
 * Files, from the bottom up (see store_private.h): store_guard.c works on what LMDB has mapped, store_room.c makes room,
 * store_read.c reads, store_memory.c remembers values under keys, store_sync.c marks what is safe, store_env.c opens LMDB,
 * store_flush.c makes safe beside the loop, store_write.c writes, store_open.c decides what is opened and moves aside what is damaged, store.c opens, closes and does a turn. Beside them
 * store_aside.c keeps what the broker can never take, and store_tools.c is for people. */
#ifndef T2M_STORE_H
#define T2M_STORE_H

#include "bridge/base/hash.h"
#include "bridge/outbox/keep.h"
#include "bridge/outbox/outbox_options.h"
#include "bridge/outbox/ring.h"
#include "bridge/outbox/store_check.h"

struct store_options {
	const char *path;   /* copied */
	size_t size;        /* most bytes of messages */
	size_t memory_most; /* most keys that are remembered */
	enum outbox_sync sync;
	enum outbox_damaged damaged;
};

struct store;

/* A message that the broker can never take. */
struct store_refusal {
	uint64_t number;
	int reason;      /* a code of reason.h */
	int64_t when_ms; /* Unix time */
};

/* Is there address space for so many bytes of messages? A 32-bit machine, or a limit of the process, may have less than 1024G. */
bool store_fits(uint64_t size);

/* Creates what is missing. `options` is copied. NULL: `why` says what is wrong and what to do. */
struct store *store_open(const struct store_options *options, char *why, size_t why_size);
/* `wake` is called, by another thread, when a flush has ended for which nobody waits. Before the first flush. */
void store_use_wake(struct store *store, void (*wake)(void *ctx), void *ctx);
void store_close(struct store *store);

/* Stores the ring's messages, and deletes what is done; in several transactions when one is too large for the disk. A
 * message that is stored leaves the ring; with sync = always only when it is safe, for after a failed flush it is written again. NULL:
 * all messages are stored. Else what the disk said, valid until the next call: the others are to be tried again later. */
const char *store_write(struct store *store, struct outbox_ring *in);
/* How many of the ring's messages are in the file already, and their bytes. */
size_t store_unsafe_count(const struct store *store);
size_t store_unsafe_bytes(const struct store *store);
/* Is there something in the file that is to be safe, and is not? With sync = always alone. */
bool store_is_unsafe(const struct store *store);
/* The broker has this message: it is not read again, and it is deleted by a later store_write. */
void store_done(struct store *store, uint64_t seqnum);
size_t store_done_count(const struct store *store); /* how many are done and still to be deleted */

/* Moves messages to where --outbox-status shows them, in one transaction. When there is no more room for them, the oldest
 * there are deleted and counted. NULL, or what the disk said, valid until the next call: then nothing has changed. */
const char *store_set_aside(struct store *store, const struct store_refusal *list, size_t count);

/* Looks whether somebody took the files away, or cut them. False: so it is, and store_write opens them again. */
bool store_watch(struct store *store);

/* Is there room on the disk, and in the file, for so many bytes of messages? */
bool store_room(const struct store *store, size_t bytes);

/* NULL, or what the disk said when it had no more room, valid until the next call. store_watch asks the disk again. */
const char *store_tight(struct store *store);

/* Writes something, though there is nothing to write: whether the next flush succeeds then says something of the disk. */
void store_probe(struct store *store);

/* Begins a flush, beside the loop, of all that was written; one at a time. NULL, or why not (a text that stays). Not with sync = never. */
const char *store_flush(struct store *store);
bool store_is_flushing(const struct store *store);
/* Was so much written since the last flush, or is the disk so full, that the next one should not wait? */
bool store_flush_due(const struct store *store);
/* Waits at most so long for the flush under way. True: it has ended, and is to be collected. */
bool store_wait(struct store *store, int64_t most_us);
/* For how long the flush under way has run; when there is none, how long the last one took. */
int64_t store_flush_us(const struct store *store);
/* True, once for each flush, when it has ended: *why is NULL, or what the disk said (a text that stays). With sync = always, what is safe
 * now leaves the ring; and when the flush has failed, the file is again as it was when it was safe last, and the ring has what was stored
 * since. Everything that is read is read anew. */
bool store_collect_flush(struct store *store, struct outbox_ring *in, const char **why);

/* The first message behind number `after` that is not done; the message with exactly number `seqnum`. False: there is none,
 * or it cannot be read (see store_try_reading). Its spans are valid until the next call. */
bool store_next(struct store *store, uint64_t after, struct outbox_message *out);
bool store_get(struct store *store, uint64_t seqnum, struct outbox_message *out);
/* Begins to read, if no reading is under way. False: the files cannot be read now, so that nothing was found says nothing. */
bool store_try_reading(struct store *store);
/* Ends reading for now, so that LMDB can use the pages again that the reading holds. */
void store_rest(struct store *store);

/* The value that is remembered under this key, and when it was put (Unix time; 0: not known). False: none. */
bool store_recall(struct store *store, struct span key, int64_t *value, int64_t *put_ms);
typedef void store_each(void *ctx, struct span key, int64_t value, int64_t put_ms);
/* Calls `each` for every key that is remembered; `key` is valid during the call, which may not use the store. */
void store_remembered(struct store *store, store_each *each, void *ctx);
size_t store_remembered_count(const struct store *store);

/* The key of the hash that gives orders: the same over restarts, made when there is none. False: the disk refuses; `out` may
 * hold a key that is valid for this run only. */
bool store_order_key(struct store *store, uint8_t out[HASH_KEY_BYTES]);

/* Notes a value to be kept under a key, or (an empty one) the key to be forgotten: a later store_write writes it, in one transaction
 * with message number `after`. False: no room for it, or no memory. */
bool store_keep(struct store *store, enum keep_of of, struct span key, struct span value, uint64_t after);
/* Is there something that store_keep noted and that is not stored yet? And something of this kind? */
bool store_keeps(const struct store *store);
bool store_keeps_of(const struct store *store, enum keep_of of);
typedef void store_each_kept(void *ctx, struct span key, struct span value);
/* Calls `each` for all that is kept and stored, in the order of the keys; the spans are valid during the call, which may not use the
 * store. */
void store_each_of_kept(struct store *store, enum keep_of of, store_each_kept *each, void *ctx);

uint64_t store_last_seqnum(const struct store *store); /* never goes back, also over restarts */
/* How many messages are not done, and their bytes (message_packed_size). */
size_t store_count(const struct store *store);
size_t store_bytes(const struct store *store);

/* Prints what waits, for people; also while a bridge uses the outbox, which does not notice. 0, or 1 with a message on stderr. */
int store_print_status(const char *path);
/* Gives `each` what is kept of units, also while a bridge uses the outbox, which does not notice; see store_read_units. The same unit may
 * be given more than once, and when the bridge is busy, as it was a moment ago. 0, or 1 with a message on stderr. */
int store_list_units(const char *path, store_each_unit *each, void *ctx);
/* Moves an outbox that no bridge uses aside. 0, or 1 with a message on stderr. */
int store_move_aside(const char *path);

#endif
