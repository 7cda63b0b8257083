// SPDX-License-Identifier: MIT
/* test_web: the frames of WebSocket, compression, and the first packet, without a socket. */
#include "bridge/web/deflate.h"
#include "bridge/web/first_packet.h"
#include "bridge/web/websocket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static int head_of(const char *bytes, size_t len, bool may_pack, struct websocket_head *out)
{
	return websocket_read(span_of(bytes, len), may_pack, out);
}
#define HEAD(bytes, may_pack) head_of(bytes, sizeof(bytes) - 1, may_pack, &h)

static void test_heads(void **state)
{
	struct websocket_head h;
	(void)state;
	assert_int_equal(HEAD("\x82\x85mask", false), 0);
	assert_true(h.kind == WEBSOCKET_BINARY && h.len == 5 && h.size == 6 && !h.packed);
	assert_memory_equal(h.mask, "mask", 4);
	assert_int_equal(HEAD("\x82\xfe\x01\x00mask", false), 0);
	assert_true(h.len == 256 && h.size == 8);
	assert_int_equal(HEAD("\x82\xff\0\0\0\0\0\x01\0\0mask", false), 0);
	assert_true(h.len == 65536 && h.size == 14);
	assert_int_equal(HEAD("\xc2\x85mask", true), 0);
	assert_true(h.packed);
	assert_int_equal(HEAD("\xc2\x85mask", false), WEBSOCKET_FAULT);
	assert_int_equal(HEAD("\x89\xfd"
			      "mask",
				 false),
		0);
	assert_int_equal(HEAD("\x89\xfe\0\x7e"
			      "mask",
				 false),
		WEBSOCKET_FAULT);
	assert_int_equal(HEAD("\xc9\x80mask", true), WEBSOCKET_FAULT); /* control frames are never compressed */
	assert_int_equal(HEAD("\x82\xff\0\0\0\0\0\x01\0\1mask", false), WEBSOCKET_TOO_LARGE);
	assert_int_equal(HEAD("\x82\xff\x80\0\0\0\0\0\0\0mask", false), WEBSOCKET_TOO_LARGE);
}

/* Each beginning of a head needs more bytes, or is refused already; none is accepted. */
static void test_beginnings(void **state)
{
	static const char head[] = "\x82\xff\0\0\0\0\0\0\x10\0mask";
	struct websocket_head h;
	(void)state;
	for (size_t n = 0; n < sizeof(head) - 1; n++)
		assert_int_equal(head_of(head, n, false, &h), -1);
}

static void test_written_heads(void **state)
{
	uint8_t out[WEBSOCKET_HEAD_OUT];
	(void)state;
	assert_int_equal(websocket_write(WEBSOCKET_BINARY, false, 125, out), 2);
	assert_memory_equal(out, "\x82\x7d", 2);
	assert_int_equal(websocket_write(WEBSOCKET_BINARY, true, 65535, out), 4);
	assert_memory_equal(out, "\xc2\x7e\xff\xff", 4);
	assert_int_equal(websocket_write(WEBSOCKET_CLOSE, false, 126, out), 4);
	assert_memory_equal(out, "\x88\x7e\0\x7e", 4);
}

