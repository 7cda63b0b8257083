// SPDX-License-Identifier: MIT
/* test_answers: what a codec answers never starts a talk without end, and is never much longer than what it answers. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>

#define ROUNDS 8
#define UDP_FACTOR 3

static const char *const files[] = {VECTOR_FILES};
#define FILE_COUNT (sizeof(files) / sizeof(files[0]))

static const struct span nothing;

struct form {
	const char *ack, *registration, *auth_code;
};

static const struct form forms[] = {
	{"auto", "accept", ""},
	{"v4", "reject", ""},
	{"r12", "accept", "*HQ,1,V0#"},
	{"off", "accept", "1"},
};
#define FORM_COUNT (sizeof(forms) / sizeof(forms[0]))

static void each(void (*test)(const struct vector *, const struct form *))
{
	for (size_t f = 0; f < FILE_COUNT; f++) {
		struct vectors all = vectors_load(files[f]);
		for (size_t i = 0; i < all.count; i++)
			for (size_t k = 0; k < FORM_COUNT; k++)
				test(&all.item[i], &forms[k]);
		vectors_free(&all);
	}
}

/* What was sent, from the form in which the harness keeps it. */
static struct span sent_bytes(const char *sent, uint8_t *buf, size_t size)
{
	if (sent[0] == '*')
		return span_text(sent);
	size_t n = strlen(sent) / 2;
	assert_true(n <= size);
	for (size_t i = 0; i < n; i++)
		buf[i] = (uint8_t)(byte_hex((uint8_t)sent[2 * i]) << 4 | byte_hex((uint8_t)sent[2 * i + 1]));
	return span_of(buf, n);
}

static struct player *player_for(const struct vector *v, const struct form *form, bool pinned)
{
	struct player *p = player_new(v->ident);
	player_set(p, "h02", "ack", form->ack);
	player_set(p, "jt808", "registration", form->registration);
	player_set(p, "jt808", "auth_code", form->auth_code);
	for (unsigned i = 0; pinned && i < v->segments; i++)
		player_feed(p, v->segment[i], 0);
	if (pinned) {
		player_feed(p, nothing, CODEC_QUIET_LONG_MS);
		p->len = 0;
	}
	return p;
}

/* Two ends tell each other the answers of the other, from this one on. An answer that is the frame itself is left out: the
 * bridge sends such a one seldom. Fails unless they fall silent. */
static void talk(const struct vector *v, struct player *ends[2], const char *first, const char *how)
{
	uint8_t buf[2][2048];
	struct span heard = sent_bytes(first, buf[0], sizeof(buf[0]));
	for (int round = 1; heard.len > 0; round++) {
		struct player *p = ends[round % 2];
		size_t before = p->got.sends;
		if (round > ROUNDS)
			fail_msg("%s: %s: %s is still answered after %d rounds", v->name, how, first, ROUNDS);
		player_feed(p, heard, round % 2 ? CODEC_QUIET_FINAL : 0);
		struct span said = nothing;
		for (size_t i = before; i < p->got.sends; i++) {
			struct span answer = sent_bytes(p->got.sent[i], buf[round % 2], sizeof(buf[0]));
			if (!codec_is_echo(heard, answer))
				said = answer;
		}
		heard = said;
	}
}

static void dies_out(const struct vector *v, const struct form *form)
{
	static const char *const how[] = {"both fresh", "the first knows the codec", "the second", "both"};
	struct player *p = player_for(v, form, true);
	for (size_t i = 0; i < p->got.sends; i++)
		for (unsigned k = 0; k < 4; k++) {
			struct player *ends[] = {player_for(v, form, k & 2), player_for(v, form, k & 1)};
			talk(v, ends, p->got.sent[i], how[k]);
			player_free(ends[0]);
			player_free(ends[1]);
		}
	player_free(p);
}

static void test_no_talk_without_end(void **state)
{
	(void)state;
	each(dies_out);
}

/* The unit's own heartbeat is what its answer looks like: only this may be answered in turn, and is told apart. */
static void test_only_heartbeats_are_echoed(void **state)
{
	(void)state;
	const struct {
		const char *frame;
		bool echo;
	} rows[] = {
		{"*HQ,5553001,V0#", true},
		{"*HQ,5553001,HTBT#", true},
		{"*HQ,5553001,HTBT,85#", false},
		{"*HQ,5553001,LINK,120000,1,2,3,4,5,010126#", false},
		{"*HQ,5553001,R12,120000#", false},
		{"*HQ,5553001,V4,V1,20260101120000#", false},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t buf[256];
		struct player *p = player_new(nothing);
		player_feed(p, span_text(rows[i].frame), 0);
		bool echo = p->got.sends == 1 && codec_is_echo(span_text(rows[i].frame),
							 sent_bytes(p->got.sent[0], buf, sizeof(buf)));
		if (echo != rows[i].echo || p->got.records != 1)
			fail_msg("%s: %s", rows[i].frame, echo ? "echoed" : "not echoed");
		player_free(p);
	}
}

/* --- messages of a platform --- */

static size_t put_message(uint8_t out[128], uint16_t id, bool part)
{
	uint8_t raw[64], check = 0;
	struct writer w = writer_of(raw, sizeof(raw)), o = writer_of(out, 128);
	writer_u16(&w, id);
	writer_u16(&w, part ? 0x2005 : 5);
	writer_bytes(&w, "\x01\x39\x12\x34\x56\x78", 6);
	writer_u16(&w, 1);
	if (part)
		writer_u32(&w, 0x00020001);
	writer_bytes(&w, "\0\1\2\0\0", 5);
	for (size_t i = 0; i < w.len; i++)
		check ^= raw[i];
	writer_u8(&w, check);
	writer_u8(&o, 0x7e);
	for (size_t i = 0; i < w.len; i++) {
		bool escape = raw[i] == 0x7e || raw[i] == 0x7d;
		writer_u8(&o, escape ? 0x7d : raw[i]);
		if (escape)
			writer_u8(&o, raw[i] == 0x7d ? 1 : 2);
	}
	writer_u8(&o, 0x7e);
	return o.len;
}

