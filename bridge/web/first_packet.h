// SPDX-License-Identifier: MIT
/* first_packet: what an MQTT client says first: a CONNECT, and whether it brings a user name.
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

/* `user`: when it is FIRST_NAMED, the user name, in `bytes`. */
enum first_packet first_packet(struct span bytes, struct span *user);

#endif
