// SPDX-License-Identifier: MIT
/* fuzz_proxy: arbitrary bytes as a PROXY header, also cut anywhere; and as datagrams of a proxy, one behind the other. */
#include "bridge/peers/proxy.h"
#include "bridge/peers/ways.h"

#include <assert.h>
#include <stdlib.h>

#define PORTS 4
#define MOST 3

static void as_stream(const uint8_t *data, size_t size)
{
	for (size_t n = 1; n <= size && n <= PROXY_HEADER_MAX + 1; n++) {
		uint8_t *bytes = malloc(n); /* its end is guarded by the sanitizer */
		union address peer;
		char text[ADDRESS_TEXT_MAX];
		size_t len = 0;
		memset(&peer, 0, sizeof(peer));
		memcpy(bytes, data, n);
		enum proxy_status status = proxy_parse(span_of(bytes, n), &len, &peer);
		free(bytes);
		assert(status != PROXY_NONE);
		assert(n <= PROXY_HEADER_MAX || status != PROXY_MORE);
		if (status == PROXY_MORE)
			continue;
		assert(status == PROXY_BAD || (len > 0 && len <= n));
		address_port_text(&peer, text);
		break;
	}
}

/* Byte 0: the proxy's port, and how much time has passed. What the proxy said last for a port holds, as long as few ports are used. */
static void datagram(struct ways *ways, union address said[PORTS], uint8_t which, const uint8_t *data,
	size_t size, int64_t now)
{
	uint8_t *bytes = malloc(size + 1);
	union address proxy, peer, found;
	size_t len = 0;
	if (bytes == NULL)
		abort();
	if (size > 0)
		memcpy(bytes, data, size);
	memset(&proxy, 0, sizeof(proxy));
	proxy.in4.sin_family = AF_INET;
	proxy.in4.sin_port = htons(which % PORTS);
	peer = found = proxy;
	enum proxy_status status = proxy_parse_datagram(span_of(bytes, size), &len, &peer);
	free(bytes);
	assert(status == PROXY_OK || status == PROXY_BAD || status == PROXY_NONE);
	if (status != PROXY_OK) {
		assert(memcmp(&peer, &proxy, sizeof(peer)) == 0);
		bool named = status == PROXY_NONE && ways_use(ways, 7, &proxy, &found, now);
		assert(!named || memcmp(&found, &said[which % PORTS], sizeof(found)) == 0);
		return;
	}
	assert(len > 0 && len <= size);
	said[which % PORTS] = peer;
	if (memcmp(&peer, &proxy, sizeof(peer)) == 0)
		ways_forget(ways, 7, &proxy);
	else
		assert(ways_name(ways, 7, &proxy, &peer, MOST, now));
	assert(ways->count <= MOST);
	bool named = ways_use(ways, 7, &proxy, &found, now);
	assert(named == (memcmp(&peer, &proxy, sizeof(peer)) != 0));
	assert(memcmp(&found, &peer, sizeof(found)) == 0);
	assert(!ways_use(ways, 8, &proxy, &found, now));
}

/* PORT LENGTH BYTES, PORT LENGTH BYTES, ... */
static void as_datagrams(const uint8_t *data, size_t size)
{
	struct ways ways = {0};
	union address said[PORTS];
	memset(said, 0, sizeof(said));
	int64_t now = 1;
	while (size >= 2) {
		uint8_t which = data[0];
		size_t len = data[1] < size - 2 ? data[1] : size - 2;
		now += which >> 4;
		datagram(&ways, said, which, data + 2, len, now);
		ways_expire(&ways, now - 100);
		data += 2 + len;
		size -= 2 + len;
	}
	ways_free(&ways);
	assert(ways.count == 0 && ways.by_key == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	as_stream(data, size);
	as_datagrams(data, size);
	return 0;
}
