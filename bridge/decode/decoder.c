// SPDX-License-Identifier: MIT
/* decoder: see decoder.h. */
#include "bridge/decode/decoder.h"

#include "bridge/base/hash.h"
#include "bridge/decode/explain.h"
#include "bridge/decode/pretty.h"
#include "bridge/decode/show.h"
#include "bridge/settings/codec_settings.h"
#include "bridge/units/assembly.h"
#include "bridge/units/gbk.h"

#include <stdarg.h>
#include <stdlib.h>

enum { PENDING_MAX = 1 << 16, SHOWN_BYTES = 80 };

struct unit {
	struct codec_unit unit;
	UT_hash_handle hh;
};

struct decoder {
	struct decoder_options options;
	struct telemetry_keys keys;
	struct codec_settings *settings;
	struct codec_sink sink;
	struct codec_stream *stream; /* the one at hand */
	struct codec_stream datagrams;
	struct unit *units;
	struct telemetry scratch;
	struct assembly *assembly;
	struct explain *explain; /* NULL: not wanted */
	char place[300];
	struct span in; /* the bytes at hand */
	size_t offset;  /* of them in their stream */
	bool any;       /* there was a frame in them */
	bool looking;   /* a broken frame is explained: nothing comes of it */
	bool failed;
	uint8_t out[1 << 16];
};

struct decoder_stream {
	struct codec_stream stream;
	size_t offset, len, head_len;
	uint8_t head[SHOWN_BYTES]; /* how it began */
	uint8_t pending[PENDING_MAX];
};

/* --- lines --- */

void decoder_at(struct decoder *d, const char *file, unsigned long line)
{
	if (line > 0)
		snprintf(d->place, sizeof(d->place), "%s:%lu", file, line);
	else
		snprintf(d->place, sizeof(d->place), "%s", file);
}

void decoder_say(struct decoder *d, bool failed, const char *format, ...)
{
	va_list args;
	d->failed |= failed;
	fprintf(d->options.err, "%s: ", d->place);
	va_start(args, format);
	vfprintf(d->options.err, format, args);
	va_end(args);
	fputc('\n', d->options.err);
}

static void complain(struct decoder *d, enum codec_status status, size_t at, struct span bytes)
{
	FILE *err = d->options.err;
	d->failed = true;
	char text[4 * (SHOWN_BYTES + 1)];
	struct writer w = writer_of(text, sizeof(text));
	show_text(&w, span_part(bytes, 0, bytes.len < SHOWN_BYTES ? bytes.len : SHOWN_BYTES));
	fprintf(err, "%s: %s at byte %zu: %.*s%s%s\n", d->place, codec_status_names[status], d->offset + at,
		(int)w.len, text, bytes.len > SHOWN_BYTES ? "..." : "",
		status == CODEC_NO_IDENT ? "; --ident IDENT names the unit of such frames" : "");
}

/* --- what codecs tell --- */

/* What the codec of the stream reads; the unit may have spoken another protocol before. */
static struct codec_unit *use_options(const struct decoder *d, struct codec_unit *unit)
{
	if (d->stream->codec != NULL)
		unit->options = codec_settings_of(d->settings, d->stream->codec);
	return unit;
}

static struct codec_unit *on_identify(void *ctx, struct span ident)
{
	struct decoder *d = ctx;
	struct unit *u = NULL;
	HASH_FIND(hh, d->units, ident.ptr, (unsigned)ident.len, u);
	if (u != NULL)
		return use_options(d, &u->unit);
	u = ident.len <= CODEC_IDENT_MAX ? calloc(1, sizeof(*u)) : NULL;
	if (u == NULL)
		return NULL;
	memcpy(u->unit.ident, ident.ptr, ident.len);
	HASH_ADD(hh, d->units, unit.ident, (unsigned)ident.len, u);
	return use_options(d, &u->unit);
}

