// SPDX-License-Identifier: MIT
/* test_golden: every vector gives exactly its records, however its bytes are cut, glued or disturbed. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *const files[] = {VECTOR_FILES};
#define FILE_COUNT (sizeof(files) / sizeof(files[0]))

static const struct span nothing;

static const cJSON *records_of(const struct vector *v)
{
	return cJSON_GetObjectItemCaseSensitive(v->row, "records");
}

static void check(struct player *p, const struct vector *v, const char *how)
{
	char what[200];
	snprintf(what, sizeof(what), "%s: %s, %s", v->file, v->name, how);
	expect_records(p, records_of(v), what);
	expect_same_formats(p, what);
	player_free(p);
}

static void each(void (*test)(const struct vector *))
{
	for (size_t f = 0; f < FILE_COUNT; f++) {
		struct vectors all = vectors_load(files[f]);
		for (size_t i = 0; i < all.count; i++)
			test(&all.item[i]);
		vectors_free(&all);
	}
}

static void whole(const struct vector *v)
{
	struct player *p = player_new(v->ident);
	for (unsigned i = 0; i < v->segments; i++)
		player_feed(p, v->segment[i], 0);
	player_feed(p, nothing, CODEC_QUIET_FINAL);
	if (p->got.records > 0 && p->stream.codec != v->codec)
		fail_msg("%s: %s is recognised by %s", v->file, v->name, p->stream.codec->name);
	expect_errors(p, v, v->name);
	expect_answers(p, v, v->name);
	check(p, v, "whole");
}

/* Of a frame whose layout is known, nothing more is awaited. */
static void after_a_short_silence(const struct vector *v)
{
	if (!v->is_frame || cJSON_GetArraySize(records_of(v)) == 0)
		return;
	struct player *p = player_new(v->ident);
	player_feed(p, v->segment[0], 0);
	player_feed(p, nothing, CODEC_QUIET_SHORT_MS);
	check(p, v, "after a short silence");
}

static void datagrams(const struct vector *v)
{
	if (v->segments > 1)
		return;
	struct player *p = player_new(v->ident);
	player_feed(p, v->segment[0], CODEC_QUIET_FINAL);
	assert_true(p->len <= 1); /* a delimiter may be left */
	check(p, v, "as a datagram");
}

static void byte_by_byte(const struct vector *v)
{
	struct player *p = player_new(v->ident);
	for (unsigned i = 0; i < v->segments; i++)
		for (size_t b = 0; b < v->segment[i].len; b++)
			player_feed(p, span_of(v->segment[i].ptr + b, 1), 0);
	player_feed(p, nothing, CODEC_QUIET_FINAL);
	check(p, v, "byte by byte");
}

static void cut_in_two(const struct vector *v)
{
	struct span s = v->segment[0];
	for (size_t cut = 1; v->segments == 1 && cut < s.len; cut++) {
		struct player *p = player_new(v->ident);
		player_feed(p, span_of(s.ptr, cut), 0);
		player_feed(p, span_after(s, cut), 0);
		player_feed(p, nothing, CODEC_QUIET_FINAL);
		check(p, v, "cut in two");
	}
}

static void add_copies(cJSON *to, const cJSON *records)
{
	const cJSON *r;
	cJSON_ArrayForEach(r, records) cJSON_AddItemToArray(to, cJSON_Duplicate(r, true));
}

/* Behind, and in front of, a whole frame. */
static void glue(const struct vector *v, const struct vector *mate)
{
	struct player *p = player_new(v->ident);
	player_feed(p, mate->segment[0], v->ident.len > 0 ? CODEC_QUIET_LONG_MS : 0);
	if (v->ident.len > 0) /* this unit's; else the one of the frame before */
		p->stream.link.unit = &p->got.units[0];
	player_feed(p, v->segment[0], 0);
	player_feed(p, mate->segment[0], 0);
	player_feed(p, nothing, CODEC_QUIET_FINAL);
	cJSON *want = cJSON_CreateArray();
	add_copies(want, records_of(mate));
	add_copies(want, records_of(v));
	add_copies(want, records_of(mate));
	char what[300];
	snprintf(what, sizeof(what), "%s: %s, glued with %s of %s", v->file, v->name, mate->name, mate->file);
	expect_records(p, want, what);
	expect_same_formats(p, what);
	cJSON_Delete(want);
	player_free(p);
}

/* The first frame of the file that needs nothing before it. */
static const struct vector *first_whole(const struct vectors *all)
{
	for (size_t i = 0; i < all->count; i++) {
		const struct vector *v = &all->item[i];
		if (v->is_frame && v->ident.len == 0 && cJSON_GetArraySize(records_of(v)) > 0)
			return v;
	}
	return NULL;
}

