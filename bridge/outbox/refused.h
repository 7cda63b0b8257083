// SPDX-License-Identifier: MIT
/* refused: the form, on disk, of a message that the broker can never take: why and when, then the message in message.h's form.
 * Uses: nothing else.
 * Not: use LMDB, know MQTT: reasons are numbers here. */
#ifndef T2M_REFUSED_H
#define T2M_REFUSED_H

#include "bridge/outbox/message.h"

/* In front of the message; host byte order. */
struct refused_head {
	int64_t when_ms, reason; /* Unix time; a code of reason.h */
	uint64_t number;         /* of the message */
};

/* Under the number 0, in place of a message. */
struct refused_sum {
	uint64_t dropped, bytes; /* how many were deleted for want of room; bytes of all that are there */
};

/* What people are shown of one. */
struct refused_shown {
	int64_t when_ms;
	int reason;
	uint64_t number;
	size_t bytes;    /* of its payload */
	char topic[100]; /* cut when it is longer */
};

/* Reads `start`, the first of the `size` bytes that are stored of one. Too few bytes: *to stays as it is. */
void refused_show(struct span start, size_t size, struct refused_shown *to);

#endif
