// SPDX-License-Identifier: MIT
/* json: the JSON emitter.
 * Uses: codecs/record.
 * Not: know any field name, allocate, print. */
#include "codecs/record/walk.h"

static void before_value(struct emitter *e)
{
	if (e->after_key) {
		e->after_key = false;
		return;
	}
	uint32_t bit = 1u << e->depth;
	if (e->not_first & bit)
		writer_u8(e->out, ',');
	e->not_first |= bit;
}

static void open(struct emitter *e, bool map)
{
	before_value(e);
	writer_u8(e->out, map ? '{' : '[');
	uint32_t bit = 1u << ++e->depth;
	e->not_first &= ~bit;
	e->open_map = map ? e->open_map | bit : e->open_map & ~bit;
}

static void json_map(struct emitter *e, unsigned pairs)
{
	(void)pairs;
	open(e, true);
}

static void json_array(struct emitter *e, unsigned items)
{
	(void)items;
	open(e, false);
}

static void json_end(struct emitter *e)
{
	writer_u8(e->out, e->open_map & (1u << e->depth) ? '}' : ']');
	e->depth--;
}

static void json_boolean(struct emitter *e, bool v)
{
	before_value(e);
	writer_bytes(e->out, v ? "true" : "false", v ? 4 : 5);
}

static inline uint8_t *json_number(uint8_t *at, int64_t number, unsigned decimals)
{
	uint64_t whole = number < 0 ? 0 - (uint64_t)number : (uint64_t)number, fraction = 0;
	if (number < 0)
		*at++ = '-';
	if (decimals > 0) {
		uint64_t scale = (uint64_t)power10(decimals);
		fraction = whole % scale;
		whole /= scale;
	}
	at = decimal_put(at, whole);
	if (fraction == 0)
		return at;
	uint64_t digits = decimal_split((uint32_t)(fraction * (uint64_t)power10(8 - decimals)));
	*at++ = '.';
	bytes_word_put(at, digits | EIGHT('0'));
	return at + 8 - __builtin_clzll(digits) / 8; /* without the zeros at its end */
}

static void json_fixed(struct emitter *e, int64_t number, unsigned decimals)
{
	uint8_t buf[WALK_VALUE_ROOM];
	before_value(e);
	writer_bytes(e->out, buf, (size_t)(json_number(buf, number, decimals) - buf));
}

static void escape(struct writer *w, uint8_t c)
{
	static const char digits[] = "0123456789abcdef";
	switch (c) {
	case '"':
		writer_text(w, "\\\"");
		return;
	case '\\':
		writer_text(w, "\\\\");
		return;
	case '\n':
		writer_text(w, "\\n");
		return;
	case '\r':
		writer_text(w, "\\r");
		return;
	case '\t':
		writer_text(w, "\\t");
		return;
	}
	writer_text(w, "\\u00");
	writer_u8(w, (uint8_t)digits[c >> 4]);
	writer_u8(w, (uint8_t)digits[c & 15]);
}

/* May the byte stand in a JSON text as it is? ' ' to '~' but for " and \; all others are looked at one by one. */
static bool is_plain(uint8_t c)
{
	return (uint8_t)(c - 0x20) < 0x5f && c != '"' && c != '\\';
}

/* The same for eight bytes. Without the bytes from 0x80 on, a highest bit is set only where one is to be found, or behind that place. */
static bool are_plain(uint64_t v)
{
	uint64_t quote = (v ^ EIGHT('"')) - EIGHT(1), backslash = (v ^ EIGHT('\\')) - EIGHT(1);
	return ((v | (v - EIGHT(' ')) | (v + EIGHT(1)) | quote | backslash) & EIGHT(0x80)) == 0;
}

static void put_text(struct writer *w, struct span text)
{
	writer_u8(w, '"');
	size_t i = 0;
	while (i < text.len) {
		size_t run = i;
		while (run < text.len && is_plain(text.ptr[run]))
			run++;
		writer_bytes(w, text.ptr + i, run - i);
		i = run;
		if (i == text.len)
			break;
		size_t n = emit_utf8_length(span_after(text, i));
		if (n > 1) {
			writer_bytes(w, text.ptr + i, n);
			i += n;
		} else {
			escape(w, text.ptr[i++]);
		}
	}
	writer_u8(w, '"');
}

static void json_text(struct emitter *e, struct span text)
{
	before_value(e);
	put_text(e->out, text);
}

static uint8_t *json_odd_word(uint8_t *at, struct span text)
{
	struct writer w = writer_of(at, WALK_VALUE_ROOM);
	put_text(&w, text);
	return at + w.len;
}

static inline uint8_t *json_word(uint8_t *at, struct span text)
{
	size_t i = 0;
	at[0] = '"';
	for (; i + 8 <= text.len; i += 8) {
		uint64_t v = bytes_word(text.ptr + i, 8, 0);
		bytes_word_put(at + 1 + i, v);
		if (!are_plain(v))
			return json_odd_word(at, text);
	}
	for (; i < text.len; i++) {
		at[1 + i] = text.ptr[i];
		if (!is_plain(text.ptr[i]))
			return json_odd_word(at, text);
	}
	at[1 + text.len] = '"';
	return at + text.len + 2;
}

static void json_key(struct emitter *e, struct span key)
{
	json_text(e, key);
	writer_u8(e->out, ':');
	e->after_key = true;
}

static void json_fields(
	struct emitter *e, const struct telemetry *t, const struct telemetry_keys *k, const uint64_t *shown)
{
	walk_fields(e, t, k, shown, json_number, json_word);
}

const struct emit_format emit_json = {
	.name = "json",
	.content_type = "application/json",
	.separator = 1,
	.map = json_map,
	.array = json_array,
	.end = json_end,
	.boolean = json_boolean,
	.fixed = json_fixed,
	.text = json_text,
	.key = json_key,
	.fields = json_fields,
};
