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
	if (cJSON_GetArraySize(records_of(v)) == 0 && p->got.errors == 0)
		assert_true(p->got.by_status[CODEC_NOT_MINE] + p->got.by_status[CODEC_FRAGMENT] > 0);
	check(p, v, "whole");
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

/* Behind, and in front of, a whole frame of the same codec. */
static void glued(const struct vector *v)
{
	struct span before = {0};
	const cJSON *first = cJSON_GetArrayItem(records_of(v), 0);
	if (first == NULL || v->segments > 1)
		return;
	struct player *single = player_new(v->ident);
	player_feed(single, v->segment[0], CODEC_QUIET_FINAL);
	const char *codec = single->stream.codec->name;
	player_free(single);
	before = strcmp(codec, "h02") == 0
			 ? span_text("*HQ,123456789012345678,HTBT#")
			 : span_of("\x7e\x00\x02\x00\x00\x01\x39\x12\x34\x56\x78\x00\x02\x30\x7e", 15);
	struct player *p = player_new(v->ident);
	player_feed(p, before, 0);
	struct codec_unit *bound = v->ident.len > 0 ? &p->got.units[0] : NULL;
	if (bound != NULL)
		p->stream.link.unit = bound;
	player_feed(p, v->segment[0], 0);
	player_feed(p, before, 0);
	player_feed(p, nothing, CODEC_QUIET_FINAL);
	size_t want = (size_t)cJSON_GetArraySize(records_of(v));
	if (p->got.records != want + 2)
		fail_msg("%s, glued: want %zu records, got %zu", v->name, want + 2, p->got.records);
	cJSON *middle = cJSON_CreateArray();
	for (const cJSON *r = records_of(v)->child; r != NULL; r = r->next)
		cJSON_AddItemToArray(middle, cJSON_Duplicate(r, true));
	free(p->got.json[0]);
	free(p->got.packed[0].ptr);
	free(p->got.json[want + 1]);
	free(p->got.packed[want + 1].ptr);
	memmove(&p->got.json[0], &p->got.json[1], want * sizeof(p->got.json[0]));
	memmove(&p->got.packed[0], &p->got.packed[1], want * sizeof(p->got.packed[0]));
	p->got.records = want;
	char what[200];
	snprintf(what, sizeof(what), "%s, glued", v->name);
	expect_records(p, middle, what);
	cJSON_Delete(middle);
	player_free(p);
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
	bool checked = strcmp(v->file, "jt808.jsonl") == 0; /* one frame a row, with a check code */
	if (v->segments > 1 || s.len > sizeof(buf))
		return;
	for (size_t bit = 0; bit < s.len * 8; bit++) {
		memcpy(buf, s.ptr, s.len);
		buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
		struct player *p = player_new(v->ident);
		player_feed(p, span_of(buf, s.len), CODEC_QUIET_FINAL);
		expect_same_formats(p, v->name);
		size_t want = (size_t)cJSON_GetArraySize(records_of(v)); /* a flip may mend a bad one */
		if (checked && want > 0 && p->got.records > 0) {
			char what[200];
			snprintf(what, sizeof(what), "%s, bit %zu flipped", v->name, bit);
			expect_records(p, records_of(v), what);
		}
		player_free(p);
	}
}

static void test_whole(void **state)
{
	(void)state;
	each(whole);
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
	each(glued);
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

/* A codec without vectors is not tested: every codec must be recognised in some. */
static void test_every_codec_has_vectors(void **state)
{
	(void)state;
	bool seen[16] = {false};
	for (size_t f = 0; f < FILE_COUNT; f++) {
		struct vectors all = vectors_load(files[f]);
		for (size_t i = 0; i < all.count; i++) {
			struct player *p = player_new(all.item[i].ident);
			player_feed(p, all.item[i].segment[0], CODEC_QUIET_FINAL);
			for (size_t c = 0; codecs[c] != NULL && c < 16; c++)
				seen[c] |= p->got.records > 0 && p->stream.codec == codecs[c];
			player_free(p);
		}
		vectors_free(&all);
	}
	for (size_t c = 0; codecs[c] != NULL; c++)
		if (!seen[c])
			fail_msg("no vector of codec %s gives a record", codecs[c]->name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_datagrams),
		cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_cut_in_two),
		cmocka_unit_test(test_glued),
		cmocka_unit_test(test_noise),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_bit_flips),
		cmocka_unit_test(test_every_codec_has_vectors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
