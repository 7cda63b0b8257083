// SPDX-License-Identifier: MIT
/* msgpack: the MessagePack emitter, over msgpack-c's packer.
 * Uses: codecs/record; <msgpack.h>.
 * Not: unpack (a few bytes can make the library's unpacker reserve a gigabyte), know any field name, allocate, print. */
#include "codecs/record/walk.h"

#include <msgpack.h>

static int write_out(void *data, const char *buf, size_t len)
{
	writer_bytes(data, buf, len);
	return 0;
}

/* The same where there is room. */
static int write_at(void *data, const char *buf, size_t len)
{
	uint8_t **at = data;
	memcpy(*at, buf, len);
	*at += len;
	return 0;
}

static msgpack_packer packer(struct emitter *e)
{
	msgpack_packer pk;
	msgpack_packer_init(&pk, e->out, write_out);
	return pk;
}

static void pack_map(struct emitter *e, unsigned pairs)
{
	msgpack_packer pk = packer(e);
	msgpack_pack_map(&pk, pairs);
}

static void pack_array(struct emitter *e, unsigned items)
{
	msgpack_packer pk = packer(e);
	msgpack_pack_array(&pk, items);
}

static void pack_end(struct emitter *e)
{
	(void)e;
}

static void pack_boolean(struct emitter *e, bool v)
{
	msgpack_packer pk = packer(e);
	if (v)
		msgpack_pack_true(&pk);
	else
		msgpack_pack_false(&pk);
}

static inline uint8_t *pack_number(uint8_t *at, int64_t number, unsigned decimals)
{
	msgpack_packer pk = {&at, write_at};
	int64_t scale = decimals > 0 ? power10(decimals) : 1;
	if (decimals == 0)
		msgpack_pack_int64(&pk, number);
	else if (number % scale == 0)
		msgpack_pack_int64(&pk, number / scale);
	else
		msgpack_pack_double(&pk, (double)number / (double)scale);
	return at;
}

static void pack_fixed(struct emitter *e, int64_t number, unsigned decimals)
{
	uint8_t buf[WALK_VALUE_ROOM];
	writer_bytes(e->out, buf, (size_t)(pack_number(buf, number, decimals) - buf));
}

static bool is_ascii(struct span s)
{
	uint8_t any = 0;
	for (size_t i = 0; i < s.len; i++)
		any |= s.ptr[i];
	return any < 0x80;
}

/* A text that is not all ASCII: see emit_text. */
static void pack_mixed(struct writer *w, struct span text)
{
	msgpack_packer pk;
	size_t len = 0;
	msgpack_packer_init(&pk, w, write_out);
	for (size_t i = 0; i < text.len;) {
		size_t n = emit_utf8_length(span_after(text, i));
		len += n > 0 ? n : 2;
		i += n > 0 ? n : 1;
	}
	msgpack_pack_str(&pk, len);
	for (size_t i = 0; i < text.len;) {
		size_t n = emit_utf8_length(span_after(text, i));
		if (n > 0) {
			writer_bytes(w, text.ptr + i, n);
			i += n;
			continue;
		}
		writer_u8(w, (uint8_t)(0xc0 | text.ptr[i] >> 6));
		writer_u8(w, (uint8_t)(0x80 | (text.ptr[i] & 0x3f)));
		i++;
	}
}

static void pack_text(struct emitter *e, struct span text)
{
	if (!is_ascii(text)) {
		pack_mixed(e->out, text);
		return;
	}
	msgpack_packer pk = packer(e);
	msgpack_pack_str(&pk, text.len);
	writer_span_put(e->out, text);
}

static inline uint8_t *pack_word(uint8_t *at, struct span text)
{
	uint8_t *begin = at;
	uint64_t any = 0;
	size_t i = 0;
	msgpack_packer pk = {&at, write_at};
	msgpack_pack_str(&pk, text.len);
	for (; i + 8 <= text.len; i += 8) {
		uint64_t v = bytes_word(text.ptr + i, 8, 0);
		bytes_word_put(at + i, v);
		any |= v;
	}
	for (; i < text.len; i++)
		any |= at[i] = text.ptr[i];
	if ((any & EIGHT(0x80)) == 0)
		return at + text.len;
	struct writer w = writer_of(begin, WALK_VALUE_ROOM);
	pack_mixed(&w, text);
	return begin + w.len;
}

static void pack_fields(
	struct emitter *e, const struct telemetry *t, const struct telemetry_keys *k, const uint64_t *shown)
{
	walk_fields(e, t, k, shown, pack_number, pack_word);
}

const struct emit_format emit_msgpack = {
	.name = "msgpack",
	.content_type = "application/msgpack",
	.counts = true,
	.map = pack_map,
	.array = pack_array,
	.end = pack_end,
	.boolean = pack_boolean,
	.fixed = pack_fixed,
	.text = pack_text,
	.key = pack_text,
	.fields = pack_fields,
};
