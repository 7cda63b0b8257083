// SPDX-License-Identifier: MIT
/* fuzz_path_parts: a part of a JT/T 808 message is acknowledged only when the records of the whole message are put, or
 * when it comes again after that.
 *
 * The linker leads the bridge's calls of codec_decode to here. */
#include "fuzz_path.h"

#include <stdlib.h>

#define ACKNOWLEDGED 4096

/* What a frame of JT/T 808 says of itself. */
struct frame_head {
	uint16_t id, serial;
	bool part;
	uint64_t unit; /* its number without leading zeros: its form differs between the versions */
	struct span body;
};

/* Parts of which all records were put: a hash of unit, id and serial of each. */
static uint64_t acknowledged[ACKNOWLEDGED];
static size_t acknowledged_count;
static struct {
	bool part, refused;
	unsigned records;
	struct frame_head head;
} at_hand; /* the frame being decoded */

void parts_reset(void)
{
	acknowledged_count = 0;
	memset(&at_hand, 0, sizeof(at_hand));
}

void parts_record(bool taken)
{
	at_hand.refused |= !taken;
	at_hand.records += taken;
}

static size_t unescape(struct span frame, uint8_t *out, size_t size)
{
	size_t n = 0, from = frame.ptr[0] == 0x7e; /* else it shares its delimiter with the frame before */
	for (size_t i = from; i + 1 < frame.len && n < size; i++) {
		bool escaped = frame.ptr[i] == 0x7d && i + 2 < frame.len;
		out[n++] = escaped ? (frame.ptr[i + 1] == 2 ? 0x7e : 0x7d) : frame.ptr[i];
		i += escaped;
	}
	return n > 0 ? n - 1 : 0; /* the check byte */
}

/* False: it is none. `buf` holds the body. */
static bool read_head(struct span frame, uint8_t buf[2100], struct frame_head *h)
{
	if (frame.len < 14 || frame.ptr[frame.len - 1] != 0x7e)
		return false;
	struct reader r = reader_of(span_of(buf, unescape(frame, buf, 2100)));
	memset(h, 0, sizeof(*h));
	h->id = reader_u16(&r);
	uint16_t attributes = reader_u16(&r);
	bool version_2019 = attributes & 0x4000;
	if (version_2019)
		reader_u8(&r);
	struct span phone = reader_take(&r, version_2019 ? 10 : 6);
	for (size_t i = 0; i < 2 * phone.len; i++)
		h->unit = h->unit * 31 + (phone.ptr[i / 2] >> (i % 2 ? 0 : 4)) % 16;
	h->serial = reader_u16(&r);
	h->part = attributes & 0x2000;
	if (h->part)
		h->part = reader_u16(&r) > 1; /* one part of one is whole */
	h->body = reader_take(&r, reader_left(&r));
	return !r.bad;
}

static uint64_t key_of(uint64_t unit, uint16_t id, uint16_t serial)
{
	return (unit * 0x9e3779b97f4a7c15 ^ id) * 0x9e3779b97f4a7c15 ^ serial;
}

static bool was_acknowledged(uint64_t key)
{
	for (size_t i = 0; i < acknowledged_count && i < ACKNOWLEDGED; i++)
		if (acknowledged[i] == key)
			return true;
	return acknowledged_count > ACKNOWLEDGED; /* too many to know */
}

/* 0x8001 with a result that is not 0: the unit is to send again, or to stop. */
static bool says_no(const struct frame_head *answer)
{
	return answer->id == 0x8001 && answer->body.len == 5 && answer->body.ptr[4] != 0;
}

void parts_answer(struct span frame)
{
	uint8_t buf[2100];
	struct frame_head answer;
	bool jt808 = read_head(frame, buf, &answer);
	must("answer-refused", !at_hand.refused || (jt808 && says_no(&answer)),
		"a record found no room, and is acknowledged");
	if (!at_hand.part || !jt808 || says_no(&answer) || answer.id == 0x8003)
		return;
	if (answer.id != 0x8001) {
		must("part-early", at_hand.records > 0,
			"a part is answered with %04x before its message is put", answer.id);
		return;
	}
	struct reader r = reader_of(answer.body);
	uint16_t serial = reader_u16(&r), id = reader_u16(&r);
	uint64_t key = key_of(at_hand.head.unit, id, serial);
	must("part-early", at_hand.records > 0 || was_acknowledged(key),
		"part %u of %04x is acknowledged before its message is put", serial, id);
	if (at_hand.records > 0)
		acknowledged[acknowledged_count++ % ACKNOWLEDGED] = key;
}

enum codec_status __real_codec_decode(struct codec_stream *stream, struct span frame, struct telemetry *scratch,
	const struct codec_sink *sink);
enum codec_status __wrap_codec_decode(struct codec_stream *stream, struct span frame, struct telemetry *scratch,
	const struct codec_sink *sink);
enum codec_status __wrap_codec_decode(struct codec_stream *stream, struct span frame, struct telemetry *scratch,
	const struct codec_sink *sink)
{
	uint8_t buf[2100];
	memset(&at_hand, 0, sizeof(at_hand));
	at_hand.part = read_head(frame, buf, &at_hand.head) && at_hand.head.part;
	enum codec_status status = __real_codec_decode(stream, frame, scratch, sink);
	bool later = status == CODEC_REFUSED || status == CODEC_NO_ROOM;
	must("batch-half", !later || at_hand.records == 0, "%u records are put of a frame that comes again",
		at_hand.records);
	memset(&at_hand, 0, sizeof(at_hand));
	return status;
}
