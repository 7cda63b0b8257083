// SPDX-License-Identifier: MIT
/* fuzz_decode: any bytes as a file for tracker2mqtt-decode, each kind of it, printed for programs and for people. The first byte of the
 * input says how. */
#include "bridge/decode/input.h"
#include "bridge/units/gbk.h"
#include "tests/fuzz/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const kinds[] = {
		"auto", "auto", "auto", "pcap", "raw", "traccar", "json", "log", "hex", "text"};
	static bool once;
	if (!once)
		once = gbk_open();
	if (size < 2)
		return 0;
	struct input_options input = {.now_ms = 1800000000000, .port = data[0] & 0x80 ? 8888 : 0};
	const struct decoder_options options = {.format = &emit_json,
		.explain = data[0] & 1,
		.pretty = data[0] & 2,
		.ident = data[0] & 4 ? "1234567890" : NULL,
		.out = fuzz_null(),
		.err = fuzz_null()};
	if (!input_kind_find(kinds[(data[0] >> 3 & 15) % 10], &input))
		abort();
	static struct decoder *decoders[8]; /* some runs share one: to make it takes longer than a run */
	static unsigned runs;
	struct decoder **d = &decoders[data[0] & 7];
	if (++runs % 256 == 0)
		for (size_t i = 0; i < 8; i++) {
			if (decoders[i] != NULL)
				decoder_close(decoders[i]);
			decoders[i] = NULL;
		}
	if (*d == NULL)
		*d = decoder_open(&options);
	FILE *f = fopen(fuzz_file(data + 1, size - 1), "rb");
	if (f == NULL || *d == NULL)
		abort();
	input_read(*d, &input, "fuzz", f);
	fclose(f);
	return 0;
}
