// SPDX-License-Identifier: MIT
/* fuzz_proxy: arbitrary bytes as a PROXY header, also cut anywhere. */
#include "bridge/peers/proxy.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
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
		assert(n <= PROXY_HEADER_MAX || status != PROXY_MORE);
		if (status == PROXY_MORE)
			continue;
		assert(status == PROXY_BAD || (len > 0 && len <= n));
		address_port_text(&peer, text);
		break;
	}
	return 0;
}
