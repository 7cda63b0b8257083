// SPDX-License-Identifier: MIT
/* reason: the table of the reason codes of MQTT 5, and of what becomes of a message that the broker answers with one.
 * Uses: nothing else.
 * Not: know libmosquitto or the outbox. */
#ifndef T2M_REASON_H
#define T2M_REASON_H

#include <stddef.h>

enum reason_verdict {
	REASON_TAKEN = 0, /* the broker has the message: it is done */
	REASON_WAIT,      /* the message is kept and tried again later, and its order waits */
	REASON_NEVER,     /* the broker can never take the message: it is set aside */
};

enum {
	REASON_UNSPECIFIED = 0x80,
	REASON_ITS_OWN = 0x83,
	REASON_OTHER_VERSION = 0x84,
	REASON_BAD_LOGIN = 0x86,
	REASON_NOT_AUTHORIZED = 0x87,
	REASON_UNAVAILABLE = 0x88,
	REASON_BUSY = 0x89,
	REASON_STOPPING = 0x8b,
	REASON_TAKEN_OVER = 0x8e,
	REASON_TOPIC_INVALID = 0x90,
	REASON_TOO_LARGE = 0x95,
	REASON_QUOTA = 0x97,
	REASON_NO_RETAIN = 0x9a,
	REASON_NO_QOS = 0x9b,
	/* codes of our own: what a broker does instead of answering */
	REASON_CLOSES = 0x100,
	REASON_SILENT = 0x101,
};

struct reason {
	int code;
	const char *name;
	enum reason_verdict verdict; /* of a PUBACK with this code */
	const char *publish_cure;    /* what to do about it, with {user} and {topic}; "": nothing to say */
	const char *connect_cure;    /* the same for a CONNACK or a DISCONNECT */
};

/* Never NULL: a code that is not in the table is REASON_TAKEN below 0x80, and REASON_WAIT from there on. */
const struct reason *reason_find(int code);
/* "Not authorized (0x87)" */
void reason_text(int code, char *out, size_t size);
/* The cure, with user and topic in place of {user} and {topic}; cut when `out` is too small. */
void reason_cure(const char *cure, const char *user, const char *topic, char *out, size_t size);

extern const struct reason reason_table[];
extern const size_t reason_count;

#endif
