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
	struct span ident;
	unsigned segments;
	struct span *segment;
	cJSON *row;
};

struct vectors {
	size_t count;
	struct vector *item;
};

/* All rows of tests/vectors/<file>; a row with `hex` has one segment. Ends the test when it can't. */
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
	unsigned by_status[CODEC_STATUS_COUNT];
};

struct player {
	struct codec_stream stream;
	struct collected got;
	struct codec_sink sink;
	struct codec_settings *settings;
	struct assembly *assembly;
	struct telemetry scratch;
	uint8_t buf[1 << 18];
	size_t len;
	size_t most_kept;
};

struct player *player_new(struct span ident);
/* Sets an option of a codec, as the configuration would. */
void player_set(struct player *p, const char *codec, const char *key, const char *value);
void player_feed(struct player *p, struct span bytes, int32_t quiet_ms);
void player_free(struct player *p);

/* Fails the test, naming `what`, unless the records are the expected ones in this order. */
void expect_records(const struct player *p, const cJSON *records, const char *what);
/* Each record's MessagePack is the same document as its JSON. */
void expect_same_formats(const struct player *p, const char *what);

#endif
