// SPDX-License-Identifier: MIT
/* fuzz_units: arbitrary bytes as a units file. */
#include "file.h"
#include "bridge/base/topic.h"
#include "bridge/units/units.h"

#include <assert.h>

/* A unit's options are the general ones but for what may be set per unit. */
static void check_options(const struct unit_info *u, const struct codec *codec, const char *general)
{
	const char *own = unit_options(u, codec);
	for (const struct option_row *row = codec->options; own != NULL && row->key != NULL; row++)
		assert((row->flags & OPTION_PER_UNIT) ||
			memcmp(own + row->offset, general + row->offset, option_size(row)) == 0);
	assert(own != NULL || !unit_has_own_answers(u, codec));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct codec_settings *general;
	if (general == NULL)
		general = codec_settings_open();
	struct units *units = units_open(fuzz_file(data, size), fuzz_null());
	if (units == NULL)
		return 0;
	units_use(units, general);
	const struct unit_info *u = units_find_topic(units, span_text("van-12"));
	assert(u == NULL || topic_ident_ok(span_text(u->ident)));
	for (const struct codec *const *c = codecs; u != NULL && *c != NULL; c++)
		check_options(u, *c, codec_settings_of(general, *c));
	units_free(units);
	return 0;
}
