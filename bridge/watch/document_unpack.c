// SPDX-License-Identifier: MIT
/* document_unpack: MessagePack as JSON. A reader of our own, for the library's can be made to reserve a gigabyte by five bytes: here
 * nothing is reserved, and what was announced but does not follow ends the reading.
 * Uses: nothing else. */
#include "bridge/watch/document.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#define DEEPEST 30

/* The size of what follows, in 1 << power bytes. */
static uint64_t sized(struct reader *in, unsigned power)
{
	return power == 3 ? reader_u64(in) : reader_uint(in, (size_t)1 << power);
}

static void put_double(double v, FILE *out)
{
	char buf[40];
	snprintf(buf, sizeof(buf), "%.15g", v);
	if (strtod(buf, NULL) != v)
		snprintf(buf, sizeof(buf), "%.17g", v);
	fputs(isfinite(v) ? buf : "null", out); /* JSON has no other number */
}

static void put_real(struct reader *in, unsigned power, FILE *out)
{
	union {
		uint32_t bits;
		float value;
	} narrow;
	union {
		uint64_t bits;
		double value;
	} wide;
	if (power == 2) {
		narrow.bits = reader_u32(in);
		put_double((double)narrow.value, out);
	} else {
		wide.bits = reader_u64(in);
		put_double(wide.value, out);
	}
}

static void put_signed(struct reader *in, unsigned power, FILE *out)
{
	uint64_t bits = sized(in, power), sign = UINT64_C(1) << ((8u << power) - 1);
	fprintf(out, "%" PRId64, (int64_t)((bits ^ sign) - sign));
}

/* A length that no memory of this machine has is too much, as one that is more than what is left. */
static struct span take(struct reader *in, uint64_t len)
{
	return reader_take(in, len < SIZE_MAX ? (size_t)len : SIZE_MAX);
}

static void put_text(struct reader *in, uint64_t len, FILE *out)
{
	const struct screen plain = {.utf8 = true};
	screen_json(&plain, take(in, len), out);
}

/* Bytes, and values of kinds that only some programs know: as hex. */
static void put_hex(struct reader *in, uint64_t len, FILE *out)
{
	struct span bytes = take(in, len);
	putc('"', out);
	for (size_t i = 0; i < bytes.len; i++)
		fprintf(out, "%02X", bytes.ptr[i]);
	putc('"', out);
}

/* In JSON a key is a text: others are written as one. */
static bool put_key(struct reader *in, unsigned depth, FILE *out)
{
	uint8_t first = reader_left(in) > 0 ? in->in.ptr[in->pos] : 0xc1;
	bool text = (first & 0xe0) == 0xa0 || (first >= 0xd9 && first <= 0xdb) ||
		    (first >= 0xc4 && first <= 0xc9) || (first >= 0xd4 && first <= 0xd8);
	bool container = (first & 0xe0) == 0x80 || (first >= 0xdc && first <= 0xdf);
	if (container)
		return false;
	if (!text)
		putc('"', out);
	bool ok = document_unpack(in, depth, out);
	if (!text)
		putc('"', out);
	return ok;
}

static bool put_many(struct reader *in, uint64_t count, bool map, unsigned depth, FILE *out)
{
	if (depth >= DEEPEST)
		return false;
	putc(map ? '{' : '[', out);
	for (uint64_t i = 0; i < count; i++) {
		if (i > 0)
			putc(',', out);
		if (map && !put_key(in, depth + 1, out))
			return false;
		if (map)
			putc(':', out);
		if (!document_unpack(in, depth + 1, out))
			return false;
	}
	putc(map ? '}' : ']', out);
	return true;
}

/* The kinds that begin with a byte from 0xc0 to 0xdf. */
static bool put_kind(struct reader *in, uint8_t kind, unsigned depth, FILE *out)
{
	if (kind == 0xc0)
		fputs("null", out);
	else if (kind == 0xc2 || kind == 0xc3)
		fputs(kind == 0xc3 ? "true" : "false", out);
	else if (kind >= 0xc4 && kind <= 0xc6)
		put_hex(in, sized(in, kind - 0xc4u), out);
	else if (kind >= 0xc7 && kind <= 0xc9)
		put_hex(in, sized(in, kind - 0xc7u) + 1, out); /* its kind, then its bytes */
	else if (kind == 0xca || kind == 0xcb)
		put_real(in, kind - 0xc8u, out);
	else if (kind >= 0xcc && kind <= 0xcf)
		fprintf(out, "%" PRIu64, sized(in, kind - 0xccu));
	else if (kind >= 0xd0 && kind <= 0xd3)
		put_signed(in, kind - 0xd0u, out);
	else if (kind >= 0xd4 && kind <= 0xd8)
		put_hex(in, (UINT64_C(1) << (kind - 0xd4)) + 1, out);
	else if (kind >= 0xd9 && kind <= 0xdb)
		put_text(in, sized(in, kind - 0xd9u), out);
	else if (kind == 0xdc || kind == 0xdd)
		return put_many(in, sized(in, kind - 0xdbu), false, depth, out);
	else if (kind == 0xde || kind == 0xdf)
		return put_many(in, sized(in, kind - 0xddu), true, depth, out);
	else
		return false;
	return !in->bad;
}

bool document_unpack(struct reader *in, unsigned depth, FILE *out)
{
	uint8_t first = reader_u8(in);
	if (in->bad)
		return false;
	if (first < 0x80 || first >= 0xe0) {
		fprintf(out, "%d", first < 0x80 ? first : first - 0x100);
		return true;
	}
	if (first < 0xa0)
		return put_many(in, first & 15u, first < 0x90, depth, out);
	if (first < 0xc0) {
		put_text(in, first & 31u, out);
		return !in->bad;
	}
	return put_kind(in, first, depth, out);
}
