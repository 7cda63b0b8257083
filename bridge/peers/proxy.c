// SPDX-License-Identifier: MIT
/* proxy: see proxy.h.
 *
 *   1: PROXY TCP4 203.0.113.4 198.51.100.1 50112 8888\r\n     at most 107 bytes; TCP6; UNKNOWN and anything
 *   2: 0D 0A 0D 0A 00 0D 0A 51 55 49 54 0A | 2v version, command | fp family, protocol | length (2) | addresses | TLVs
 *      v: 0 LOCAL, 1 PROXY    fp: 11 TCP over IPv4: src 4, dst 4, sport 2, dport 2    21 over IPv6: 16, 16, 2, 2
 *                             12, 22 the same for UDP; there, nginx says TCP4 and TCP6 as well (version 1) */
#include "bridge/peers/proxy.h"

#include <stdio.h>

#define V1_MAX 107
#define V2_HEAD 16

static const char v1_signature[6] = {'P', 'R', 'O', 'X', 'Y', ' '};
static const uint8_t v2_signature[12] = {
	0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

static bool begins(struct span in, const void *what, size_t n)
{
	return memcmp(in.ptr, what, in.len < n ? in.len : n) == 0;
}

static enum proxy_status parse_v1(struct span in, size_t *len, union address *peer)
{
	char line[V1_MAX + 1], from[64], to[64], port[16], end;
	size_t n = in.len < V1_MAX ? in.len : V1_MAX;
	const uint8_t *newline = memchr(in.ptr, '\n', n);
	if (newline == NULL)
		return in.len < V1_MAX ? PROXY_MORE : PROXY_BAD;
	*len = (size_t)(newline - in.ptr) + 1;
	if (*len < 2 || newline[-1] != '\r' || memchr(in.ptr, '\0', *len) != NULL)
		return PROXY_BAD;
	memcpy(line, in.ptr, *len - 2);
	line[*len - 2] = '\0';
	if (strncmp(line, "PROXY UNKNOWN", 13) == 0 && (line[13] == '\0' || line[13] == ' '))
		return PROXY_OK;
	unsigned family, sport, dport;
	if (sscanf(line, "PROXY TCP%1u %46s %46s %5u %5u%c", &family, from, to, &sport, &dport, &end) != 5 ||
		(family != 4 && family != 6) || sport > 65535 || dport > 65535)
		return PROXY_BAD;
	char text[96];
	snprintf(port, sizeof(port), "%u", sport);
	snprintf(text, sizeof(text), family == 6 ? "[%s]:%s" : "%s:%s", from, port);
	union address a;
	if (!address_parse(text, &a))
		return PROXY_BAD;
	*peer = a;
	return PROXY_OK;
}

/* Bytes of an address of this kind; 0: there is no such kind. */
static size_t address_size(unsigned kind, bool datagram)
{
	if (datagram && (kind & 0x0f) == 2)
		kind--;
	return kind == 0x11 ? 4 : kind == 0x21 ? 16 : 0;
}

static enum proxy_status parse_v2(struct span in, size_t *len, union address *peer, bool datagram)
{
	if (in.len < V2_HEAD)
		return PROXY_MORE;
	unsigned version = in.ptr[12], kind = in.ptr[13];
	size_t rest = (size_t)in.ptr[14] << 8 | in.ptr[15];
	if ((version != 0x20 && version != 0x21) || V2_HEAD + rest > PROXY_HEADER_MAX)
		return PROXY_BAD;
	*len = V2_HEAD + rest;
	if (in.len < *len)
		return PROXY_MORE;
	if (version == 0x20 || kind == 0) /* the proxy speaks for itself, or does not know */
		return PROXY_OK;
	struct reader r = reader_of(span_of(in.ptr + V2_HEAD, rest));
	union address a;
	memset(&a, 0, sizeof(a));
	size_t n = address_size(kind, datagram);
	struct span from = reader_take(&r, n);
	reader_take(&r, n);
	uint16_t port = reader_u16(&r);
	reader_u16(&r);
	if (n == 0 || r.bad)
		return PROXY_BAD;
	if (n == 4) {
		a.in4.sin_family = AF_INET;
		a.in4.sin_port = htons(port);
		memcpy(&a.in4.sin_addr, from.ptr, n);
	} else {
		a.in6.sin6_family = AF_INET6;
		a.in6.sin6_port = htons(port);
		memcpy(&a.in6.sin6_addr, from.ptr, n);
	}
	*peer = a;
	return PROXY_OK;
}

enum proxy_status proxy_parse(struct span in, size_t *len, union address *peer)
{
	if (begins(in, v1_signature, sizeof(v1_signature)))
		return in.len < sizeof(v1_signature) ? PROXY_MORE : parse_v1(in, len, peer);
	if (begins(in, v2_signature, sizeof(v2_signature)))
		return parse_v2(in, len, peer, false);
	return PROXY_BAD;
}

enum proxy_status proxy_parse_datagram(struct span in, size_t *len, union address *peer)
{
	enum proxy_status status = PROXY_NONE;
	if (in.len >= sizeof(v1_signature) && begins(in, v1_signature, sizeof(v1_signature)))
		status = parse_v1(in, len, peer);
	else if (in.len >= sizeof(v2_signature) && begins(in, v2_signature, sizeof(v2_signature)))
		status = parse_v2(in, len, peer, true);
	return status == PROXY_MORE ? PROXY_BAD : status;
}
