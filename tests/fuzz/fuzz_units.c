/* fuzz_units: arbitrary bytes as a units file. */
#include "file.h"
#include "bridge/base/topic.h"
#include "bridge/units/units.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct codec_options general = {.jt808_utc_offset_s = 28800};
	struct units *units = units_open(fuzz_file(data, size), fuzz_null());
	if (units == NULL)
		return 0;
	units_use(units, &general, H02_ACK_AUTO);
	const struct unit_info *u = units_find_topic(units, span_text("van-12"));
	assert(u == NULL || topic_ident_ok(span_text(u->ident)));
	units_free(units);
	return 0;
}
