// SPDX-License-Identifier: MIT
/* bytes: spans, a bounds-checked reader and a bounds-checked writer.
 * Uses: nothing else.
 * Not: allocate, print, know any protocol.
 *
 * Errors are sticky: a read past the end gives 0 and sets `.bad`, a write past the end writes nothing
 * and sets `.full`; so do all that follow. It is enough to ask once, at the end. Numbers of several bytes are big endian. */
#ifndef T2M_BYTES_H
#define T2M_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes owned by somebody else. `ptr` may be NULL only when `len` is 0. */
struct span {
	const uint8_t *ptr;
	size_t len;
};

static inline struct span span_of(const void *ptr, size_t len)
{
	return (struct span){.ptr = ptr, .len = len};
}

static inline struct span span_text(const char *text)
{
	return span_of(text, strlen(text));
}

static inline bool span_is(struct span s, const char *text)
{
	size_t len = strlen(text);
	return s.len == len && (len == 0 || memcmp(s.ptr, text, len) == 0);
}

/* Everything but the first `n` bytes; empty when there are no more. */
static inline struct span span_after(struct span s, size_t n)
{
	if (n >= s.len)
		return span_of(NULL, 0);
	return span_of(s.ptr + n, s.len - n);
}

/* `len` bytes from `at` on; empty when there are not so many. */
static inline struct span span_part(struct span s, size_t at, size_t len)
{
	if (len == 0 || at > s.len || len > s.len - at)
		return span_of(NULL, 0);
	return span_of(s.ptr + at, len);
}

/* Copies a text into an array of `size` bytes, cut so that a NUL fits behind it. */
static inline void span_copy(struct span s, char *to, size_t size)
{
	size_t n = s.len < size - 1 ? s.len : size - 1;
	if (n > 0)
		memcpy(to, s.ptr, n);
	to[n] = '\0';
}

static inline bool byte_is_nul(uint8_t c)
{
	return c == 0;
}

/* Between words of a line, and at its end. */
static inline bool byte_is_blank(uint8_t c)
{
	return c <= ' ' && (c == ' ' || c == '\t' || c == '\r' || c == '\n');
}

