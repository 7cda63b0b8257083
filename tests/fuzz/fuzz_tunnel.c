// SPDX-License-Identifier: MIT
/* fuzz_tunnel: what a browser may send: frames, compressed or not, and the first packet in them; and an offer of compression. */
#include "bridge/web/deflate.h"
#include "bridge/web/first_packet.h"
#include "bridge/web/websocket.h"

#include <assert.h>
#include <stdlib.h>

#define ROOM 4096

/* A stream of frames, as the tunnel takes them. */
static void take_frames(uint8_t *bytes, size_t size, struct deflate *d)
{
	static uint8_t up[ROOM];
	struct writer w = writer_of(up, sizeof(up));
	struct websocket_head head;
	while (websocket_read(span_of(bytes, size), true, &head) == 0 && head.size + head.len <= size) {
		struct first_names names;
		struct span message = span_of(bytes + head.size, head.len);
		assert(head.len <= WEBSOCKET_MOST);
		websocket_unmask(&head, bytes + head.size, head.len);
		if (head.packed ? !deflate_unpack(d, message, &w) : (writer_span_put(&w, message), w.full))
			return;
		assert(w.len <= sizeof(up));
		enum first_packet first = first_packet(writer_span(&w), &names);
		assert(first != FIRST_NAMED ||
			(names.user.ptr > up && names.user.ptr + names.user.len <= up + w.len));
		assert(names.client.len == 0 ||
			(names.client.ptr > up && names.client.ptr + names.client.len <= up + w.len));
		bytes += head.size + head.len;
		size -= head.size + head.len;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct deflate *d = deflate_open();
	uint8_t *bytes = malloc(size + 1); /* its end is guarded by the sanitizer */
	char accept[WEBSOCKET_KEY_MOST];
	const char *answer;
	struct first_names names;
	unsigned code;
	if (d == NULL || bytes == NULL)
		abort();
	if (size > 0)
		memcpy(bytes, data, size);
	bytes[size] = 0;
	deflate_agreed((char *)bytes, &answer);
	websocket_accept((char *)bytes, accept);
	first_packet(span_of(data, size), &names);
	first_answer(span_of(data, size), &code);
	take_frames(bytes, size, d);
	free(bytes);
	deflate_free(d);
	return 0;
}
