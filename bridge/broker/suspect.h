/* suspect: finds the message at which the broker closes the connection.
 * May use: the C library. May not: know MQTT or the outbox; it is told numbers of messages.
 *
 * What was on its way at two breaks without an answer is suspect. A suspect is sent alone: with nothing else on its way, so that
 * the next break says whether it is the one. It is, when it was on its way at SUSPECT_BREAKS breaks, alone at SUSPECT_ALONE of
 * them, each time on a connection on which the broker had taken something else, and soon after it was sent. So a broker
 * that restarts, a network that fails and a broker that takes nothing at all set nothing aside.
 *
 * When SUSPECT_ROW messages in a row were found and none was taken in between, it is the broker, not the messages: from
 * then on they wait until one is taken. */
#ifndef T2M_SUSPECT_H
#define T2M_SUSPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SUSPECT_BREAKS 3
#define SUSPECT_ALONE 2
#define SUSPECT_ROW 10

struct suspect {
	uint64_t number;
	uint32_t breaks, alone; /* breaks 0: answered since */
};

struct suspects {
	struct suspect *item; /* by number */
	size_t count, open;   /* all; those that are not answered */
	unsigned row;         /* found since a message was taken */
};

enum suspect_verdict {
	SUSPECT_UNKNOWN = 0, /* go on */
	SUSPECT_WAITS,       /* this one is in the way of others: let it wait, and try others */
	SUSPECT_FOUND,       /* this is the one: set it aside */
};

/* The connection broke with `count` numbers on their way; the array is sorted. `sure`: if there was one only, it was sent
 * after the broker had taken something on this connection, and not long ago. `which` is set for the last two verdicts. */
enum suspect_verdict suspects_broke(
	struct suspects *s, uint64_t *numbers, size_t count, bool sure, uint64_t *which);
/* The broker has answered this one; `taken`: it took it. */
void suspects_answered(struct suspects *s, uint64_t number, bool taken);
/* Must this one be sent alone? */
bool suspects_alone(const struct suspects *s, uint64_t number);
void suspects_clear(struct suspects *s);

#endif
