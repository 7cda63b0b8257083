// SPDX-License-Identifier: MIT
/* decode: tracker2mqtt-decode, the codecs without any network.
 * Uses: bridge/base, bridge/units.
 * Not: know the bridge. */
#include "bridge/base/version.h"
#include "bridge/decode/input.h"
#include "bridge/units/gbk.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <time.h>

static int usage(FILE *out, int rc)
{
	fprintf(out, "tracker2mqtt-decode " T2M_VERSION ": decodes frames of GPS trackers\n\n"
		     "usage: tracker2mqtt-decode [options] [FILE...]     (no FILE: standard input)\n\n"
		     "  FILE may be a capture of tcpdump or Wireshark, a log of Traccar or of the bridge, "
		     "messages of the topics raw and\n"
		     "  unknown, lines of hex, a C array, text frames, or the bytes of one connection: it is "
		     "recognised. A record is one\n"
		     "  JSON line on stdout; what cannot be decoded is one line on stderr: file, line, reason, "
		     "byte and the frame.\n\n"
		     "      --pretty           records for people: key, value, unit and meaning\n"
		     "      --explain          which bytes of a frame are what, instead of the record\n"
		     "      --input KIND       what FILE is: auto (default), pcap, raw, traccar, json, log, "
		     "hex or text\n"
		     "      --raw              the same as --input raw: FILE has the bytes of one connection\n"
		     "      --port PORT        of a capture, only what is sent to this port\n"
		     "      --format FORMAT    json (default) or msgpack\n"
		     "      --ident IDENT      the unit that is known from before, for frames without one\n"
		     "  -h, --help             this text\n"
		     "  -V, --version          version\n\n"
		     "Exit codes: 0 all decoded, 1 some failed, or wrong usage.\n");
	return rc;
}

struct arguments {
	struct decoder_options decoder;
	struct input_options input;
};

static int refuse(const char *option, const char *value, const char *allowed)
{
	fprintf(stderr, "%s %s is not allowed; allowed: %s\n", option, value, allowed);
	return 1;
}

static bool read_port(const char *text, uint16_t *out)
{
	char *end;
	errno = 0;
	long port = strtol(text, &end, 10);
	*out = (uint16_t)port;
	return byte_is_digit((uint8_t)text[0]) && *end == '\0' && errno == 0 && port >= 1 && port <= 65535;
}

enum { RAW = 256, FORMAT, IDENT, INPUT, PORT, PRETTY, EXPLAIN };

/* -1: go on; otherwise what main returns. */
static int take_option(int c, struct arguments *out)
{
	switch (c) {
	case 'h':
		return usage(stdout, 0);
	case 'V':
		return version_print("tracker2mqtt-decode");
	case RAW:
		out->input.kind = INPUT_RAW;
		return -1;
	case PRETTY:
		out->decoder.pretty = true;
		return -1;
	case EXPLAIN:
		out->decoder.explain = true;
		return -1;
	case INPUT:
		return input_kind_find(optarg, &out->input)
			       ? -1
			       : refuse("--input", optarg, "auto, pcap, raw, traccar, json, log, hex or text");
	case PORT:
		return read_port(optarg, &out->input.port) ? -1 : refuse("--port", optarg, "1 to 65535");
	case FORMAT:
		out->decoder.format = emit_format_find(optarg);
		return out->decoder.format != NULL ? -1 : refuse("--format", optarg, "json or msgpack");
	case IDENT:
		out->decoder.ident = optarg;
		return strlen(optarg) >= 1 && strlen(optarg) <= CODEC_IDENT_MAX
			       ? -1
			       : refuse("--ident", optarg, "1 to 20 characters");
	}
	return usage(stderr, 1);
}

/* -1: go on with what stands in *out; otherwise what main returns. */
static int read_arguments(int argc, char **argv, struct arguments *out)
{
	static const struct option longs[] = {
		{"raw", no_argument, NULL, RAW},
		{"format", required_argument, NULL, FORMAT},
		{"ident", required_argument, NULL, IDENT},
		{"input", required_argument, NULL, INPUT},
		{"port", required_argument, NULL, PORT},
		{"pretty", no_argument, NULL, PRETTY},
		{"explain", no_argument, NULL, EXPLAIN},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	int rc = -1;
	for (int c; rc < 0 && (c = getopt_long(argc, argv, "hV", longs, NULL)) != -1;)
		rc = take_option(c, out);
	if (rc >= 0)
		return rc;
	if (out->decoder.format == &emit_msgpack && (out->decoder.pretty || out->decoder.explain)) {
		fprintf(stderr, "--format msgpack goes neither with --pretty nor with --explain: they are for "
				"people\n");
		return 1;
	}
	return -1;
}

static void decode_file(struct decoder *d, const struct input_options *options, const char *name)
{
	bool standard = strcmp(name, "-") == 0;
	FILE *f = standard ? stdin : fopen(name, "rb");
	decoder_at(d, name, 0);
	if (f == NULL) {
		decoder_say(d, true, "%s", strerror(errno));
		return;
	}
	input_read(d, options, standard ? "stdin" : name, f);
	if (!standard)
		fclose(f);
}

int main(int argc, char **argv)
{
	struct arguments args = {
		.decoder = {.format = &emit_json, .out = stdout, .err = stderr},
		.input = {.now_ms = (int64_t)time(NULL) * 1000},
	};
	int rc = read_arguments(argc, argv, &args);
	if (rc >= 0)
		return rc;
	gbk_open();
	struct decoder *d = decoder_open(&args.decoder);
	if (d == NULL) {
		fprintf(stderr, "there is no memory\n");
		gbk_close();
		return 1;
	}
	if (optind == argc)
		decode_file(d, &args.input, "-");
	for (int i = optind; i < argc; i++)
		decode_file(d, &args.input, argv[i]);
	bool failed = decoder_close(d);
	gbk_close();
	return failed || ferror(stdout) || fflush(stdout) != 0;
}
