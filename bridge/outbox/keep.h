// SPDX-License-Identifier: MIT
/* keep: values under keys that are to be written with the messages of this turn; see outbox_keep.
 * Uses: codecs/record.
 * Not: know the disk, or what the values are.
 *
 * A change belongs to the message that was put before it: both are stored in one transaction. */
#ifndef T2M_KEEP_H
#define T2M_KEEP_H

#include "codecs/record/bytes.h"

#define KEEP_KEY_MAX 32
#define KEEP_VALUE_MAX (32 << 10)

/* Whose values: each has its own keys, and its own share of the outbox. COMMANDS: requests that wait, and the session at the broker that
 * brings them. UNITS: what is known of units. */
enum keep_of { KEEP_COMMANDS = 0, KEEP_UNITS, KEEP_KINDS };

struct keep_change {
	struct keep_change *next;
	enum keep_of of;
	uint64_t after; /* the number of the message before it */
	size_t key_len, value_len;
	uint8_t bytes[]; /* the key, then the value; no value: the key is forgotten */
};

/* Changes that are not stored yet, in order. All zero: none. */
struct keep_list {
	struct keep_change *first, *last;
	size_t bytes[KEEP_KINDS]; /* of keys and values */
};

/* Adds a change; key and value are copied. False: no memory, or too long. */
bool keep_add(struct keep_list *list, enum keep_of of, struct span key, struct span value, uint64_t after);
/* Moves the changes in front of this one to the end of `to`; NULL: all. */
void keep_move(struct keep_list *list, const struct keep_change *up_to, struct keep_list *to);
/* Forgets the changes in front of this one, which are stored; NULL: all. */
void keep_drop(struct keep_list *list, const struct keep_change *up_to);

#endif
