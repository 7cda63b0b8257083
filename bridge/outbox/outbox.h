/* outbox: the queue of messages between what units said and what the broker has acknowledged.
 * May use: ring, store. May not: know MQTT, units or formats.
 *
 * put: taken, in memory. sync: all that was put is stored; only then may a unit be told so. next: what is to be
 * sent. done: the broker has it; forgotten. Numbers rise by one per message and never go back.
 *
 * Order: messages of the same `order` (a unit's) leave in the order in which they were put. When many wait (after an
 * outage), those of units that have nothing older waiting go beside them, every second one, so that live units are not
 * starved; they do not overtake their own. */
#ifndef T2M_OUTBOX_H
#define T2M_OUTBOX_H

#include "bridge/outbox/message.h"
#include "bridge/outbox/outbox_options.h"

struct outbox;

/* NULL: `why` says what is wrong and what to do. */
struct outbox *outbox_open(const struct outbox_options *options, char *why, size_t why_size);
/* Stores what it can; what is not stored or done is lost when the outbox is in memory only. */
void outbox_close(struct outbox *outbox);

/* The number that the next message will get. */
uint64_t outbox_next_seqnum(const struct outbox *outbox);

/* Is there room for what one frame of a unit may give, and does the disk take it? When not, stop reading. */
bool outbox_room(const struct outbox *outbox);
/* Would messages of so many bytes together (as packed, see message_packed_size) be taken now? For what is stored whole or not
 * at all: ask before the first of them is put. */
bool outbox_fits(const struct outbox *outbox, size_t bytes);

/* Copies the message and numbers it; 0 when it is full. Some room behind outbox_room is kept for what is not a record
 * (status, replies), so these still fit while reading from units pauses. */
uint64_t outbox_put(struct outbox *outbox, const struct outbox_message *message);

/* True: everything put so far is stored. False: it is not, and nothing may be acknowledged; try again later. */
bool outbox_sync(struct outbox *outbox);

/* When outbox_sync should be called again, so that sync = interval keeps its word though nothing happens; -1: no need. */
int64_t outbox_flush_in_ms(const struct outbox *outbox);

/* The order number of what is said about this unit: a keyed hash, the same over restarts when there is a store. */
uint64_t outbox_order(const struct outbox *outbox, struct span ident);

/* The next message to send. Its spans are valid until the next call. `retain` is what holds at this moment. */
bool outbox_next(struct outbox *outbox, struct outbox_message *out);
/* Did outbox_next end before it had looked at all? Then call it again soon. */
bool outbox_more(const struct outbox *outbox);
/* What outbox_next gave last comes later, and what is behind it in its order, too; others go on. 0: it is the next one. */
void outbox_postpone(struct outbox *outbox, int64_t ms);
/* The connection broke: what is not done comes again, from the oldest. */
void outbox_rewind(struct outbox *outbox);
/* Forgotten: it never comes again, also when the disk cannot delete it yet. */
void outbox_done(struct outbox *outbox, uint64_t seqnum);
/* The broker has it: done, and when its order waited, it goes on. */
void outbox_taken(struct outbox *outbox, uint64_t seqnum, uint64_t order);
/* The broker does not take it for now: it is kept, and its order waits; it is tried again after a growing pause. `closes`:
 * it closes the connection instead of answering. */
void outbox_refused(struct outbox *outbox, uint64_t seqnum, uint64_t order, bool closes);
/* The broker can never take it: it goes to what --outbox-status shows, with a code of reason.h. Without a store it is gone. */
void outbox_set_aside(struct outbox *outbox, uint64_t seqnum, uint64_t order, int reason, int64_t now_ms);
/* The topic of a message that is in the outbox, as text; false: it is not there, or too long. */
bool outbox_topic(struct outbox *outbox, uint64_t seqnum, char *out, size_t size);
/* Writes what was set aside. Once per turn of the loop. */
void outbox_settle(struct outbox *outbox);
/* How many messages wait because of outbox_refused, those behind included; 0: none. */
size_t outbox_held(const struct outbox *outbox);

/* The memory_value put last with this key, also in an earlier run; false: none. */
bool outbox_recall(struct outbox *outbox, struct span key, int64_t *value);
/* All that is remembered, in no order; `put_ms` is 0 where an earlier version stored it. `each` may not use the outbox. */
void outbox_remembered(struct outbox *outbox,
	void (*each)(void *ctx, struct span key, int64_t value, int64_t put_ms), void *ctx);
/* So many keys may be remembered; beyond, new ones are not: an eighth of the size, at OUTBOX_MEMORY_BYTES each. */
#define OUTBOX_MEMORY_BYTES 64
size_t outbox_memory_most(const struct outbox *outbox);

/* Of what waits; bytes with what is remembered. */
size_t outbox_count(const struct outbox *outbox);
size_t outbox_bytes(const struct outbox *outbox);

#endif
