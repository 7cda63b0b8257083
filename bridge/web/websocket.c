// SPDX-License-Identifier: MIT
/* websocket: see websocket.h. */
#include "bridge/web/websocket.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

#define FINAL 0x80
#define PACKED 0x40 /* RSV1 */
#define RESERVED 0x30
#define MASKED 0x80
#define CONTROL 0x08
#define CONTROL_MOST 125
#define KEY_BYTES 24 /* base64 of 16 bytes */
static const char GUID[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/* 0: the first two bytes begin a frame that is accepted. */
static int check(uint8_t first, uint8_t second, bool may_pack)
{
	uint8_t kind = first & 15;
	bool control = (kind & CONTROL) != 0, packed = (first & PACKED) != 0;
	if (!(second & MASKED) || !(first & FINAL) || (first & RESERVED) || (packed && (control || !may_pack)))
		return WEBSOCKET_FAULT;
	switch (kind) {
	case WEBSOCKET_BINARY:
		return 0;
	case WEBSOCKET_CLOSE:
	case WEBSOCKET_PING:
	case WEBSOCKET_PONG:
		return (second & 127) > CONTROL_MOST ? WEBSOCKET_FAULT : 0;
	case 1:
		return WEBSOCKET_NO_TEXT;
	default: /* a continuation, or none of the standard's */
		return WEBSOCKET_FAULT;
	}
}

int websocket_read(struct span bytes, bool may_pack, struct websocket_head *out)
{
	struct reader r = reader_of(bytes);
	uint8_t first = reader_u8(&r), second = reader_u8(&r);
	if (r.bad)
		return -1;
	int fault = check(first, second, may_pack);
	if (fault != 0)
		return fault;
	uint64_t len = second & 127;
	if (len == 126)
		len = reader_u16(&r);
	else if (len == 127)
		len = reader_u64(&r);
	struct span mask = reader_take(&r, 4);
	if (!r.bad && len > WEBSOCKET_MOST)
		return WEBSOCKET_TOO_LARGE;
	if (r.bad)
		return -1;
	*out = (struct websocket_head){.kind = (enum websocket_kind)(first & 15),
		.packed = (first & PACKED) != 0,
		.size = r.pos,
		.len = (size_t)len};
	memcpy(out->mask, mask.ptr, 4);
	return 0;
}

void websocket_unmask(const struct websocket_head *head, uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] ^= head->mask[i % 4];
}

size_t websocket_write(enum websocket_kind kind, bool packed, size_t len, uint8_t out[WEBSOCKET_HEAD_OUT])
{
	bool small = len <= CONTROL_MOST;
	out[0] = (uint8_t)(FINAL | (packed ? PACKED : 0) | (uint8_t)kind);
	out[1] = (uint8_t)(small ? len : 126);
	out[2] = (uint8_t)(len >> 8);
	out[3] = (uint8_t)len;
	return small ? 2 : WEBSOCKET_HEAD_OUT;
}

bool websocket_accept(const char *key, char out[WEBSOCKET_KEY_MOST])
{
	char text[KEY_BYTES + sizeof(GUID)];
	uint8_t sum[SHA_DIGEST_LENGTH];
	if (key == NULL || strlen(key) != KEY_BYTES)
		return false;
	memcpy(text, key, KEY_BYTES);
	memcpy(text + KEY_BYTES, GUID, sizeof(GUID));
	SHA1((const uint8_t *)text, KEY_BYTES + sizeof(GUID) - 1, sum);
	EVP_EncodeBlock((uint8_t *)out, sum, sizeof(sum));
	return true;
}
