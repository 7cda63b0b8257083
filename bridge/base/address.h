// SPDX-License-Identifier: MIT
/* address: IP addresses with ports, networks, their texts.
 * Uses: codecs/record.
 * Not: know connections or the configuration. */
#ifndef T2M_ADDRESS_H
#define T2M_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

union address {
	struct sockaddr any;
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;
};

#define ADDRESS_TEXT_MAX 64

struct network {
	uint8_t bytes[16]; /* IPv4 mapped into IPv6 */
	unsigned bits;     /* of them, 0 to 128 */
};

socklen_t address_length(const union address *a);
/* 16 bytes: IPv6, or IPv4 mapped into it (::ffff:a.b.c.d). */
void address_bytes(const union address *a, uint8_t out[16]);
/* 203.0.113.4, 2001:db8::1 */
void address_text(const union address *a, char buf[ADDRESS_TEXT_MAX]);
/* 203.0.113.4:50112, [2001:db8::1]:50112 */
void address_port_text(const union address *a, char buf[ADDRESS_TEXT_MAX]);

unsigned address_port(const union address *a);
/* Is it reached from this machine alone? */
bool address_is_loopback(const union address *a);

/* Reads what address_port_text writes; numeric only. Changes `text`. */
bool address_parse(char *text, union address *out);
/* Reads 203.0.113.0/24, 2001:db8::/32, or one address. Changes `text`. */
bool network_parse(char *text, struct network *out);
bool network_has(const struct network *network, const union address *a);

#endif