/* Every frame with the first one of each file of its codec. */
static void glue_all(const struct vectors *all)
{
	for (size_t mates = 0; mates < FILE_COUNT; mates++) {
		const struct vector *mate = first_whole(&all[mates]);
		for (size_t f = 0; f < FILE_COUNT; f++)
			for (size_t i = 0; mate != NULL && i < all[f].count; i++) {
				const struct vector *v = &all[f].item[i];
				bool sound = v->is_frame && cJSON_GetArraySize(records_of(v)) > 0;
				if (sound && v->codec == mate->codec)
					glue(v, mate);
			}
	}
}

static void noise_in_front(const struct vector *v)
{
	static const char *const noises[] = {"\r\n", "  ", ",T0.0#", "\x01\x02\xff", "*", "*HQ", "$", "##"};
	for (size_t i = 0; i < sizeof(noises) / sizeof(noises[0]); i++) {
		struct player *p = player_new(v->ident);
		player_feed(p, span_text(noises[i]), 0);
		for (unsigned s = 0; s < v->segments; s++)
			player_feed(p, v->segment[s], 0);
		player_feed(p, nothing, CODEC_QUIET_FINAL);
		check(p, v, noises[i]);
	}
}

/* Each truncation, ending at a page that must not be read. */
static void truncated(const struct vector *v)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct span s = v->segment[0];
	uint8_t *map = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(map != MAP_FAILED && s.len <= 2 * page);
	assert_int_equal(mprotect(map + 2 * page, page, PROT_NONE), 0);
	for (size_t n = 0; n < s.len; n++) {
		uint8_t *at = map + 2 * page - n;
		if (n > 0)
			memcpy(at, s.ptr, n);
		struct player *p = player_new(v->ident);
		p->stream.link.quiet_ms = CODEC_QUIET_FINAL;
		struct span in = span_of(at, n);
		for (;;) {
			struct frame frame;
			enum codec_status status = codec_next(&p->stream, in, &frame);
			if (status == CODEC_MORE || status == CODEC_NOT_MINE)
				break;
			if (status == CODEC_OK)
				status = codec_decode(&p->stream, span_of(in.ptr + frame.skip, frame.len),
					&p->scratch, &p->sink);
			assembly_settle(p->assembly, status);
			in = span_after(in, frame.skip + frame.len);
		}
		player_free(p);
	}
	munmap(map, 3 * page);
}

/* No bit flip may crash; with a check code none may pass as another record. */
static void bit_flips(const struct vector *v)
{
	uint8_t buf[4096];
	struct span s = v->segment[0];
	if (v->segments > 1 || s.len > sizeof(buf))
		return;
	for (size_t bit = 0; bit < s.len * 8; bit++) {
		memcpy(buf, s.ptr, s.len);
		buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
		struct player *p = player_new(v->ident);
		player_feed(p, span_of(buf, s.len), CODEC_QUIET_FINAL);
		expect_same_formats(p, v->name);
		size_t want = (size_t)cJSON_GetArraySize(records_of(v)); /* a flip may mend a bad one */
		if (v->checked && want > 0 && p->got.records > 0) {
			char what[200];
			snprintf(what, sizeof(what), "%s, bit %zu flipped", v->name, bit);
			expect_records(p, records_of(v), what);
		}
		player_free(p);
	}
}

/* No other codec recognises the start of a good frame, however few of its bytes have come, nor takes it for damaged. */
static void is_its_own_codecs(const struct vector *v)
{
	struct span s = v->segment[0];
	if (!v->is_frame || cJSON_GetArraySize(records_of(v)) == 0)
		return;
	for (const struct codec *const *c = codecs; *c != NULL; c++)
		for (size_t n = 1; n <= s.len && *c != v->codec; n++) {
			enum codec_status status = (*c)->sniff(span_of(s.ptr, n));
			if (status != CODEC_NOT_MINE && status != CODEC_MORE)
				fail_msg("%s: %s, %zu bytes: %s says %s", v->file, v->name, n, (*c)->name,
					codec_status_names[status]);
		}
}

static void test_no_other_codec_recognises_a_frame(void **state)
{
	(void)state;
	each(is_its_own_codecs);
}

static void test_whole(void **state)
{
	(void)state;
	each(whole);
}

static void test_whole_after_a_short_silence(void **state)
{
	(void)state;
	each(after_a_short_silence);
}

static void test_datagrams(void **state)
{
	(void)state;
	each(datagrams);
}

static void test_byte_by_byte(void **state)
{
	(void)state;
	each(byte_by_byte);
}

static void test_cut_in_two(void **state)
{
	(void)state;
	each(cut_in_two);
}

