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

#include "message.h"

struct outbox;

enum outbox_sync { OUTBOX_SYNC_ALWAYS = 0, OUTBOX_SYNC_INTERVAL, OUTBOX_SYNC_NEVER };

struct outbox_options {
	const char *path; /* a directory; "": in memory only */
	size_t size;      /* at most so many bytes wait */
	enum outbox_sync sync;
	int64_t sync_interval_ms;
};

/* NULL: `why` says what is wrong and what to do. */
struct outbox *outbox_open(const struct outbox_options *options, char *why, size_t why_size);
/* Stores what it can; what is not stored or done is lost when the outbox is in memory only. */
void outbox_close(struct outbox *outbox);

/* The number that the next message will get. */
uint64_t outbox_next_seqnum(const struct outbox *outbox);

/* Is there room for what one frame of a unit may give, and does the disk take it? When not, stop reading. */
bool outbox_room(struct outbox *outbox);

/* Copies the message and numbers it; 0 when it is full. Some room behind outbox_room is kept for what is not a record
 * (status, replies), so these still fit while reading from units pauses. */
uint64_t outbox_put(struct outbox *outbox, const struct outbox_message *message);

/* True: everything put so far is stored. False: it is not, and nothing may be acknowledged; try again later. */
bool outbox_sync(struct outbox *outbox);

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
/* Forgotten. */
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

size_t outbox_count(const struct outbox *outbox);
size_t outbox_bytes(const struct outbox *outbox);

#endif
