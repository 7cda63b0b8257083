// SPDX-License-Identifier: MIT
/* deflate: the compression of WebSocket messages (RFC 7692, permessage-deflate), with one window for a whole connection.
 * Uses: codecs/record; <zlib.h>.
 * Not: know frames. */
#ifndef T2M_DEFLATE_H
#define T2M_DEFLATE_H

#include "codecs/record/bytes.h"

struct deflate;

/* What a browser offers in Sec-WebSocket-Extensions (NULL: nothing). True: `out` is the answer, and compression is agreed. */
bool deflate_agreed(const char *offer, const char **out);

/* NULL: no memory. Takes some 300 KiB. */
struct deflate *deflate_open(void);
void deflate_free(struct deflate *d);
/* Compresses a message. A part of it may be left when `out` is nearly full: then it is false, and the connection has to end. */
bool deflate_pack(struct deflate *d, struct span message, struct writer *out);
/* Decompresses a message. False: it is broken, or larger than the room in `out`. */
bool deflate_unpack(struct deflate *d, struct span message, struct writer *out);
/* The message in gzip's format, for HTTP. False: it does not fit. */
bool deflate_gzip(struct span message, struct writer *out);

#endif
