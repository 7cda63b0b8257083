// SPDX-License-Identifier: MIT
/* websocket: the frames of WebSocket (RFC 6455), as the server of a binary protocol sees them.
 * Uses: codecs/record; <openssl/evp.h>, <openssl/sha.h>.
 * Not: read or write sockets, know what the messages mean.
 *
 * Own code, for it is small: the kept library (wslay) collects whole messages in memory of its own and has no compression; a tunnel needs
 * neither. Only what browsers send is accepted: masked frames, each one a whole message, at most WEBSOCKET_MOST bytes. */
#ifndef T2M_WEBSOCKET_H
#define T2M_WEBSOCKET_H

#include "codecs/record/bytes.h"

#define WEBSOCKET_MOST 65536
#define WEBSOCKET_HEAD_MOST 14 /* bytes in front of a frame's payload that comes in */
#define WEBSOCKET_HEAD_OUT 4   /* of one that goes out, with at most 65535 bytes */
#define WEBSOCKET_KEY_MOST 32

enum websocket_kind {
	WEBSOCKET_BINARY = 2,
	WEBSOCKET_CLOSE = 8,
	WEBSOCKET_PING = 9,
	WEBSOCKET_PONG = 10,
};

/* Codes of a close frame. */
enum websocket_end {
	WEBSOCKET_NORMAL = 1000,
	WEBSOCKET_AWAY = 1001,
	WEBSOCKET_FAULT = 1002,
	WEBSOCKET_NO_TEXT = 1003,
	WEBSOCKET_REFUSED = 1008,
	WEBSOCKET_TOO_LARGE = 1009,
	WEBSOCKET_LATER = 1013,
};

struct websocket_head {
	enum websocket_kind kind;
	bool packed; /* compressed: see deflate.h */
	uint8_t mask[4];
	size_t size, len; /* of the head, and of the payload behind it */
};

/* Reads the head of a frame. 0: `out` is filled; -1: more bytes are needed; else the code with which the connection has to end.
 * `may_pack`: compression was agreed. */
int websocket_read(struct span bytes, bool may_pack, struct websocket_head *out);
/* Takes the mask off `len` bytes of payload. */
void websocket_unmask(const struct websocket_head *head, uint8_t *bytes, size_t len);
/* Writes the head of a frame that goes out, unmasked; returns its size, 2 or WEBSOCKET_HEAD_OUT. `len` is at most 65535. */
size_t websocket_write(enum websocket_kind kind, bool packed, size_t len, uint8_t out[WEBSOCKET_HEAD_OUT]);
/* The value of Sec-WebSocket-Accept. False: `key` is none. */
bool websocket_accept(const char *key, char out[WEBSOCKET_KEY_MOST]);

#endif
