// SPDX-License-Identifier: MIT
/* proxy: the header of the PROXY protocol, versions 1 and 2: whose connection a proxy hands on.
 * Uses: bridge/base, codecs/record.
 * Not: read sockets.
 * Source: haproxy, doc/proxy-protocol.txt, 2020/03/05. */
#ifndef T2M_PROXY_H
#define T2M_PROXY_H

#include "bridge/base/address.h"
#include "codecs/record/bytes.h"

#define PROXY_HEADER_MAX 1024 /* more than any proxy sends; a longer header is bad */

enum proxy_status { PROXY_OK = 0, PROXY_MORE, PROXY_BAD, PROXY_NONE };

/* OK: *len bytes are the header, and *peer is who it names; it stays as it was when the header names nobody (LOCAL,
 * UNKNOWN). MORE: all bytes so far belong to a header that is not whole. BAD: this is no header. */
enum proxy_status proxy_parse(struct span in, size_t *len, union address *peer);
/* The same for a datagram, in which a header is whole or BAD. NONE: none is in it, for it begins otherwise. */
enum proxy_status proxy_parse_datagram(struct span in, size_t *len, union address *peer);

#endif
