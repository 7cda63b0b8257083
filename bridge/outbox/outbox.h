// SPDX-License-Identifier: MIT
/* outbox: the queue of messages between what units said and what the broker has acknowledged.
 * Uses: bridge/base.
 * Not: know MQTT, units or formats.
 *
 * outbox_put keeps a message in memory. outbox_sync stores all that was put; only when it is safe may a unit be acknowledged. outbox_next
 * gives the message that is to be published next. outbox_done forgets a message that the broker has acknowledged. Each message
 * gets a number; numbers rise by one and never go back.
 *
 * Order: messages with the same `order` (those about one unit) are published in the order in which they were put. After an outage
 * many messages wait. Units that have none of them need not wait for them: every second message is one of theirs (send_order.h).
 *
 * Threads: all calls come from one thread; the `wake` of outbox_use_wake is called by another. */
#ifndef T2M_OUTBOX_H
#define T2M_OUTBOX_H

#include "bridge/outbox/keep.h"
#include "bridge/outbox/message.h"
#include "bridge/outbox/outbox_options.h"

struct outbox;

/* `options` is copied, but for the text of `path`. NULL: `why` says what is wrong and what to do. */
struct outbox *outbox_open(const struct outbox_options *options, char *why, size_t why_size);
/* With sync = always, outbox_sync no longer waits for the disk: `wake` is called, by another thread, when outbox_sync is due because the disk
 * has answered. It may only wake the loop. Before the first outbox_sync. */
void outbox_use_wake(struct outbox *outbox, void (*wake)(void *ctx), void *ctx);
/* Stores what the disk takes. An outbox in memory only loses what waits. */
void outbox_close(struct outbox *outbox);

/* The number that the next message will get. */
uint64_t outbox_next_seqnum(const struct outbox *outbox);
/* Messages up to this number are stored, with sync = always safe; without a store: put before the last outbox_sync. */
uint64_t outbox_safe_seqnum(const struct outbox *outbox);

/* Is there room for the messages that one frame of a unit may give, and does the disk take them? When not, stop reading from
 * units. */
bool outbox_room(const struct outbox *outbox);
/* Would outbox_put take messages of so many bytes in all (see message_packed_size) now? For messages that are stored all or none:
 * ask before the first of them is put. */
bool outbox_fits(const struct outbox *outbox, size_t bytes);

/* Copies the message and numbers it: the number, or 0 when the outbox is full. When outbox_room says no, there is still some
 * room: for what is not a record (status, replies). */
uint64_t outbox_put(struct outbox *outbox, const struct outbox_message *message);

/* Stores what was put, and deletes what is done, as far as that is possible now. True: everything put so far is safe. False: it is not, so
 * no unit may be acknowledged; try again later.
 *
 * With sync = always and outbox_use_wake the disk is not waited for. What was put is written and a flush of it begins, one at a time. What is
 * put meanwhile waits in memory for the flush after it; so that commands need not wait for the disk, what is kept of them (outbox_keep) is
 * written in each turn, with all before it. outbox_flushes says how far it is. outbox_next gives only what is safe. */
bool outbox_sync(struct outbox *outbox);
/* As outbox_sync, but waits for the disk, at most so long. */
bool outbox_sync_within(struct outbox *outbox, int64_t most_ms);
#define OUTBOX_HOWEVER_LONG INT64_MAX

/* Flushes are numbered. `begun`: the one under way, when everything that was put before the last outbox_sync in which it began is in it; else
 * 0. `safe`: the last one that has ended well. */
struct outbox_flushes {
	uint64_t begun, safe;
};
struct outbox_flushes outbox_flushes(const struct outbox *outbox);
/* When acknowledgements wait for a flush: waits for its end, at most so long. True: it has ended, and outbox_sync is due. */
bool outbox_wait(struct outbox *outbox, int64_t most_us);

/* In how many milliseconds outbox_sync must be called, though nothing was put meanwhile; -1: no need. */
int64_t outbox_flush_in_ms(const struct outbox *outbox);

