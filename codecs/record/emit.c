// SPDX-License-Identifier: MIT
/* emit: what is UTF-8; see emit.h. The formats are in codecs/formats. */
#include "codecs/record/emit.h"

size_t emit_utf8_length(struct span s)
{
	if (s.len == 0)
		return 0;
	uint8_t c = s.ptr[0];
	if (c < 0x80)
		return 1;
	size_t n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
	if (c < 0xc2 || c > 0xf4 || s.len < n)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s.ptr[i] & 0xc0) != 0x80)
			return 0;
	uint8_t d = s.ptr[1];
	bool overlong = (c == 0xe0 && d < 0xa0) || (c == 0xf0 && d < 0x90);
	bool outside = (c == 0xed && d > 0x9f) || (c == 0xf4 && d > 0x8f);
	return overlong || outside ? 0 : n;
}

bool emit_is_utf8(struct span s)
{
	for (size_t i = 0; i < s.len;) {
		size_t n = emit_utf8_length(span_after(s, i));
		if (n == 0)
			return false;
		i += n;
	}
	return true;
}
