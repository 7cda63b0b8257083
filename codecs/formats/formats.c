// SPDX-License-Identifier: MIT
/* formats: the table of formats; see emit.h.
 * Uses: codecs/record. */
#include "codecs/record/emit.h"

const struct emit_format *emit_format_find(const char *name)
{
	static const struct emit_format *const formats[] = {&emit_json, &emit_msgpack};
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (strcmp(formats[i]->name, name) == 0)
			return formats[i];
	return NULL;
}
