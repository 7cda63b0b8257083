// SPDX-License-Identifier: MIT
/* link: from a captured packet to what a peer has sent: Ethernet, IP, TCP and UDP taken off.
 * Uses: codecs/record.
 * Not: keep anything between packets. */
#ifndef T2M_LINK_H
#define T2M_LINK_H

#include "codecs/record/bytes.h"

struct endpoint {
	uint8_t address[16]; /* IPv4: the first four bytes */
	uint16_t port;
};

struct segment {
	bool ipv6, tcp;
	struct endpoint from, to;
	uint32_t sequence; /* TCP */
	bool syn, ack, fin, reset;
	struct span bytes;
	size_t missing; /* bytes behind them that the peer has sent, but that were not captured */
};

enum link_found {
	LINK_SEGMENT = 0,
	LINK_OTHER,    /* neither TCP nor UDP over IP */
	LINK_FRAGMENT, /* a part of an IP packet: not put together */
	LINK_DAMAGED,  /* too short for its own headers */
	LINK_UNKNOWN,  /* no such link type */
};

/* `link_type`: as in the capture file: 0 null, 1 Ethernet, 12, 14 and 101 raw IP, 108 loopback, 113 and 276 Linux cooked, 228 IPv4,
 * 229 IPv6. */
enum link_found link_read(uint32_t link_type, struct span packet, struct segment *out);

#endif