static inline bool byte_is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static inline bool byte_is_alnum(uint8_t c)
{
	return byte_is_digit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* The value of a hex digit, or -1. */
static inline int byte_hex(uint8_t c)
{
	if (byte_is_digit(c))
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* The number that two decimal digits in one byte mean (BCD); nonsense when span_is_bcd says no. */
static inline int byte_bcd(uint8_t c)
{
	return (c >> 4) * 10 + (c & 15);
}

/* Eight times the byte: what is done to such a number is done to eight bytes at once. */
#define EIGHT(byte) (UINT64_C(0x0101010101010101) * (byte))

/* 8 bytes as a number, the first in its lowest byte. Where there are fewer, bytes of `fill` stand behind them: all its bytes are the same. */
static inline uint64_t bytes_word(const uint8_t *ptr, size_t len, uint64_t fill)
{
	uint64_t v = fill;
	if (len >= sizeof(v))
		memcpy(&v, ptr, sizeof(v));
	else
		memcpy(&v, ptr, len);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	return v;
}

/* 8 bytes as a number, the first in its highest byte. */
static inline uint64_t bytes_big(const uint8_t *ptr)
{
	return __builtin_bswap64(bytes_word(ptr, 8, 0));
}

/* Writes the 8 bytes of a number, the lowest first. */
static inline void bytes_word_put(uint8_t *at, uint64_t v)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	memcpy(at, &v, sizeof(v));
}

/* Has each of eight bytes two decimal digits? A half byte over 9 has bit 3, and bit 2 or bit 1. */
static inline bool word_is_bcd(uint64_t v)
{
	return (v & (v << 1 | v << 2) & EIGHT(0x88)) == 0;
}

/* The number that each of eight bytes means then. */
static inline uint64_t word_bcd(uint64_t v)
{
	return (v & EIGHT(15)) + (v >> 4 & EIGHT(15)) * 10;
}

/* Is each of eight bytes a decimal digit, as text? */
static inline bool word_is_digits(uint64_t v)
{
	return ((v | (v - EIGHT('0')) | (v + EIGHT(0x7f - '9'))) & EIGHT(0x80)) == 0;
}

/* Has each byte two decimal digits? */
static inline bool span_is_bcd(struct span s)
{
	for (size_t i = 0; i < s.len; i += 8)
		if (!word_is_bcd(bytes_word(s.ptr + i, s.len - i, 0)))
			return false;
	return true;
}

static inline bool span_all(struct span s, bool (*test)(uint8_t))
{
	for (size_t i = 0; i < s.len; i++)
		if (!test(s.ptr[i]))
			return false;
	return true;
}

/* `min` to `max` decimal digits and nothing else? */
static inline bool span_is_digits(struct span s, size_t min, size_t max)
{
	if (s.len < min || s.len > max)
		return false;
	for (; s.len >= 8; s = span_of(s.ptr + 8, s.len - 8))
		if (!word_is_digits(bytes_word(s.ptr, 8, 0)))
			return false;
	return span_all(s, byte_is_digit);
}

/* Without the bytes at both ends that pass the test. */
static inline struct span span_trim(struct span s, bool (*test)(uint8_t))
{
	while (s.len > 0 && test(s.ptr[0]))
		s = span_of(s.ptr + 1, s.len - 1);
	while (s.len > 0 && test(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

struct reader {
	struct span in;
	size_t pos;
	bool bad;
};

static inline struct reader reader_of(struct span in)
{
	return (struct reader){.in = in};
}

static inline size_t reader_left(const struct reader *r)
{
	return r->bad ? 0 : r->in.len - r->pos;
}

/* The next `n` bytes; an empty span, and `.bad`, when there are fewer. */
static inline struct span reader_take(struct reader *r, size_t n)
{
	if (r->bad || n > r->in.len - r->pos) {
		r->bad = true;
		return span_of(NULL, 0);
	}
	struct span s = span_of(n > 0 ? r->in.ptr + r->pos : NULL, n);
	r->pos += n;
	return s;
}

/* The `n` bytes that were read last; empty when there were fewer. */
static inline struct span reader_last(const struct reader *r, size_t n)
{
	return r->bad ? span_of(NULL, 0) : span_part(r->in, r->pos - n, n);
}

/* The next 1 to 4 bytes as a number. */
static inline uint32_t reader_uint(struct reader *r, size_t bytes)
{
	if (r->bad || bytes > r->in.len - r->pos) {
		r->bad = true;
		return 0;
	}
	uint32_t v = 0;
	for (size_t i = 0; i < bytes; i++)
		v = v << 8 | r->in.ptr[r->pos + i];
	r->pos += bytes;
	return v;
}

static inline uint8_t reader_u8(struct reader *r)
{
	return (uint8_t)reader_uint(r, 1);
}

/* Without a loop: one load, as compilers see it. */
static inline uint16_t reader_u16(struct reader *r)
{
	const uint8_t *c = reader_take(r, 2).ptr;
	return c == NULL ? 0 : (uint16_t)(c[0] << 8 | c[1]);
}

static inline uint32_t reader_u32(struct reader *r)
{
	const uint8_t *c = reader_take(r, 4).ptr;
	return c == NULL ? 0 : (uint32_t)c[0] << 24 | (uint32_t)c[1] << 16 | (uint32_t)c[2] << 8 | c[3];
}

static inline uint64_t reader_u64(struct reader *r)
{
	uint64_t high = reader_u32(r);
	return high << 32 | reader_u32(r);
}

/* What writer_counted wrote. */
static inline struct span reader_counted(struct reader *r)
{
	return reader_take(r, reader_u16(r));
}

struct writer {
	uint8_t *ptr;
	size_t cap, len;
	bool full;
};

static inline struct writer writer_of(void *ptr, size_t cap)
{
	return (struct writer){.ptr = ptr, .cap = cap};
}

static inline struct span writer_span(const struct writer *w)
{
	return span_of(w->ptr, w->len);
}

static inline void writer_bytes(struct writer *w, const void *ptr, size_t len)
{
	if (w->full || len > w->cap - w->len) {
		w->full = true;
		return;
	}
	if (len > 0)
		memcpy(w->ptr + w->len, ptr, len);
	w->len += len;
}

#define WRITER_SHORT 48

/* Writes `s`, faster when it is short. WRITER_SHORT bytes must be readable from s.ptr on, whatever s.len is. */
static inline void writer_short(struct writer *w, struct span s)
{
	if (s.len > WRITER_SHORT || w->full || w->cap - w->len < WRITER_SHORT) {
		writer_bytes(w, s.ptr, s.len);
		return;
	}
	memcpy(w->ptr + w->len, s.ptr, WRITER_SHORT); /* a constant size: a few instructions, no call */
	w->len += s.len;
}

static inline void writer_u8(struct writer *w, uint8_t byte)
{
	if (w->full || w->len >= w->cap) {
		w->full = true;
		return;
	}
	w->ptr[w->len++] = byte;
}

static inline void writer_u16(struct writer *w, uint16_t v)
{
	writer_u8(w, (uint8_t)(v >> 8));
	writer_u8(w, (uint8_t)v);
}

static inline void writer_u32(struct writer *w, uint32_t v)
{
	writer_u16(w, (uint16_t)(v >> 16));
	writer_u16(w, (uint16_t)v);
}

static inline void writer_u64(struct writer *w, uint64_t v)
{
	writer_u32(w, (uint32_t)(v >> 32));
	writer_u32(w, (uint32_t)v);
}

static inline void writer_span_put(struct writer *w, struct span s)
{
	writer_bytes(w, s.ptr, s.len);
}

/* Behind its length in two bytes; at most 65,535. */
static inline void writer_counted(struct writer *w, struct span s)
{
	writer_u16(w, (uint16_t)s.len);
	writer_span_put(w, s);
}

static inline void writer_text(struct writer *w, const char *text)
{
	writer_bytes(w, text, strlen(text));
}

/* 10^n; n: 0 to 9. */
static inline int64_t power10(unsigned n)
{
	static const int64_t powers[] = {
		1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000};
	return powers[n];
}

/* Of four numbers below 100, each in 16 bits, the eight decimal digits, one in each byte, the first in the lowest: q + (v - q * n << bits)
 * puts quotient and rest beside each other, of all at once. 103 / 2^10 stands for 1 / 10. */
static inline uint64_t decimal_pairs(uint64_t pairs)
{
	uint64_t q = pairs * 103 >> 10 & 0x000f000f000f000f;
	return (pairs << 8) - q * ((10 << 8) - 1);
}

/* The same of a number below 10^8. Halves of four digits are made of it, and pairs of these. 5243 / 2^19 stands for 1 / 100. */
static inline uint64_t decimal_split(uint32_t v)
{
	uint64_t q = v / 10000;
	uint64_t halves = ((uint64_t)v << 32) - q * ((UINT64_C(10000) << 32) - 1);
	q = halves * 5243 >> 19 & 0x7f0000007f;
	return decimal_pairs((halves << 16) - q * ((100 << 16) - 1));
}

#define DECIMAL_ROOM 20
/* Writes the number and returns its end. DECIMAL_ROOM bytes must be writable; those behind the end change, too. */
static inline uint8_t *decimal_put(uint8_t *at, uint64_t v)
{
	const uint32_t eight = 100000000;
	uint32_t behind[2]; /* eight digits each, the last ones first */
	size_t n = 0;
	for (; v >= eight; v /= eight)
		behind[n++] = (uint32_t)(v % eight);
	if (v < 100) {
		*at = (uint8_t)('0' + v / 10);
		at += v >= 10;
		*at++ = (uint8_t)('0' + v % 10);
	} else {
		uint64_t digits = decimal_split((uint32_t)v);
		unsigned zeros = (unsigned)__builtin_ctzll(digits) / 8;
		bytes_word_put(at, (digits | EIGHT('0')) >> 8 * zeros);
		at += 8 - zeros;
	}
	for (; n > 0; at += 8)
		bytes_word_put(at, decimal_split(behind[--n]) | EIGHT('0'));
	return at;
}

/* A decimal number, with zeros in front up to `digits` digits, 20 at the most. */
static inline void writer_decimal(struct writer *w, uint64_t v, unsigned digits)
{
	uint8_t buf[20 + DECIMAL_ROOM];
	uint8_t *from = buf + 20, *end = decimal_put(from, v);
	memset(buf, '0', 20);
	if (end - from < (ptrdiff_t)digits)
		from = end - (digits < 20 ? digits : 20);
	writer_bytes(w, from, (size_t)(end - from));
}

/* Each byte as two upper-case hex digits; all of them or none. */
static inline void writer_hex(struct writer *w, struct span s)
{
	static const char digits[] = "0123456789ABCDEF";
	if (w->full || s.len > (w->cap - w->len) / 2) {
		w->full = true;
		return;
	}
	uint8_t *to = w->ptr + w->len;
	for (size_t i = 0; i < s.len; i++) {
		*to++ = (uint8_t)digits[s.ptr[i] >> 4];
		*to++ = (uint8_t)digits[s.ptr[i] & 15];
	}
	w->len += 2 * s.len;
}

/* The eight half bytes of a number, one in each byte, the first in the lowest. */
static inline uint64_t half_bytes(uint32_t v)
{
	uint64_t x = v >> 16 | (uint64_t)(v & 0xffff) << 32;
	x = (x >> 8 & 0x000000ff000000ff) | (x & 0x000000ff000000ff) << 16;
	return (x >> 4 & 0x000f000f000f000f) | (x & 0x000f000f000f000f) << 8;
}

/* A number as eight upper-case hex digits, one in each byte, the first in the lowest. */
static inline uint64_t hex_text(uint32_t v)
{
	uint64_t x = half_bytes(v);
	uint64_t letters = (x + EIGHT(6)) >> 4 & EIGHT(1);
	return x + EIGHT('0') + letters * ('A' - '9' - 1);
}

/* The way back; false: they are no hex digits, of either case. */
static inline bool hex_number(uint64_t text, uint32_t *v)
{
	uint64_t x = (text & EIGHT(0xf)) + (text >> 6 & EIGHT(1)) * 9;
	x = (x << 4 | x >> 8) & 0x00ff00ff00ff00ff;
	x = (x << 8 | x >> 16) & 0x0000ffff0000ffff;
	*v = (uint32_t)(x << 16 | x >> 32);
	return hex_text(*v) == (text & ~(text >> 1 & EIGHT(0x20)));
}

/* A number as exactly `digits` upper-case hex digits: 2, 4, 6 or 8. */
static inline void writer_hex_number(struct writer *w, uint32_t v, unsigned digits)
{
	uint8_t text[8];
	bytes_word_put(text, hex_text(v) >> 8 * (8 - digits));
	writer_bytes(w, text, digits);
}

/* The same behind "0x", as ids of messages, items and parameters are shown. */
static inline void writer_id(struct writer *w, uint32_t id, unsigned digits)
{
	writer_text(w, "0x");
	writer_hex_number(w, id, digits);
}

#endif
