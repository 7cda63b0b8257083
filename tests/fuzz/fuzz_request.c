// SPDX-License-Identifier: MIT
/* fuzz_request: arbitrary bytes as a command, for a unit of each protocol, down to the frame. */
#include "bridge/commands/request.h"

#include <assert.h>

static void encode(const struct codec *codec, const struct request *r)
{
	uint8_t frame[4096];
	struct codec_unit unit = {.ident = "9170503816"};
	struct codec_link link = {.now_ms = 1800000000000, .unit = &unit};
	struct writer w = writer_of(frame, sizeof(frame));
	struct command_token token;
	enum codec_status status = codec->encode(&link, &r->command, &w, &token);
	assert(status == CODEC_OK || status == CODEC_NO_ROOM);
	assert(status != CODEC_OK || (w.len > 0 && !w.full));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char why[400];
	for (const struct codec *const *c = codecs; *c != NULL; c++) {
		struct request r;
		if (request_parse(&r, span_of(data, size), why, sizeof(why)) != NULL)
			return 0;
		if (request_resolve(&r, *c, why, sizeof(why)) == NULL)
			encode(*c, &r);
		request_free(&r);
	}
	return 0;
}
