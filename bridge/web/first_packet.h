// SPDX-License-Identifier: MIT
/* first_packet: what an MQTT client says first: a CONNECT, and whether it brings a user name; and what the broker answers.
 * Uses: codecs/record.
 * Not: check the password, know brokers. */
#ifndef T2M_FIRST_PACKET_H
#define T2M_FIRST_PACKET_H

#include "codecs/record/bytes.h"

enum first_packet {
	FIRST_MORE,     /* more bytes are needed */
	FIRST_NONE,     /* it is no CONNECT of MQTT 3.1.1 or 5 */
	FIRST_NAMELESS, /* without a user name, or with an empty one */
	FIRST_NAMED,
};

/* Of a CONNECT that is whole; both in `bytes`. */
struct first_names {
	struct span user, client; /* user: empty when it is FIRST_NAMELESS */
};

enum first_packet first_packet(struct span bytes, struct first_names *names);

enum first_answer {
	ANSWER_MORE, /* more bytes are needed */
	ANSWER_LET_IN,
	ANSWER_REFUSED, /* with `code`; or it is no answer to a CONNECT, and `code` is 0 */
};
#define FIRST_ANSWER_MOST 8 /* of its bytes are looked at */

/* The first bytes of what the broker sends. A further step of the login (AUTH) counts as let in: the broker goes on asking. */
enum first_answer first_answer(struct span bytes, unsigned *code);

#endif
