// SPDX-License-Identifier: MIT
/* gbk: see gbk.h. The converter is the only state: opened once, never per frame. */
#include "bridge/units/gbk.h"

#include <iconv.h>

static iconv_t converter = (iconv_t)-1;

bool gbk_open(void)
{
	converter = iconv_open("UTF-8", "GBK");
	return converter != (iconv_t)-1;
}

void gbk_close(void)
{
	if (converter != (iconv_t)-1)
		iconv_close(converter);
	converter = (iconv_t)-1;
}

void gbk_to_utf8(struct span text, struct writer *out)
{
	if (converter == (iconv_t)-1 || text.len == 0)
		return;
	char *from = (char *)(uintptr_t)text.ptr, *to = (char *)out->ptr + out->len;
	size_t from_left = text.len, to_left = out->cap - out->len, room = to_left;
	iconv(converter, NULL, NULL, NULL, NULL);
	if (iconv(converter, &from, &from_left, &to, &to_left) != (size_t)-1)
		out->len += room - to_left;
}
