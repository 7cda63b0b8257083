/* outbox: the queue of messages between what units said and what the broker has acknowledged.
 * May use: bytes. May not: know MQTT, units or formats.
 *
 * put: taken, in memory. sync: all that was put is stored; only then may a unit be told so. next: the
 * stored messages in order. done: the broker has it; forgotten. Numbers rise by one per message. */
#ifndef T2M_OUTBOX_H
#define T2M_OUTBOX_H

#include "bytes.h"

enum content { CONTENT_JSON = 0, CONTENT_MSGPACK };

struct outbox_message {
	uint64_t seqnum; /* given by outbox_put */
	struct span topic, payload;
	struct span correlation; /* MQTT 5 correlation data; mostly empty */
	enum content content;
	bool retain;
};

struct outbox;

/* At most `size` bytes wait. NULL: `why` says what is wrong and what to do. */
struct outbox *outbox_open(size_t size, char *why, size_t why_size);
void outbox_close(struct outbox *outbox);

/* The number that the next message will get. */
uint64_t outbox_next_seqnum(const struct outbox *outbox);

/* Is there room for what one frame of a unit may give? When not, stop reading from units. */
bool outbox_room(const struct outbox *outbox);

/* Copies the message; its number, or 0 when it is full. Some room behind outbox_room is kept for what is not
 * a record (status, replies), so these still fit while reading from units pauses. */
uint64_t outbox_put(struct outbox *outbox, const struct outbox_message *message);

/* True: everything put so far is stored. False: it is not, and nothing may be acknowledged; try again later. */
bool outbox_sync(struct outbox *outbox);

/* The first stored message behind number `after` that is not done. Its spans are valid until the next call. */
bool outbox_next(struct outbox *outbox, uint64_t after, struct outbox_message *out);

void outbox_done(struct outbox *outbox, uint64_t seqnum);

size_t outbox_count(const struct outbox *outbox);
size_t outbox_bytes(const struct outbox *outbox);

#endif
