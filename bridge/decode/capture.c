// SPDX-License-Identifier: MIT
/* capture: see capture.h.
 *
 *   pcap     magic 4, version 4, zone 4, sigfigs 4, snaplen 4, link type 4;   seconds 4, fraction 4, captured 4, on the wire 4, bytes
 *   pcapng   block type 4, length 4, body, length 4;   0A0D0D0A section: byte order 1A2B3C4D;   1 interface: link type 2, 0 2, snaplen 4,
 *            options;   6 packet: interface 4, time high 4, low 4, captured 4, on the wire 4, bytes;   3 simple packet: on the wire 4, bytes
 * Numbers are in the byte order of the machine that wrote the file: the magic tells. */
#include "bridge/decode/capture.h"

#include <stdlib.h>

enum {
	BLOCK_SECTION = 0x0a0d0d0a,
	BLOCK_INTERFACE = 1,
	BLOCK_SIMPLE = 3,
	BLOCK_PACKET = 6,
	ORDER = 0x1a2b3c4d,
	INTERFACES_MAX = 256,
	OPTION_TIME = 9
};

struct file {
	struct source *source;
	void (*packet)(void *ctx, const struct capture_packet *packet);
	void *ctx;
	struct capture_packet at;
	bool little, nano;
	struct interface {
		uint32_t link_type;
		uint64_t per_second;
	} interface[INTERFACES_MAX];
	size_t interfaces;
	uint8_t bytes[CAPTURE_PACKET_MAX + 64];
};

static uint32_t number(const uint8_t *p, size_t size, bool little)
{
	uint32_t v = 0;
	for (size_t i = 0; i < size; i++)
		v = v << 8 | p[little ? size - 1 - i : i];
	return v;
}

static bool read_all(struct file *f, size_t n)
{
	return source_read(f->source, f->bytes, n) == n;
}

/* --- pcap --- */

static bool is_pcap(const uint8_t *magic, bool *little, bool *nano)
{
	for (int i = 0; i < 4; i++) {
		*little = i & 1;
		*nano = i & 2;
		if (number(magic, 4, *little) == (*nano ? 0xa1b23c4d : 0xa1b2c3d4))
			return true;
	}
	return false;
}

static const char *read_pcap(struct file *f)
{
	uint8_t head[16];
	size_t n;
	if (!read_all(f, 24))
		return "the capture ends within its header";
	f->at.link_type = number(f->bytes + 20, 4, f->little) & 0x0fffffff;
	while ((n = source_read(f->source, head, sizeof(head))) > 0) {
		uint32_t captured = number(head + 8, 4, f->little);
		if (n < sizeof(head))
			return "the capture ends within a packet";
		if (captured > CAPTURE_PACKET_MAX)
			return "the capture is damaged: a packet is longer than any can be";
		if (!read_all(f, captured))
			return "the capture ends within a packet";
		f->at.time_ms = (int64_t)number(head, 4, f->little) * 1000 +
				number(head + 4, 4, f->little) / (f->nano ? 1000000 : 1000);
		f->at.number++;
		f->at.bytes = span_of(f->bytes, captured);
		f->packet(f->ctx, &f->at);
	}
	return NULL;
}

/* --- pcapng --- */

/* Ticks in a second, out of the interface's options; microseconds when none says it. */
static uint64_t ticks_of(struct span options, bool little)
{
	for (struct reader r = reader_of(options); reader_left(&r) >= 4;) {
		struct span head = reader_take(&r, 4);
		size_t len = number(head.ptr + 2, 2, little);
		uint32_t code = number(head.ptr, 2, little);
		struct span value = reader_take(&r, (len + 3) & ~(size_t)3);
		if (r.bad || code == 0)
			break;
		if (code != OPTION_TIME || len != 1)
			continue;
		uint64_t ticks = 1;
		unsigned exponent = value.ptr[0] & 0x7f;
		for (unsigned i = 0; i < exponent && ticks < UINT64_C(1000000000000); i++)
			ticks *= value.ptr[0] & 0x80 ? 2 : 10;
		return ticks;
	}
	return 1000000;
}

