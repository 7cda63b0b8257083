// SPDX-License-Identifier: MIT
/* suspect: finds the message at which the broker closes the connection.
 * Uses: nothing else.
 * Not: know MQTT or the outbox; it is told numbers of messages.
 *
 * In flight means sent and not answered. A message that was in flight at two breaks of the connection is suspect. A suspect is sent alone,
 * with nothing else in flight, so that the next break shows whether it is the reason. It is the reason when it was in flight at
 * SUSPECT_BREAKS breaks and alone at SUSPECT_ALONE of them. Each of those must be on a connection on which the broker had accepted
 * something, and soon after the suspect was sent. So a broker that restarts, a network that fails and a broker that accepts nothing at all
 * set no message aside.
 *
 * When SUSPECT_ROW messages were found one after the other and the broker accepted none in between, the broker is the reason, not the
 * messages. From then on suspects wait until one message is accepted. */
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
	size_t count, open;   /* all; those that are not answered yet */
	unsigned row;         /* found since the broker last accepted a message */
};

enum suspect_verdict {
	SUSPECT_UNKNOWN = 0, /* go on */
	SUSPECT_WAITS,       /* it holds others up: postpone it, and send others */
	SUSPECT_FOUND,       /* it is the reason: set it aside */
};

/* The connection broke with `count` messages in flight, whose numbers this sorts. `sure` matters when there is one only: it was sent
 * after the broker had accepted something on this connection, and not long ago. Sets *which for the last two verdicts. */
enum suspect_verdict suspects_broke(
	struct suspects *s, uint64_t *numbers, size_t count, bool sure, uint64_t *which);
/* The broker has answered this message: it is no longer suspect. `taken`: the broker accepted it. */
void suspects_answered(struct suspects *s, uint64_t number, bool taken);
/* Must this message be sent alone? */
bool suspects_alone(const struct suspects *s, uint64_t number);
void suspects_clear(struct suspects *s);

#endif