static void test_glued(void **state)
{
	(void)state;
	struct vectors all[FILE_COUNT];
	for (size_t f = 0; f < FILE_COUNT; f++)
		all[f] = vectors_load(files[f]);
	glue_all(all);
	for (size_t f = 0; f < FILE_COUNT; f++)
		vectors_free(&all[f]);
}

static void test_noise(void **state)
{
	(void)state;
	each(noise_in_front);
}

static void test_truncated(void **state)
{
	(void)state;
	each(truncated);
}

static void test_bit_flips(void **state)
{
	(void)state;
	each(bit_flips);
}

/* A codec without vectors is not tested. */
static void test_every_codec_has_vectors(void **state)
{
	(void)state;
	bool seen[16] = {false};
	for (size_t f = 0; f < FILE_COUNT; f++) {
		struct vectors all = vectors_load(files[f]);
		for (size_t c = 0; codecs[c] != NULL; c++)
			seen[c] |= first_whole(&all) != NULL && first_whole(&all)->codec == codecs[c];
		vectors_free(&all);
	}
	for (size_t c = 0; codecs[c] != NULL; c++)
		if (!seen[c])
			fail_msg("no vector of codec %s gives a record", codecs[c]->name);
}

/* --- the parameter table --- */

/* Set by the bridge for every record (records): no frame carries them, and none may. */
static const char *const of_the_bridge[] = {
	"protocol.id",      /* the codec that recognised the unit */
	"channel.id",       /* from the configuration */
	"peer",             /* from the socket */
	"device.id",        /* from the units file */
	"device.name",      /* from the units file */
	"device.type.id",   /* from the units file */
	"timestamp.valid",  /* the time of the frame against the clock */
	"server.timestamp", /* the clock */
	"server.seqnum",    /* from the outbox */
	"server.instance",  /* from the configuration, in a cluster */
	"status",           /* of the state topic, as the next two */
	"status.since",
	"position.timestamp",
};

static bool is_of_the_bridge(const char *key)
{
	for (size_t i = 0; i < sizeof(of_the_bridge) / sizeof(of_the_bridge[0]); i++)
		if (strcmp(key, of_the_bridge[i]) == 0)
			return true;
	return false;
}

/* What the vectors show of each parameter: a text, a number but 0, a boolean that is true and one that is false. */
struct shown {
	bool something, opposite;
};

static void show(struct shown shown[TM_FIELD_COUNT], const cJSON *record)
{
	for (size_t i = 0; i < TM_FIELD_COUNT; i++) {
		const cJSON *value = cJSON_GetObjectItemCaseSensitive(record, telemetry_params[i].key);
		bool is_flag = telemetry_params[i].type >= PARAM_BOOLEAN;
		shown[i].something |=
			is_flag ? cJSON_IsTrue(value)
				: cJSON_IsString(value) || (value != NULL && value->valuedouble != 0);
		shown[i].opposite |= !is_flag || cJSON_IsFalse(value);
	}
}

static void test_every_parameter_has_vectors(void **state)
{
	(void)state;
	struct shown shown[TM_FIELD_COUNT] = {0};
	char missing[8192] = "";
	for (size_t f = 0; f < FILE_COUNT; f++) {
		struct vectors all = vectors_load(files[f]);
		for (size_t i = 0; i < all.count; i++) {
			const cJSON *record;
			cJSON_ArrayForEach(record, records_of(&all.item[i])) show(shown, record);
		}
		vectors_free(&all);
	}
	size_t bridge = 0;
	for (size_t i = 0; i < TM_FIELD_COUNT; i++) {
		const char *key = telemetry_params[i].key;
		bool carried = shown[i].something && shown[i].opposite;
		bridge += is_of_the_bridge(key);
		if (is_of_the_bridge(key) ? shown[i].something : !carried)
			snprintf(missing + strlen(missing), sizeof(missing) - strlen(missing), "\n  %s", key);
	}
	if (missing[0] != '\0')
		fail_msg("parameters that no vector shows (a boolean: true and false; a number: not 0):%s",
			missing);
	assert_int_equal(bridge, sizeof(of_the_bridge) / sizeof(of_the_bridge[0]));
}

/* An argument is a pattern: the tests of this name. */
int main(int argc, char **argv)
{
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_other_codec_recognises_a_frame),
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_whole_after_a_short_silence),
		cmocka_unit_test(test_datagrams),
		cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_cut_in_two),
		cmocka_unit_test(test_glued),
		cmocka_unit_test(test_noise),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_bit_flips),
		cmocka_unit_test(test_every_codec_has_vectors),
		cmocka_unit_test(test_every_parameter_has_vectors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