/* On a connection that is a unit's already: no record, no unit, no answer, and counted as what they are. */
static void test_messages_of_a_platform_are_not_answered(void **state)
{
	(void)state;
	uint8_t frame[128];
	for (unsigned id = 0x8000; id <= 0xffff; id++) {
		bool makers_own = id >> 12 == 0xe; /* units may send these */
		if (makers_own || ((id & 0xff) > 0x10 && (id & 0xff) < 0xf0))
			continue;
		struct player *p = player_new(nothing);
		p->stream.codec = codec_find(span_text("jt808"));
		for (int part = 0; part < 2; part++)
			player_feed(p, span_of(frame, put_message(frame, (uint16_t)id, part)), 0);
		if (p->got.sends + p->got.records + p->got.unit_count > 0 ||
			p->got.by_status[CODEC_FROM_PLATFORM] != 2)
			fail_msg("0x%04X: %zu answers, %zu records", id, p->got.sends, p->got.records);
		player_free(p);
	}
}

/* --- lengths --- */

static double worst;
static char worst_name[200];

/* What is answered to all frames of a peer so far is bounded by what came; so each frame bears its own answer. */
static void not_much_longer(const struct vector *v, const struct form *form)
{
	size_t came = 0, went = 0;
	uint8_t buf[2048];
	struct player *p = player_for(v, form, true);
	for (unsigned i = 0; i < v->segments; i++)
		came += v->segment[i].len;
	for (size_t i = 0; i < p->got.sends; i++)
		went += sent_bytes(p->got.sent[i], buf, sizeof(buf)).len;
	player_free(p);
	if (went > UDP_FACTOR * came)
		fail_msg("%s: %zu bytes are answered with %zu", v->name, came, went);
	if ((double)went / (double)came > worst) {
		worst = (double)went / (double)came;
		snprintf(worst_name, sizeof(worst_name), "%s: %zu -> %zu", v->name, came, went);
	}
}

static void test_answers_are_not_much_longer(void **state)
{
	(void)state;
	each(not_much_longer);
	print_message("the longest answer for its frame: %s, %.2f\n", worst_name, worst);
}

/* The shortest messages that get an answer of their kind, with every byte of the answer that can be escaped so. */
static void test_the_shortest_frames(void **state)
{
	(void)state;
	static const char *const bodies[] = {"\0\2", "\0\4", "\1\1", "\x01\x09", "\x0f\x42"};
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		for (unsigned serial = 0; serial < 0x10000; serial += 0x7d7d) {
			uint8_t raw[13] = {(uint8_t)bodies[i][0], (uint8_t)bodies[i][1], 0, 0, 0x7d, 0x7d, 0x7d,
				0x7d, 0x7d, 0x7d, (uint8_t)(serial >> 8), (uint8_t)serial};
			uint8_t frame[64], buf[256];
			struct writer w = writer_of(frame, sizeof(frame));
			for (size_t k = 0; k < 12; k++)
				raw[12] ^= raw[k];
			writer_u8(&w, 0x7e);
			for (size_t k = 0; k < 13; k++) {
				bool escape = raw[k] == 0x7d || raw[k] == 0x7e;
				writer_u8(&w, escape ? 0x7d : raw[k]);
				if (escape)
					writer_u8(&w, raw[k] - 0x7c);
			}
			writer_u8(&w, 0x7e);
			struct player *p = player_new(nothing);
			for (int times = 0; times < 300; times++) { /* our serial numbers grow */
				size_t before = p->got.sends;
				player_feed(p, writer_span(&w), 0);
				assert_int_equal(p->got.sends, before + 1);
				size_t went = sent_bytes(p->got.sent[before], buf, sizeof(buf)).len;
				assert_true(went <= UDP_FACTOR * w.len);
			}
			player_free(p);
		}
}

/* A request for missing parts is cut to what its frame bears. */
static void test_a_request_for_parts_is_not_long(void **state)
{
	(void)state;
	for (uint8_t body = 0; body < 40; body++) {
		uint8_t raw[64] = {0x09, 0x00, 0x20, body, 1, 0x39, 0x12, 0x34, 0x56, 0x78, 0, 1, 0, 32, 0, 32};
		uint8_t frame[128], check = 0, buf[2048];
		struct writer w = writer_of(frame, sizeof(frame));
		for (size_t i = 0; i < 16u + body; i++)
			check ^= raw[i];
		raw[16 + body] = check;
		writer_u8(&w, 0x7e);
		writer_bytes(&w, raw, 17u + body);
		writer_u8(&w, 0x7e);
		struct player *p = player_new(nothing);
		player_feed(p, writer_span(&w), 0);
		assert_int_equal(p->got.sends, 1);
		assert_memory_equal(p->got.sent[0] + 2, "8003", 4);
		assert_true(sent_bytes(p->got.sent[0], buf, sizeof(buf)).len <= UDP_FACTOR * w.len);
		player_free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_talk_without_end),
		cmocka_unit_test(test_only_heartbeats_are_echoed),
		cmocka_unit_test(test_messages_of_a_platform_are_not_answered),
		cmocka_unit_test(test_answers_are_not_much_longer),
		cmocka_unit_test(test_the_shortest_frames),
		cmocka_unit_test(test_a_request_for_parts_is_not_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