static void take_interface(struct file *f, struct span body)
{
	if (body.len < 8 || f->interfaces == INTERFACES_MAX)
		return;
	f->interface[f->interfaces++] =
		(struct interface){number(body.ptr, 2, f->little), ticks_of(span_after(body, 8), f->little)};
}

static int64_t milliseconds(uint64_t ticks, uint64_t per_second)
{
	uint64_t seconds = ticks / per_second, rest = ticks % per_second;
	uint64_t ms = per_second >= 1000 ? rest / (per_second / 1000) : rest * 1000 / per_second;
	return seconds < UINT64_C(1) << 40 ? (int64_t)(seconds * 1000 + ms) : 0;
}

static void take_packet(struct file *f, struct span body, bool simple)
{
	size_t head = simple ? 4 : 20;
	f->at.number++;
	if (body.len < head)
		return;
	uint32_t interface = simple ? 0 : number(body.ptr, 4, f->little);
	uint32_t captured = number(body.ptr + (simple ? 0 : 12), 4, f->little);
	if (interface >= f->interfaces)
		return;
	const struct interface *i = &f->interface[interface];
	f->at.link_type = i->link_type;
	f->at.time_ms = 0;
	if (!simple) {
		uint64_t ticks =
			(uint64_t)number(body.ptr + 4, 4, f->little) << 32 | number(body.ptr + 8, 4, f->little);
		f->at.time_ms = milliseconds(ticks, i->per_second);
	}
	body = span_after(body, head);
	f->at.bytes = span_of(body.ptr, captured < body.len ? captured : body.len);
	f->packet(f->ctx, &f->at);
}

static bool skip(struct file *f, size_t n)
{
	while (n > 0) {
		size_t step = n < sizeof(f->bytes) ? n : sizeof(f->bytes);
		if (!read_all(f, step))
			return false;
		n -= step;
	}
	return true;
}

static const char *read_pcapng(struct file *f)
{
	uint8_t head[12];
	size_t n;
	while ((n = source_read(f->source, head, 8)) > 0) {
		if (n < 8)
			return "the capture ends within a block";
		bool section = number(head, 4, false) == BLOCK_SECTION;
		if (section) {
			if (source_read(f->source, head + 8, 4) != 4)
				return "the capture ends within a block";
			f->little = number(head + 8, 4, true) == ORDER;
			if (!f->little && number(head + 8, 4, false) != ORDER)
				return "the capture is damaged: a section has no byte order";
			f->interfaces = 0;
		}
		uint32_t type = number(head, 4, f->little), length = number(head + 4, 4, f->little);
		size_t had = section ? 12 : 8, rest = length - had;
		if (length < had + 4 || length % 4 != 0)
			return "the capture is damaged: a block has an impossible length";
		bool wanted = type == BLOCK_INTERFACE || type == BLOCK_PACKET || type == BLOCK_SIMPLE;
		if (!wanted || rest > sizeof(f->bytes)) {
			if (!skip(f, rest))
				return "the capture ends within a block";
			continue;
		}
		if (!read_all(f, rest))
			return "the capture ends within a block";
		struct span body = span_of(f->bytes, rest - 4); /* the length stands behind it again */
		if (type == BLOCK_INTERFACE)
			take_interface(f, body);
		else
			take_packet(f, body, type == BLOCK_SIMPLE);
	}
	return NULL;
}

/* --- */

bool capture_is(struct span head)
{
	bool little, nano;
	return head.len >= 4 &&
	       (is_pcap(head.ptr, &little, &nano) || number(head.ptr, 4, false) == BLOCK_SECTION);
}

const char *capture_read(
	struct source *source, void (*packet)(void *ctx, const struct capture_packet *packet), void *ctx)
{
	struct file *f = calloc(1, sizeof(*f));
	struct span head = source_head(source);
	const char *why = "this is no capture: save it as pcap (tcpdump -w, or editcap -F pcap)";
	if (f == NULL)
		return "there is no memory to read the capture";
	*f = (struct file){.source = source, .packet = packet, .ctx = ctx};
	if (capture_is(head))
		why = is_pcap(head.ptr, &f->little, &f->nano) ? read_pcap(f) : read_pcapng(f);
	free(f);
	return why;
}