/* The example of RFC 6455. */
static void test_accept(void **state)
{
	char out[WEBSOCKET_KEY_MOST];
	(void)state;
	assert_true(websocket_accept("dGhlIHNhbXBsZSBub25jZQ==", out));
	assert_string_equal(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	assert_false(websocket_accept(NULL, out));
	assert_false(websocket_accept("dGhlIHNhbXBsZSBub25jZQ", out));
}

static void test_mask(void **state)
{
	struct websocket_head h = {.mask = {1, 2, 3, 4}};
	uint8_t bytes[] = {1, 2, 3, 4, 5, 6};
	(void)state;
	websocket_unmask(&h, bytes, sizeof(bytes));
	assert_memory_equal(bytes, "\0\0\0\0\x04\x04", 6);
}

/* --- compression --- */

static void test_there_and_back(void **state)
{
	static uint8_t packed[70000], back[70000], message[60000];
	struct deflate *d = deflate_open();
	size_t sent = 0;
	(void)state;
	assert_non_null(d);
	for (unsigned n = 0; n < 200; n++) {
		size_t len = n * 300;
		for (size_t i = 0; i < len; i++)
			message[i] = (uint8_t)(n % 3 == 0 ? (unsigned)rand() : i % 40);
		struct writer out = writer_of(packed, sizeof(packed)), in = writer_of(back, sizeof(back));
		assert_true(deflate_pack(d, span_of(message, len), &out));
		assert_true(deflate_unpack(d, writer_span(&out), &in));
		assert_int_equal(in.len, len);
		assert_memory_equal(back, message, len);
		sent += out.len;
	}
	assert_true(sent > 0);
	deflate_free(d);
}

static void test_no_room(void **state)
{
	static uint8_t packed[2000], back[1000];
	static const uint8_t zeros[60000];
	struct deflate *d = deflate_open();
	struct writer out = writer_of(packed, sizeof(packed)), in = writer_of(back, sizeof(back));
	(void)state;
	assert_true(deflate_pack(d, span_of(zeros, sizeof(zeros)), &out));
	assert_false(deflate_unpack(d, writer_span(&out), &in)); /* larger than the room */
	deflate_free(d);
	d = deflate_open();
	out = writer_of(packed, 3);
	assert_false(deflate_pack(d, span_of("abcdefgh", 8), &out));
	assert_false(deflate_unpack(d, span_of("\xff\xff\xff", 3), &in));
	deflate_free(d);
}

static void test_offers(void **state)
{
	const char *answer;
	(void)state;
	assert_true(deflate_agreed("permessage-deflate", &answer));
	assert_string_equal(answer, "permessage-deflate");
	assert_true(deflate_agreed("permessage-deflate; client_max_window_bits", &answer));
	assert_true(deflate_agreed("permessage-deflate, x-other", &answer));
	assert_false(deflate_agreed("permessage-deflate; server_no_context_takeover", &answer));
	assert_false(deflate_agreed("permessage-deflates", &answer));
	assert_false(deflate_agreed("x-webkit-deflate-frame", &answer));
	assert_false(deflate_agreed("", &answer));
	assert_false(deflate_agreed(NULL, &answer));
}

/* --- the first packet --- */

#define FIRST(bytes) first_packet(span_of(bytes, sizeof(bytes) - 1), &names)

static void test_first_packets(void **state)
{
	struct first_names names;
	(void)state;
	assert_int_equal(FIRST("\x10\x12\0\4MQTT\4\x82\0\x3c\0\2id\0\2me"), FIRST_NAMED);
	assert_true(span_is(names.user, "me") && span_is(names.client, "id"));
	assert_int_equal(FIRST("\x10\x13\0\4MQTT\5\x82\0\x3c\0\0\2id\0\2me"), FIRST_NAMED);
	assert_int_equal(FIRST("\x10\x18\0\4MQTT\5\x82\0\x3c\5\x11\0\0\0\1\0\2id\0\2me"), FIRST_NAMED);
	assert_true(span_is(names.user, "me") && span_is(names.client, "id"));
	/* with a will */
	assert_int_equal(FIRST("\x10\x1a\0\4MQTT\5\x86\0\x3c\0\0\2id\0\0\1t\0\1p\0\2me"), FIRST_NAMED);
	assert_true(span_is(names.user, "me") && span_is(names.client, "id"));
	assert_int_equal(FIRST("\x10\x0e\0\4MQTT\4\2\0\x3c\0\2id"), FIRST_NAMELESS);
	assert_true(names.user.len == 0 && span_is(names.client, "id"));
	assert_int_equal(FIRST("\x10\x10\0\4MQTT\4\x82\0\x3c\0\2id\0\0"), FIRST_NAMELESS);
	assert_int_equal(FIRST("\x10\x12\0\4MQTX\4\x82\0\x3c\0\2id\0\2me"), FIRST_NONE);
	assert_int_equal(FIRST("\x10\x12\0\4MQTT\3\x82\0\x3c\0\2id\0\2me"), FIRST_NONE);
	assert_int_equal(FIRST("\x10\x12\0\4MQTT\4\x82\0\x3c\0\2id\0\xffme"), FIRST_NONE);
	assert_int_equal(FIRST("\x10\x80\x80\x80\x80\1"), FIRST_NONE);
	assert_int_equal(FIRST("\x20\2\0\0"), FIRST_NONE);
	assert_int_equal(FIRST("\x10\x00"), FIRST_NONE);
	assert_int_equal(FIRST("\x10\x12\0\4MQTT\4\x82\0\x3c\0\2id\0\2m"), FIRST_MORE);
	assert_int_equal(FIRST("\x10"), FIRST_MORE);
	assert_int_equal(FIRST(""), FIRST_MORE);
}

#define ANSWER(bytes) first_answer(span_of(bytes, sizeof(bytes) - 1), &code)

/* Each beginning of an answer needs more; its code decides, however long its properties are. */
static void test_first_answers(void **state)
{
	static const char large[] = "\x20\xff\1\0\x87";
	unsigned code;
	(void)state;
	assert_int_equal(ANSWER("\x20\2\0\0"), ANSWER_LET_IN);
	assert_int_equal(ANSWER("\x20\2\1\0more"), ANSWER_LET_IN);
	assert_int_equal(ANSWER("\x20\6\0\0\3\x21\0\5"), ANSWER_LET_IN);
	assert_int_equal(ANSWER("\x20\2\0\5"), ANSWER_REFUSED);
	assert_int_equal(code, 5);
	for (size_t n = 0; n < sizeof(large) - 1; n++)
		assert_int_equal(first_answer(span_of(large, n), &code), ANSWER_MORE);
	assert_int_equal(ANSWER("\x20\xff\1\0\x87"), ANSWER_REFUSED);
	assert_int_equal(code, 0x87);
	assert_int_equal(ANSWER("\xf0\2\x18\0"), ANSWER_LET_IN);
	assert_int_equal(ANSWER("\x30\2\0\0"), ANSWER_REFUSED);
	assert_int_equal(ANSWER("\x20\1\0"), ANSWER_REFUSED);
	assert_int_equal(ANSWER("\x20\xff\xff\xff\x7f\0\0"), ANSWER_LET_IN);
	assert_int_equal(ANSWER("\x20\xff\xff\xff\xff"), ANSWER_REFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heads),
		cmocka_unit_test(test_beginnings),
		cmocka_unit_test(test_written_heads),
		cmocka_unit_test(test_accept),
		cmocka_unit_test(test_mask),
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_offers),
		cmocka_unit_test(test_first_packets),
		cmocka_unit_test(test_first_answers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