static bool on_record(void *ctx, struct telemetry *t)
{
	struct decoder *d = ctx;
	FILE *out = d->options.out;
	if (d->explain != NULL)
		explain_record(d->explain, t);
	if (d->looking)
		return false;
	if (d->explain != NULL && !d->options.pretty)
		return true;
	struct writer w = writer_of(d->out, sizeof(d->out));
	telemetry_set_text(t, TM_PROTOCOL_ID, span_text(d->stream->codec->name));
	telemetry_emit(t, &d->keys, &w);
	if (d->options.pretty) {
		fprintf(out, "%s:\n", d->place);
		pretty_record(out, writer_span(&w));
		return true;
	}
	if (d->keys.format == &emit_json)
		writer_u8(&w, '\n');
	fwrite(w.ptr, 1, w.len, out);
	return true;
}

static enum codec_status on_part(void *ctx, const struct codec_part *part, struct codec_parts *parts)
{
	static const uint8_t nowhere[16];
	struct decoder *d = ctx;
	if (d->looking)
		return CODEC_NO_ROOM;
	const struct assembly_from from = {d->stream->link.unit->ident, nowhere, true};
	return assembly_add(d->assembly, &from, ASSEMBLY_PARTS_MAX, part, d->stream->link.now_ms, parts);
}

static void on_reply(void *ctx, const struct command_reply *reply)
{
	(void)ctx;
	(void)reply;
}

static void on_send(void *ctx, struct span frame)
{
	(void)ctx;
	(void)frame;
}

/* What the codec's own readers say of bytes that are no whole frame, or whose unit nobody knows: they are given to them all the same, and
 * nothing comes of it. */
static void look_at(struct decoder *d, struct span bytes)
{
	struct codec_stream copy = *d->stream, *stream = d->stream;
	struct codec_unit nobody = {.ident = ""};
	if (bytes.len == 0)
		return;
	if (copy.link.unit == NULL)
		copy.link.unit = use_options(d, &nobody);
	d->looking = true;
	d->stream = &copy;
	telemetry_reset(&d->scratch);
	codec_decode(&copy, bytes, &d->scratch, &d->sink);
	d->stream = stream;
	d->looking = false;
}

static void on_frame(void *ctx, enum codec_status status, struct span frame)
{
	struct decoder *d = ctx;
	const struct codec *codec = d->stream->codec;
	size_t at = (size_t)(frame.ptr - d->in.ptr);
	bool framed = status < CODEC_OVERSIZE || status > CODEC_TRUNCATED;
	if (d->explain != NULL) {
		FILE *out = d->options.out;
		if (!framed || status == CODEC_NO_IDENT)
			look_at(d, frame);
		fprintf(out, "%s: %s, %zu bytes: %s\n", d->place, codec->name, frame.len,
			codec_status_names[status]);
		explain_frame(d->explain, out, codec, status, frame, &d->scratch);
		fputc('\n', out);
		telemetry_reset(&d->scratch);
	}
	assembly_settle(d->assembly, status);
	if (status != CODEC_OK && status != CODEC_FRAGMENT)
		complain(d, status, at, frame);
	d->any = true;
}

/* Returns how many bytes are used up. */
static size_t feed(struct decoder *d, struct codec_stream *stream, struct span in, int32_t quiet_ms)
{
	enum codec_status end;
	d->stream = stream;
	d->in = in;
	d->any = false;
	stream->link.quiet_ms = quiet_ms;
	if (d->explain != NULL)
		explain_begin(d->explain, in);
	codec_settings_use(d->settings, stream, in);
	return codec_each(stream, in, &d->scratch, &d->sink, on_frame, &end);
}

/* --- datagrams --- */

void decoder_datagram(struct decoder *d, struct span in, int64_t now_ms)
{
	struct codec_unit *unit = d->datagrams.link.unit;
	d->datagrams = (struct codec_stream){.link = {.unit = unit, .now_ms = now_ms}};
	d->offset = 0;
	feed(d, &d->datagrams, in, CODEC_QUIET_FINAL);
	if (in.len > 0 && !d->any)
		complain(d, CODEC_NOT_MINE, 0, in);
}

void decoder_forget(struct decoder *d)
{
	d->stream = &d->datagrams;
	d->datagrams = (struct codec_stream){0};
	if (d->options.ident != NULL)
		d->datagrams.link.unit = on_identify(d, span_text(d->options.ident));
}

