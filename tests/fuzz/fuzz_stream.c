// SPDX-License-Identifier: MIT
/* fuzz_stream: arbitrary bytes, cut arbitrarily, through recognising, framing, decoding and both formats.
 * The first bytes of the input say where to cut. With FUZZ_CODEC the stream is that codec's from the first byte. */
#include "bridge/settings/codec_settings.h"
#include "bridge/settings/option_types.h"
#include "bridge/units/assembly.h"
#include "codecs/codec.h"
#include "bridge/units/gbk.h"

#include <assert.h>
#include <stdlib.h>

#define MEMORY 16384

struct state {
	struct codec_stream stream;
	struct codec_unit unit;
	struct codec_settings *settings;
	struct telemetry scratch;
	struct span rest; /* behind the frame before */
	struct assembly *assembly;
	struct telemetry_keys keys[2];
	uint8_t out[1 << 16];
};

static struct codec_unit *on_identify(void *ctx, struct span ident)
{
	struct state *s = ctx;
	assert(ident.len >= 1 && ident.len <= CODEC_IDENT_MAX && span_all(ident, byte_is_alnum));
	memset(s->unit.ident, 0, sizeof(s->unit.ident));
	memcpy(s->unit.ident, ident.ptr, ident.len);
	s->unit.options = codec_settings_of(s->settings, s->stream.codec);
	return &s->unit;
}

static bool on_record(void *ctx, struct telemetry *t)
{
	struct state *s = ctx;
	for (size_t i = 0; i < 2; i++) {
		struct writer w = writer_of(s->out, sizeof(s->out));
		telemetry_emit(t, &s->keys[i], &w);
		assert(!w.full);
	}
	return true;
}

static enum codec_room on_batch(void *ctx, size_t records)
{
	(void)ctx;
	assert(records > 1);
	return (enum codec_room)(records % 3);
}

/* Two addresses, and little memory. */
static enum codec_status on_part(void *ctx, const struct codec_part *part, struct codec_parts *parts)
{
	struct state *s = ctx;
	const uint8_t address[16] = {part->serial & 1};
	const struct assembly_from from = {s->stream.link.unit->ident, address, part->serial & 2};
	s->stream.link.now_ms += part->serial;
	enum codec_status status = assembly_add(s->assembly, &from, 255, part, s->stream.link.now_ms, parts);
	assert(assembly_bytes(s->assembly) <= MEMORY);
	assert(status != CODEC_MORE || parts->missing_count < part->total);
	return status;
}

static void on_reply(void *ctx, const struct command_reply *reply)
{
	(void)ctx;
	assert(memchr(reply->token.word, 0, sizeof(reply->token.word)) != NULL);
}

static void on_send(void *ctx, struct span frame)
{
	(void)ctx;
	assert(frame.len > 0 && frame.ptr != NULL);
}

/* Each frame lies in the bytes, and behind the one before. */
static void on_frame(void *ctx, enum codec_status status, struct span frame)
{
	struct state *s = ctx;
	size_t used = (size_t)(frame.ptr - s->rest.ptr) + frame.len;
	assert(frame.ptr >= s->rest.ptr && used > 0 && used <= s->rest.len);
	s->rest = span_of(s->rest.ptr + used, s->rest.len - used);
	assembly_settle(s->assembly, status);
	assembly_tidy(s->assembly, s->stream.link.now_ms);
}

/* Each option that is a choice becomes one of its words. */
static void choose(struct state *s, unsigned number)
{
	char why[300];
	for (const struct codec *const *c = codecs; *c != NULL; c++)
		for (const struct option_row *row = (*c)->options; row != NULL && row->key != NULL; row++) {
			unsigned count = 0;
			while (row->type == OPTION_CHOICE && row->choices[count] != NULL)
				count++;
			if (count > 0)
				assert(option_set(row, row->key, row->choices[number % count],
					codec_settings_of(s->settings, *c), why, sizeof(why)));
		}
}

static size_t feed(struct state *s, struct span in, int32_t quiet_ms)
{
	const struct codec_sink sink = {
		s, on_identify, on_record, on_batch, on_reply, on_part, on_send, gbk_to_utf8};
	enum codec_status end;
	s->stream.link.quiet_ms = quiet_ms;
	s->rest = in;
	size_t used = codec_each(&s->stream, in, &s->scratch, &sink, on_frame, &end);
	assert(used <= in.len);
	assert(s->stream.codec == NULL || in.len - used <= s->stream.codec->max_frame);
	return used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct state s;
	static bool once;
	if (!once) {
		once = gbk_open();
		telemetry_keys_make(&s.keys[0], &emit_json, CUSTOM_ALL);
		telemetry_keys_make(&s.keys[1], &emit_msgpack, CUSTOM_ACTIVE);
	}
	if (size < 4 || size > 8192)
		return 0;
	memset(&s.stream, 0, sizeof(s.stream));
	s.stream.link.now_ms = 1800000000000;
#ifdef FUZZ_CODEC
	s.stream.codec = codec_find(span_text(FUZZ_CODEC));
#endif
	if (s.settings == NULL)
		s.settings = codec_settings_open();
	choose(&s, data[0] & 3);
	s.assembly = assembly_open(MEMORY);
	assert(s.assembly != NULL);
	size_t cuts[2] = {data[1], data[2] * 8u}, len = size - 3;
	uint8_t *bytes = malloc(len); /* its end is guarded by the sanitizer */
	memcpy(bytes, data + 3, len);
	size_t from = 0;
	for (size_t i = 0; i < 3; i++) {
		size_t to = i < 2 && cuts[i] > from && cuts[i] < len ? cuts[i] : i < 2 ? from : len;
		int32_t quiet = i == 2 ? CODEC_QUIET_FINAL : data[0] & 4 ? CODEC_QUIET_SHORT_MS : 0;
		from += feed(&s, span_of(bytes + from, to - from), quiet);
	}
	free(bytes);
	assembly_tidy(s.assembly, INT64_MAX);
	assert(assembly_bytes(s.assembly) == 0);
	assembly_free(s.assembly);
	return 0;
}
