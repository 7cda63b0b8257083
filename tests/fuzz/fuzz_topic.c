// SPDX-License-Identifier: MIT
/* fuzz_topic: arbitrary bytes as a topic, and as a command. */
#include "codecs/record/command.h"
#include "bridge/base/topic.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span ident;
	if (topic_parse_unit("trackers", span_of(data, size), "cmd", &ident))
		assert(ident.len >= 1 && ident.len <= 60 && memchr(ident.ptr, '/', ident.len) == NULL);
	char why[200];
	const struct command_marks marks = {.frame = "*#$", .field = ", "};
	if (command_check_text(span_of(data, size), 900, &marks, why, sizeof(why)) == NULL)
		for (size_t i = 0; i < size; i++)
			assert(data[i] >= 0x20 && data[i] < 0x7f && data[i] != '#' && data[i] != '*' &&
				data[i] != '$');
	return 0;
}
