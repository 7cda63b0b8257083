// SPDX-License-Identifier: MIT
/* sum: a number that tells bytes apart, in this process and later ones; FNV-1a of 64 bits.
 * Uses: codecs/record.
 * Not: stand up to somebody who chooses the bytes: for that is hash.h. */
#ifndef T2M_SUM_H
#define T2M_SUM_H

#include "codecs/record/bytes.h"

#define SUM_OF_NOTHING 0xcbf29ce484222325
#define SUM_STEP(sum, number) (((sum) ^ (number)) * 0x100000001b3)

/* The sum of what `sum` is of, and of these bytes behind it. */
static inline uint64_t sum_bytes(uint64_t sum, struct span bytes)
{
	for (size_t i = 0; i < bytes.len; i++)
		sum = SUM_STEP(sum, bytes.ptr[i]);
	return sum;
}

/* The same, where several texts stand behind one another: their lengths count. */
static inline uint64_t sum_text(uint64_t sum, struct span text)
{
	return SUM_STEP(sum_bytes(sum, text), text.len);
}

#endif