/* The `order` of messages about this unit: a keyed hash. With a store it stays the same over restarts. */
uint64_t outbox_order(const struct outbox *outbox, struct span ident);

/* The next message to publish; false: there is none for now. Its spans are valid until the next call. `retain` is false
 * where a newer value is known by now (see retain_if_newest). */
bool outbox_next(struct outbox *outbox, struct outbox_message *out);
/* Did outbox_next give up before it had looked at all messages? Then call it again soon. */
bool outbox_more(const struct outbox *outbox);
/* The message that outbox_next gave last waits for so long, and its order behind it; other orders go on. 0: outbox_next
 * gives it again at once. */
void outbox_postpone(struct outbox *outbox, int64_t ms);
/* The connection to the broker broke: what is not done is published again, from the oldest. */
void outbox_rewind(struct outbox *outbox);
/* The message is forgotten: it is never given again, also while the disk cannot delete it yet. */
void outbox_done(struct outbox *outbox, uint64_t seqnum);
/* The broker acknowledged the message: it is done. When its order waited for it, the order goes on. */
void outbox_taken(struct outbox *outbox, uint64_t seqnum, uint64_t order);
/* The broker refused the message for now: the message is kept, and its order waits. It is given again after a pause, which
 * grows each time. `closes`: the broker closed the connection instead of answering. */
void outbox_refused(struct outbox *outbox, uint64_t seqnum, uint64_t order, bool closes);
/* The broker can never take the message: it is set aside, where --outbox-status shows it with `reason`, a code of reason.h.
 * Without a store the message is dropped. `now_ms`: Unix time. */
void outbox_set_aside(struct outbox *outbox, uint64_t seqnum, uint64_t order, int reason, int64_t now_ms);
/* The topic of a stored message, as text; false: the message is not there, or its topic has `size` bytes or more. */
bool outbox_topic(struct outbox *outbox, uint64_t seqnum, char *out, size_t size);
/* Writes to disk what outbox_set_aside noted. Once per turn of the loop. */
void outbox_settle(struct outbox *outbox);
/* How many messages wait because of outbox_refused or outbox_postpone, those behind them included; about. */
size_t outbox_held(const struct outbox *outbox);

/* The memory_value that was put last with this key, also by an earlier run; false: none is remembered. */
bool outbox_recall(struct outbox *outbox, struct span key, int64_t *value);
/* Calls `each` for every key that is remembered, in no order. `put_ms` (Unix time) is 0 where an earlier version of the program
 * stored the key. `each` may not use the outbox; `key` is valid during the call. */
void outbox_remembered(struct outbox *outbox,
	void (*each)(void *ctx, struct span key, int64_t value, int64_t put_ms), void *ctx);
#define OUTBOX_MEMORY_BYTES 64 /* what one remembered key counts */
/* How many keys may be remembered: an eighth of the size. With a store, further new keys are not remembered; without one,
 * the key that was put longest ago is forgotten. */
size_t outbox_memory_most(const struct outbox *outbox);

/* Keeps a value under a key beyond the end of the process, instead of the one that is there; an empty value: the key is forgotten. It is
 * written in one transaction with the message that was put last before it. Without a store nothing is kept, and nothing is wrong.
 * False: it is not kept, for want of room (an eighth of the outbox' size) or memory. */
bool outbox_keep(struct outbox *outbox, enum keep_of of, struct span key, struct span value);
/* Calls `each` for what an earlier run kept: before the first outbox_keep. `each` may not use the outbox; the spans are valid during the
 * call. */
void outbox_kept(struct outbox *outbox, enum keep_of of,
	void (*each)(void *ctx, struct span key, struct span value), void *ctx);
/* Is there a store that keeps? */
bool outbox_keeps(const struct outbox *outbox);

/* How many messages are not done; how many bytes they take, with what is remembered. */
size_t outbox_count(const struct outbox *outbox);
size_t outbox_bytes(const struct outbox *outbox);

#endif
