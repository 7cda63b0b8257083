// SPDX-License-Identifier: MIT
/* capture: the packets of a capture file, as tcpdump -w (pcap) and Wireshark (pcapng) write it.
 * Uses: nothing else.
 * Not: know what the packets say.
 *
 * The headers are read here and not through libpcap: they are 24 and 16 bytes that have not changed since 1998, what libpcap would do
 * besides is capturing, and the package would then depend on its libraries. */
#ifndef T2M_CAPTURE_H
#define T2M_CAPTURE_H

#include "bridge/decode/source.h"

enum { CAPTURE_PACKET_MAX = 1 << 18 };

struct capture_packet {
	unsigned long number; /* from 1 */
	int64_t time_ms;      /* 0: the file has none */
	uint32_t link_type;   /* see link.h */
	struct span bytes;    /* as captured; valid until the next packet is read */
};

/* Does a file begin like this? */
bool capture_is(struct span head);

/* Gives every packet to `packet`. NULL: to the end of the file; else what is wrong with it, as a sentence. */
const char *capture_read(
	struct source *source, void (*packet)(void *ctx, const struct capture_packet *packet), void *ctx);

#endif
