// SPDX-License-Identifier: MIT
/* first_packet: see first_packet.h. */
#include "bridge/web/first_packet.h"

#define CONNECT 0x10
#define CONNACK 0x20
#define AUTH 0xf0
#define HAS_NAME 0x80
#define HAS_WILL 0x04
#define MQTT_5 5

/* A number of MQTT, 7 bits a byte, at most four bytes. */
static uint32_t take_varint(struct reader *r)
{
	uint32_t n = 0;
	for (unsigned shift = 0; shift < 28; shift += 7) {
		uint8_t byte = reader_u8(r);
		n |= (uint32_t)(byte & 127) << shift;
		if (byte < 128)
			return n;
	}
	r->bad = true;
	return 0;
}

static bool has_varint(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] < 128 || i == 3)
			return true;
	return false;
}

static void skip_properties(struct reader *r, unsigned version)
{
	if (version == MQTT_5)
		reader_take(r, take_varint(r));
}

static struct first_names read_names(struct reader *r)
{
	struct span protocol = reader_counted(r);
	unsigned version = reader_u8(r), flags = reader_u8(r);
	reader_u16(r); /* keep alive */
	r->bad |= !span_is(protocol, "MQTT") || (version != 4 && version != MQTT_5);
	skip_properties(r, version);
	struct first_names names = {.client = reader_counted(r)};
	if (flags & HAS_WILL) {
		skip_properties(r, version);
		reader_counted(r);
		reader_counted(r);
	}
	if (flags & HAS_NAME)
		names.user = reader_counted(r);
	return names;
}

enum first_packet first_packet(struct span bytes, struct first_names *names)
{
	struct reader r = reader_of(bytes);
	*names = (struct first_names){.user = {0}};
	if (bytes.len > 0 && bytes.ptr[0] != CONNECT)
		return FIRST_NONE;
	if (bytes.len == 0 || !has_varint(span_after(bytes, 1)))
		return FIRST_MORE;
	reader_u8(&r);
	uint32_t len = take_varint(&r);
	if (r.bad)
		return FIRST_NONE;
	if (reader_left(&r) < len)
		return FIRST_MORE;
	struct reader packet = reader_of(reader_take(&r, len));
	const struct first_names found = read_names(&packet);
	if (packet.bad)
		return FIRST_NONE;
	*names = found;
	return found.user.len == 0 ? FIRST_NAMELESS : FIRST_NAMED;
}

enum first_answer first_answer(struct span bytes, unsigned *code)
{
	struct reader r = reader_of(bytes);
	*code = 0;
	if (bytes.len == 0)
		return ANSWER_MORE;
	uint8_t kind = reader_u8(&r);
	if (kind != CONNACK)
		return kind == AUTH ? ANSWER_LET_IN : ANSWER_REFUSED;
	if (!has_varint(span_after(bytes, 1)))
		return ANSWER_MORE;
	if (take_varint(&r) < 2)
		return ANSWER_REFUSED;
	reader_u8(&r); /* is there a session? */
	unsigned found = reader_u8(&r);
	if (r.bad)
		return ANSWER_MORE;
	*code = found;
	return found == 0 ? ANSWER_LET_IN : ANSWER_REFUSED;
}
