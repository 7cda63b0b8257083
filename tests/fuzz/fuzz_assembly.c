// SPDX-License-Identifier: MIT
/* fuzz_assembly: parts of some units from some addresses in any order, with little memory. Each body names its own frame, so
 * that a message is seen to hold nothing but parts of its own, and a part is known only when its message has ended. */
#include "bridge/units/assembly.h"

#include <assert.h>
#include <stdlib.h>

#define MEMORY 8192
#define BODY 8
#define ENDED_MOST 4096

struct ended {
	uint8_t body[BODY];
};

static struct ended ended[ENDED_MOST];
static size_t ended_count;

static bool has_ended(const uint8_t body[BODY])
{
	for (size_t i = 0; i < ended_count; i++)
		if (memcmp(ended[i].body, body, BODY) == 0)
			return true;
	return false;
}

/* Each part is there once, in its place, and is one of this unit and message. */
static void check_whole(const struct codec_parts *out, const uint8_t body[BODY])
{
	const uint8_t *whole = out->whole.ptr;
	size_t len = out->whole.len;
	for (uint8_t number = 1; number <= body[2]; number++) {
		assert(len >= BODY && whole[0] == body[0] && whole[1] == body[1] && whole[2] == body[2]);
		assert(whole[3] == number);
		assert(out->serials[number - 1] == (whole[4] << 8 | whole[5]));
		size_t n = BODY + whole[6] * 4u;
		assert(n <= len);
		whole += n;
		len -= n;
	}
	assert(len == 0);
}

static void remember(const struct codec_parts *out, unsigned total)
{
	const uint8_t *whole = out->whole.ptr;
	for (unsigned i = 0; i < total && ended_count < ENDED_MOST; i++) {
		memcpy(ended[ended_count++].body, whole, BODY);
		whole += BODY + whole[6] * 4u;
	}
}

static void one(struct assembly *a, const uint8_t *in, int64_t *now_ms)
{
	static const char *const idents[] = {"1", "22", "333", "12345678901234567890"};
	uint8_t address[16] = {in[0] >> 2 & 3}, body[BODY + 255 * 4] = {0};
	struct assembly_from from = {idents[in[0] & 3], address, in[0] & 0x10};
	struct codec_part part = {.kind = in[1] & 1, .total = in[2] % 7u, .number = in[3] % 8u};
	struct codec_parts out;
	part.serial = (uint16_t)(in[4] & 15);
	const uint8_t head[BODY] = {in[0] & 3, (uint8_t)part.kind, (uint8_t)part.total, (uint8_t)part.number, 0,
		(uint8_t)part.serial, in[5] & 0x1f ? 0 : in[5], in[5] >> 7};
	memcpy(body, head, BODY);
	part.body = span_of(body, BODY + body[6] * 4u);
	*now_ms += in[1] & 0x80 ? in[6] * 1000 : in[6];
	enum codec_status status = assembly_add(a, &from, 6, &part, *now_ms, &out);
	assert(assembly_bytes(a) <= MEMORY);
	assert((status == CODEC_BAD_LENGTH) == (part.number < 1 || part.number > part.total));
	assert(status != CODEC_MORE || out.missing_count < part.total);
	if (status == CODEC_FRAGMENT)
		assert(has_ended(body) && out.ended == CODEC_OK);
	enum codec_status verdict = in[1] & 0x40 ? CODEC_REFUSED : CODEC_OK;
	if (status == CODEC_OK) {
		check_whole(&out, head);
		if (verdict == CODEC_OK)
			remember(&out, part.total);
	}
	assembly_settle(a, verdict);
	if (in[1] & 0x20)
		assembly_tidy(a, *now_ms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int64_t now_ms = 1000;
	struct assembly *a = assembly_open(MEMORY);
	assert(a != NULL);
	ended_count = 0;
	for (size_t at = 0; at + 7 <= size && ended_count < ENDED_MOST - 8; at += 7)
		one(a, data + at, &now_ms);
	assembly_tidy(a, INT64_MAX);
	assert(assembly_bytes(a) == 0);
	assembly_free(a);
	return 0;
}
