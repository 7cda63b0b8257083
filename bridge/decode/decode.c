/* decode: tracker2mqtt-decode, the codecs without any network.
 * Uses: bridge/base, bridge/settings, bridge/units, codecs.
 * Not: know the bridge. */
#include "bridge/base/version.h"
#include "bridge/settings/codec_settings.h"
#include "bridge/units/assembly.h"
#include "codecs/codec.h"
#include "bridge/units/gbk.h"
#include "bridge/base/hash.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BUFFER (1 << 20)

struct unit {
	struct codec_unit unit;
	UT_hash_handle hh;
};

struct decoder {
	struct telemetry_keys keys; /* of the format to write */
	struct codec_settings *settings;
	struct codec_sink sink;
	struct codec_stream stream;
	struct unit *units;
	struct telemetry scratch;
	struct assembly *assembly;
	const char *file;
	unsigned long line; /* 0: a raw capture */
	struct span in;     /* the bytes at hand */
	bool any;           /* there was a frame in them */
	size_t offset;      /* of the buffer in the capture */
	bool failed;
	uint8_t buf[BUFFER], out[1 << 16];
};

/* What the codec of the stream reads; the unit may have spoken another protocol before. */
static struct codec_unit *use_options(const struct decoder *d, struct codec_unit *unit)
{
	if (d->stream.codec != NULL)
		unit->options = codec_settings_of(d->settings, d->stream.codec);
	return unit;
}

static struct codec_unit *on_identify(void *ctx, struct span ident)
{
	struct decoder *d = ctx;
	struct unit *u = NULL;
	HASH_FIND(hh, d->units, ident.ptr, (unsigned)ident.len, u);
	if (u != NULL)
		return use_options(d, &u->unit);
	u = calloc(1, sizeof(*u));
	if (u == NULL || ident.len > CODEC_IDENT_MAX)
		abort();
	memcpy(u->unit.ident, ident.ptr, ident.len);
	HASH_ADD(hh, d->units, unit.ident, (unsigned)ident.len, u);
	return use_options(d, &u->unit);
}

static bool on_record(void *ctx, struct telemetry *t)
{
	struct decoder *d = ctx;
	struct writer w = writer_of(d->out, sizeof(d->out));
	telemetry_set_text(t, TM_PROTOCOL_ID, span_text(d->stream.codec->name));
	telemetry_emit(t, &d->keys, &w);
	if (d->keys.format == &emit_json)
		writer_u8(&w, '\n');
	fwrite(w.ptr, 1, w.len, stdout);
	return true;
}

static enum codec_status on_part(void *ctx, const struct codec_part *part, struct codec_parts *parts)
{
	static const uint8_t nowhere[16];
	struct decoder *d = ctx;
	const struct assembly_from from = {d->stream.link.unit->ident, nowhere, true};
	return assembly_add(d->assembly, &from, ASSEMBLY_PARTS_MAX, part, d->stream.link.now_ms, parts);
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

static void complain(struct decoder *d, enum codec_status status, size_t at, struct span bytes)
{
	d->failed = true;
	fprintf(stderr, "%s:", d->file);
	if (d->line > 0)
		fprintf(stderr, "%lu:", d->line);
	fprintf(stderr, " %s at byte %zu: ", codec_status_names[status], d->offset + at);
	for (size_t i = 0; i < bytes.len && i < 80; i++) {
		uint8_t c = bytes.ptr[i];
		fprintf(stderr, c >= 0x20 && c < 0x7f ? "%c" : "\\x%02x", c);
	}
	fprintf(stderr, bytes.len > 80 ? "...\n" : "\n");
}

static void on_frame(void *ctx, enum codec_status status, struct span frame)
{
	struct decoder *d = ctx;
	assembly_settle(d->assembly, status);
	if (status != CODEC_OK && status != CODEC_FRAGMENT)
		complain(d, status, (size_t)(frame.ptr - d->in.ptr), frame);
	d->any = true;
}

/* Returns how many bytes are used up. */
static size_t feed(struct decoder *d, struct span in, bool final)
{
	enum codec_status end;
	d->in = in;
	d->any = false;
	d->stream.link.quiet_ms = final ? CODEC_QUIET_FINAL : 0;
	codec_settings_use(d->settings, &d->stream, in);
	size_t used = codec_each(&d->stream, in, &d->scratch, &d->sink, on_frame, &end);
	if (!final)
		return used;
	if (in.len > 0 && !d->any)
		complain(d, CODEC_NOT_MINE, 0, in);
	return in.len;
}

static void new_stream(struct decoder *d)
{
	struct codec_unit *unit = d->stream.link.unit;
	memset(&d->stream, 0, sizeof(d->stream));
	d->stream.link.unit = unit;
	d->stream.link.now_ms = (int64_t)time(NULL) * 1000;
}

static void decode_raw(struct decoder *d, FILE *f)
{
	size_t len = 0, n;
	new_stream(d);
	while ((n = fread(d->buf + len, 1, sizeof(d->buf) - len, f)) > 0) {
		len += n;
		size_t used = feed(d, span_of(d->buf, len), false);
		if (used == 0 && len == sizeof(d->buf)) /* a megabyte of what nobody knows */
			used = len / 2;
		memmove(d->buf, d->buf + used, len - used);
		len -= used;
		d->offset += used;
	}
	if (len > 0 && d->stream.codec == NULL)
		complain(d, CODEC_NOT_MINE, 0, span_of(d->buf, len));
	else
		while (len > 0) {
			size_t used = feed(d, span_of(d->buf, len), true);
			memmove(d->buf, d->buf + used, len - used);
			len -= used;
			d->offset += used;
		}
}

/* A line of nothing but hex digits (blanks and colons aside) becomes its bytes. */
static size_t from_hex(const char *line, size_t len, uint8_t *out)
{
	size_t digits = 0;
	for (size_t i = 0; i < len; i++) {
		int n = byte_hex((uint8_t)line[i]);
		if (n < 0 && line[i] != ' ' && line[i] != ':')
			return 0;
		if (n < 0)
			continue;
		out[digits / 2] = (uint8_t)(digits % 2 == 0 ? n << 4 : out[digits / 2] | n);
		digits++;
	}
	return digits % 2 == 0 ? digits / 2 : 0;
}

static void decode_lines(struct decoder *d, FILE *f)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	for (d->line = 1; (n = getline(&line, &cap, f)) > 0; d->line++) {
		while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
			n--;
		if (n == 0)
			continue;
		uint8_t *bytes = malloc((size_t)n);
		if (bytes == NULL)
			abort();
		size_t len = from_hex(line, (size_t)n, bytes);
		new_stream(d);
		feed(d, len > 0 ? span_of(bytes, len) : span_of(line, (size_t)n), true);
		free(bytes);
	}
	free(line);
}