/* --- connections --- */

struct decoder_stream *decoder_stream_open(void)
{
	return calloc(1, sizeof(struct decoder_stream));
}

static void use_up(struct decoder_stream *s, size_t used)
{
	memmove(s->pending, s->pending + used, s->len - used);
	s->len -= used;
	s->offset += used;
}

void decoder_stream_quiet(struct decoder *d, struct decoder_stream *s, int32_t quiet_ms)
{
	size_t used = 1;
	while (s->len > 0 && used > 0) {
		d->offset = s->offset;
		used = feed(d, &s->stream, span_of(s->pending, s->len), quiet_ms);
		use_up(s, used);
	}
	if (quiet_ms == CODEC_QUIET_FINAL)
		use_up(s, s->len);
}

void decoder_stream_bytes(
	struct decoder *d, struct decoder_stream *s, struct span in, int64_t now_ms, int64_t pause_ms)
{
	if (s->stream.link.unit == NULL && d->options.ident != NULL) {
		d->stream = &s->stream;
		s->stream.link.unit = on_identify(d, span_text(d->options.ident));
	}
	if (pause_ms >= CODEC_QUIET_SHORT_MS && s->len > 0)
		decoder_stream_quiet(
			d, s, pause_ms < CODEC_QUIET_LONG_MS ? (int32_t)pause_ms : CODEC_QUIET_LONG_MS);
	s->stream.link.now_ms = now_ms;
	for (size_t room, n; in.len > 0; in = span_after(in, n)) {
		room = sizeof(s->head) - s->head_len;
		memcpy(s->head + s->head_len, in.ptr, in.len < room ? in.len : room);
		s->head_len += in.len < room ? in.len : room;
		room = PENDING_MAX - s->len;
		n = in.len < room ? in.len : room;
		memcpy(s->pending + s->len, in.ptr, n);
		s->len += n;
		decoder_stream_quiet(d, s, 0);
		if (s->len == PENDING_MAX) /* 64 KiB of what nobody knows */
			use_up(s, PENDING_MAX / 2);
	}
}

bool decoder_stream_close(struct decoder *d, struct decoder_stream *s, bool stranger_fails)
{
	bool failed = d->failed;
	decoder_stream_quiet(d, s, CODEC_QUIET_FINAL);
	bool known = s->stream.codec != NULL;
	if (!known && s->head_len > 0) {
		d->offset = 0;
		complain(d, CODEC_NOT_MINE, 0, span_of(s->head, s->head_len));
		d->failed = failed || stranger_fails;
	}
	free(s);
	return known;
}

/* --- */

struct decoder *decoder_open(const struct decoder_options *options)
{
	struct decoder *d = calloc(1, sizeof(*d));
	if (d == NULL)
		return NULL;
	d->options = *options;
	telemetry_keys_make(&d->keys, options->pretty ? &emit_json : options->format, CUSTOM_ALL);
	d->sink = (struct codec_sink){d, on_identify, on_record, NULL, on_reply, on_part, on_send, gbk_to_utf8};
	d->assembly = assembly_open(ASSEMBLY_BYTES);
	d->settings = codec_settings_open();
	d->explain = options->explain ? explain_open() : NULL;
	if (d->assembly == NULL || d->settings == NULL || (options->explain && d->explain == NULL)) {
		decoder_close(d);
		return NULL;
	}
	if (d->explain != NULL)
		d->scratch.marker = explain_marker(d->explain);
	decoder_forget(d);
	return d;
}

bool decoder_close(struct decoder *d)
{
	if (d->assembly != NULL && assembly_tidy(d->assembly, INT64_MAX) > 0)
		decoder_say(d, true, "fragment: a message in several frames is incomplete");
	bool failed = d->failed;
	struct unit *u, *next;
	HASH_ITER(hh, d->units, u, next) {
		HASH_DEL(d->units, u);
		free(u);
	}
	if (d->settings != NULL)
		codec_settings_free(d->settings);
	if (d->assembly != NULL)
		assembly_free(d->assembly);
	explain_free(d->explain);
	free(d);
	return failed;
}
