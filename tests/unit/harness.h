// SPDX-License-Identifier: MIT
/* harness: what the unit tests share: vectors, a sink that collects, comparison.
 * May use: codecs, cJSON, cmocka, msgpack-c. May not: be part of the program. */
#ifndef T2M_HARNESS_H
#define T2M_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cJSON.h>
#include <cmocka.h>

#include "bridge/settings/codec_settings.h"
#include "bridge/settings/option_types.h"
#include "bridge/units/assembly.h"
#include "codecs/codec.h"
#include "bridge/units/gbk.h"

#define TEST_NOW_MS 1925000000000LL /* 2031: later than any date in the vectors */

struct vector {
	char *file, *name;
	const struct codec *codec; /* whose name is in the file's name */
	bool checked; /* its frames carry a check code: a row of the file is refused for a wrong one */
	struct span ident;
	bool is_frame; /* one whole frame, not a stream */
	unsigned segments;
	struct span *segment;
	cJSON *row;
};

struct vectors {
	size_t count;
	struct vector *item;
};

/* All rows of a file, given by its path from the root; a row with `hex` has one segment. The file's name holds its codec's: <codec>.jsonl,
 * <codec>-<theme>.jsonl or streams-<codec>.jsonl. Ends the test when it can't. */
struct vectors vectors_load(const char *file);
void vectors_free(struct vectors *v);

/* What a stream gave. */
struct collected {
	struct codec_unit units[16]; /* in order of appearance */
	size_t unit_count;
	size_t records, sends, errors, replies;
	char *json[512];
	struct {
		uint8_t *ptr;
		size_t len;
	} packed[512];
	char *sent[512];
	struct command_token token; /* of the last reply */
	bool receipt;               /* the last reply is one */
	unsigned by_status[CODEC_STATUS_COUNT];
};

struct player {
	struct codec_stream stream;
	struct collected got;
	struct codec_sink sink;
	struct codec_settings *settings;
	struct assembly *assembly;
	struct telemetry_keys keys[2]; /* JSON, MessagePack */
	struct telemetry scratch;
	uint8_t buf[1 << 14];
	size_t len;
	const uint8_t *last; /* the end of the frame before */
	size_t most_kept;
};

struct player *player_new(struct span ident);
/* Sets an option of a codec, as the configuration would. */
void player_set(struct player *p, const char *codec, const char *key, const char *value);
void player_feed(struct player *p, struct span bytes, int32_t quiet_ms);
void player_free(struct player *p);

/* Fails the test, naming `what`, unless the records are the expected ones in this order: each with every key that is
 * expected, with its value, and no other key. */
void expect_records(const struct player *p, const cJSON *records, const char *what);
/* Fails the test unless what was refused or is not whole is what the row names: `error`, or each of `errors`. */
void expect_errors(const struct player *p, const struct vector *v, const char *what);
/* Fails the test unless `answers` of the row, when it has them, is what was sent: text, or a frame in hex. */
void expect_answers(const struct player *p, const struct vector *v, const char *what);
/* Each record's MessagePack is the same document as its JSON. */
void expect_same_formats(const struct player *p, const char *what);

#endif
