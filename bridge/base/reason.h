/* reason: the reason codes of MQTT 5, and what becomes of a message that is answered with one: the one table for it.
 * May use: the C library. May not: know libmosquitto or the outbox. */
#ifndef T2M_REASON_H
#define T2M_REASON_H

#include <stddef.h>

enum reason_verdict {
	REASON_TAKEN = 0, /* the broker has it: done */
	REASON_WAIT,      /* kept; it is tried again later, and what is behind it in its order waits */
	REASON_NEVER,     /* can never pass: set aside */
};

enum {
	REASON_NOT_AUTHORIZED = 0x87,
	REASON_TOPIC_INVALID = 0x90,
	REASON_TOO_LARGE = 0x95,
	REASON_NO_RETAIN = 0x9a,
	REASON_NO_QOS = 0x9b,
	/* not MQTT's: what a broker does instead of answering */
	REASON_CLOSES = 0x100,
	REASON_SILENT = 0x101,
};

struct reason {
	int code;
	const char *name;
	enum reason_verdict verdict; /* of a PUBACK with this code */
	const char *publish_cure;    /* {user} and {topic} stand for themselves; "": nothing to say */
	const char *connect_cure;    /* the same for a CONNACK or a DISCONNECT */
};

/* Never NULL: a code that is not in the table passes below 0x80 and waits from there on. */
const struct reason *reason_find(int code);
/* "Not authorized (0x87)" */
void reason_text(int code, char *out, size_t size);
/* The cure with user and topic in it. */
void reason_cure(const char *cure, const char *user, const char *topic, char *out, size_t size);

extern const struct reason reason_table[];
extern const size_t reason_count;

#endif
