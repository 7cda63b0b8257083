/* store_keys: which of two keys of the store's file comes first.
 * Uses: codecs/record. */
#ifndef T2M_STORE_KEYS_H
#define T2M_STORE_KEYS_H

#include "codecs/record/bytes.h"

/* As LMDB orders them. `integers`: both are numbers of 4 or 8 bytes. Below 0, 0 or above 0. */
static inline int store_compare_keys(bool integers, struct span a, struct span b)
{
	if (integers && a.len == sizeof(uint64_t)) {
		uint64_t x, y;
		memcpy(&x, a.ptr, sizeof(x));
		memcpy(&y, b.ptr, sizeof(y));
		return x < y ? -1 : x > y;
	}
	if (integers) {
		uint32_t x, y;
		memcpy(&x, a.ptr, sizeof(x));
		memcpy(&y, b.ptr, sizeof(y));
		return x < y ? -1 : x > y;
	}
	int order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
	return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

#endif
