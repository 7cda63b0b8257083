// SPDX-License-Identifier: MIT
/* bench_codec: a frame -> record -> document, as the bridge does it, for each kind of frame and each format.
 * usage: bench_codec                 nanoseconds a frame, the median of several runs
 *        bench_codec KIND FORMAT N   N frames, for callgrind --toggle-collect=measured */
#include "bridge/settings/codec_settings.h"
#include "codecs/codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { RUNS = 9, FRAMES = 200000 };

static const struct kind {
	const char *name, *hex;
	const char *ident; /* of the unit that spoke before, where a frame does not tell; else NULL */
} kinds[] = {
	/* *HQ,9170503816,V1,123506,A,2232.6024,N,11355.7983,E,021.60,090,131216,FFFFFBFF,460,00,10342,4283# */
	{"h02-text",
		"2A48512C393137303530333831362C56312C3132333530362C412C323233322E363032342C4E2C3131333535"
		"2E373938332C452C3032312E36302C3039302C3133313231362C46464646464246462C3436302C30302C31303334"
		"322C3432383323",
		NULL},
	/* 45 bytes: id, time, date, latitude, battery, longitude, speed and course, status, ... cell, record */
	{"h02-binary",
		"2491705038161235061312162232602406113557983E021090FFFFFBFFFF000000000001CC0028661"
		"0BB00000A",
		NULL},
	{"jt808", NULL, NULL},
	/* 0x22: date, satellites, position, cell, ACC, mode, stored, odometer */
	{"gt06", "787826221A030E0F091AC905472EC601C81ED12B150F00E60128A1001F400100000012D6870007931A0D0A",
		"860000700020026"},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

struct work {
	struct codec_stream stream;
	struct codec_unit unit;
	struct codec_settings *settings;
	struct telemetry scratch;
	struct codec_sink sink;
	struct telemetry_keys keys;
	uint8_t frame[256], out[8192];
	size_t frame_len, written;
};

static struct codec_unit *on_identify(void *ctx, struct span ident)
{
	struct work *w = ctx;
	memset(w->unit.ident, 0, sizeof(w->unit.ident));
	memcpy(w->unit.ident, ident.ptr, ident.len);
	if (w->unit.options == NULL)
		w->unit.options = codec_settings_of(w->settings, w->stream.codec);
	return &w->unit;
}

static bool on_record(void *ctx, struct telemetry *t)
{
	struct work *w = ctx;
	struct writer out = writer_of(w->out, sizeof(w->out));
	telemetry_emit(t, &w->keys, &out);
	w->written += out.len;
	return true;
}

static void on_reply(void *ctx, const struct command_reply *reply)
{
	(void)ctx;
	(void)reply;
}

static enum codec_status on_part(void *ctx, const struct codec_part *part, struct codec_parts *parts)
{
	(void)ctx;
	(void)part;
	(void)parts;
	return CODEC_NO_ROOM;
}

static void on_send(void *ctx, struct span frame)
{
	(void)ctx;
	(void)frame;
}

/* A location report as a unit of the 2013 version sends it, with mileage, signal and satellites. */
static size_t jt808_frame(uint8_t *out)
{
	static const char body[] = "0200002E0139123456780001"
				   "00000000000C0003015803F606CA9B5E0032003C005A161213123506"
				   "0104000001F4"
				   "30011F"
				   "31010A"
				   "0202007B";
	uint8_t sum = 0;
	size_t n = 0, len = 0;
	uint8_t raw[128];
	for (const char *c = body; c[0] != '\0'; c += 2)
		raw[len++] = (uint8_t)(byte_hex((uint8_t)c[0]) << 4 | byte_hex((uint8_t)c[1]));
	raw[3] = (uint8_t)(len - 12);
	out[n++] = 0x7e;
	for (size_t i = 0; i < len; i++) {
		sum ^= raw[i];
		out[n++] = raw[i];
	}
	out[n++] = sum;
	out[n++] = 0x7e;
	return n;
}

static void prepare(struct work *w, const struct kind *kind, const struct emit_format *format)
{
	codec_settings_free(w->settings);
	memset(w, 0, sizeof(*w));
	w->settings = codec_settings_open();
	telemetry_keys_make(&w->keys, format, CUSTOM_ACTIVE);
	w->sink = (struct codec_sink){w, on_identify, on_record, NULL, on_reply, on_part, on_send, NULL};
	w->stream.link.now_ms = 1800000000000;
	w->stream.link.quiet_ms = CODEC_QUIET_FINAL;
	if (kind->ident != NULL) {
		memcpy(w->unit.ident, kind->ident, strlen(kind->ident));
		w->stream.link.unit = &w->unit;
	}
	if (kind->hex == NULL)
		w->frame_len = jt808_frame(w->frame);
	for (const char *c = kind->hex; c != NULL && c[0] != '\0'; c += 2)
		w->frame[w->frame_len++] = (uint8_t)(byte_hex((uint8_t)c[0]) << 4 | byte_hex((uint8_t)c[1]));
}

void measured(struct work *w, unsigned frames);
__attribute__((noinline)) void measured(struct work *w, unsigned frames)
{
	for (unsigned i = 0; i < frames; i++) {
		struct frame f;
		struct span in = span_of(w->frame, w->frame_len);
		if (codec_next(&w->stream, in, &f) != CODEC_OK || f.len != w->frame_len ||
			codec_decode(&w->stream, in, &w->scratch, &w->sink) != CODEC_OK) {
			fprintf(stderr, "the sample frame is not understood\n");
			exit(1);
		}
	}
}

static double now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
	static struct work w;
	if (argc == 4) {
		const struct emit_format *format = emit_format_find(argv[2]);
		if (format == NULL)
			return 1;
		for (size_t k = 0; k < KINDS; k++)
			if (strcmp(kinds[k].name, argv[1]) == 0)
				prepare(&w, &kinds[k], format);
		measured(&w, (unsigned)atoi(argv[3]));
		return 0;
	}
	for (size_t k = 0; k < KINDS; k++) {
		for (size_t f = 0; f < 2; f++) {
			const struct emit_format *format = f == 0 ? &emit_json : &emit_msgpack;
			double runs[RUNS];
			for (size_t i = 0; i < RUNS; i++) {
				prepare(&w, &kinds[k], format);
				double start = now_ns();
				measured(&w, FRAMES);
				runs[i] = (now_ns() - start) / FRAMES;
			}
			qsort(runs, RUNS, sizeof(runs[0]), by_value);
			printf("%s %s %.0f %zu\n", kinds[k].name, format->name, runs[RUNS / 2],
				w.written / FRAMES);
		}
	}
	return 0;
}