static int usage(FILE *out, int rc)
{
	fprintf(out,
		"tracker2mqtt-decode " T2M_VERSION ": decodes frames of GPS trackers\n\n"
		"usage: tracker2mqtt-decode [options] [FILE...]     (no FILE: standard input)\n\n"
		"  Each line is one datagram: hex, or a text frame. A record is one JSON line on stdout; what\n"
		"  cannot be decoded is one line on stderr: file, line, reason, byte and the frame.\n\n"
		"      --raw              FILE is a raw capture of one connection, not lines\n"
		"      --format FORMAT    json (default) or msgpack\n"
		"      --ident IDENT      the unit that is known from before, for frames without one\n"
		"  -h, --help             this text\n"
		"  -V, --version          version\n\n"
		"Exit codes: 0 all decoded, 1 some failed, or wrong usage.\n");
	return rc;
}

struct arguments {
	const char *ident;
	bool raw;
};

/* -1: go on with what stands in *out; otherwise what main returns. */
static int read_arguments(int argc, char **argv, struct decoder *d, struct arguments *out)
{
	enum { RAW = 256, FORMAT, IDENT };
	static const struct option longs[] = {
		{"raw", no_argument, NULL, RAW},
		{"format", required_argument, NULL, FORMAT},
		{"ident", required_argument, NULL, IDENT},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	const struct emit_format *format = &emit_json;
	for (int c; (c = getopt_long(argc, argv, "hV", longs, NULL)) != -1;) {
		if (c == 'h')
			return usage(stdout, 0);
		if (c == 'V')
			return version_print("tracker2mqtt-decode");
		if (c == '?')
			return usage(stderr, 1);
		out->raw |= c == RAW;
		out->ident = c == IDENT ? optarg : out->ident;
		format = c == FORMAT ? emit_format_find(optarg) : format;
		if (format == NULL) {
			fprintf(stderr, "--format %s is not allowed; allowed: json or msgpack\n", optarg);
			return 1;
		}
	}
	if (out->ident != NULL && (strlen(out->ident) < 1 || strlen(out->ident) > CODEC_IDENT_MAX)) {
		fprintf(stderr, "--ident %s is not allowed; allowed: 1 to %d characters\n", out->ident,
			CODEC_IDENT_MAX);
		return 1;
	}
	telemetry_keys_make(&d->keys, format);
	return -1;
}

static void decode_file(struct decoder *d, const struct arguments *args, const char *name)
{
	bool standard = strcmp(name, "-") == 0;
	FILE *f = standard ? stdin : fopen(name, "rb");
	d->file = standard ? "stdin" : name;
	if (f == NULL) {
		fprintf(stderr, "%s: %s\n", d->file, strerror(errno));
		d->failed = true;
		return;
	}
	d->stream.link.unit = args->ident ? on_identify(d, span_text(args->ident)) : NULL;
	d->line = d->offset = 0;
	if (args->raw)
		decode_raw(d, f);
	else
		decode_lines(d, f);
	if (!standard)
		fclose(f);
}

int main(int argc, char **argv)
{
	struct decoder *d = calloc(1, sizeof(*d));
	struct arguments args = {NULL, false};
	if (d == NULL)
		abort();
	d->sink = (struct codec_sink){d, on_identify, on_record, NULL, on_reply, on_part, on_send, gbk_to_utf8};
	int rc = read_arguments(argc, argv, d, &args);
	if (rc >= 0) {
		free(d);
		return rc;
	}
	gbk_open();
	d->assembly = assembly_open(ASSEMBLY_BYTES);
	d->settings = codec_settings_open();
	if (d->assembly == NULL || d->settings == NULL)
		abort();
	if (optind == argc)
		decode_file(d, &args, "-");
	for (int i = optind; i < argc; i++)
		decode_file(d, &args, argv[i]);
	if (assembly_tidy(d->assembly, INT64_MAX) > 0) {
		fprintf(stderr, "%s: fragment: a message in several frames is incomplete\n", d->file);
		d->failed = true;
	}
	codec_settings_free(d->settings);
	assembly_free(d->assembly);
	gbk_close();
	struct unit *u, *next;
	HASH_ITER(hh, d->units, u, next) {
		HASH_DEL(d->units, u);
		free(u);
	}
	bool failed = d->failed || ferror(stdout) || fflush(stdout) != 0;
	free(d);
	return failed;
}
