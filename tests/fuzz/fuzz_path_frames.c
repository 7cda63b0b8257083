// SPDX-License-Identifier: MIT
/* fuzz_path_frames: what units send, as the arguments of an operation say. */
#include "fuzz_path.h"

#include <stdio.h>

uint8_t next_byte(struct span *in)
{
	if (in->len == 0)
		return 0;
	uint8_t byte = in->ptr[0];
	*in = span_after(*in, 1);
	return byte;
}

void ident_text(unsigned n, char out[CODEC_IDENT_MAX + 1])
{
	static const char *const known[] = {"1", "22", "333", "13912345678", "9170503816", "123456789012345",
		"12345678901234567890", "41060008"};
	n &= 255;
	if (n < 128)
		strcpy(out, known[n % 8]);
	else
		snprintf(out, CODEC_IDENT_MAX + 1, "%u", 1000 + n);
}

static void put_text(struct writer *out, const char *format, const char *ident, unsigned a, unsigned b)
{
	char text[400];
	snprintf(text, sizeof(text), format, ident, a, b);
	writer_text(out, text);
}

/* --- JT/T 808 --- */

struct header {
	uint16_t id, serial, total, number;
	bool version_2019, part;
};

static void put_digits(struct writer *w, const char *ident, size_t digits)
{
	char padded[32];
	size_t len = strlen(ident);
	memset(padded, '0', sizeof(padded));
	if (len > digits) {
		ident += len - digits;
		len = digits;
	}
	memcpy(padded + digits - len, ident, len);
	for (size_t i = 0; i < digits; i += 2)
		writer_u8(w, (uint8_t)((padded[i] - '0') << 4 | (padded[i + 1] - '0')));
}

static void put_jt808(struct writer *out, const struct header *h, const char *ident, struct span body)
{
	uint8_t raw[1200], check = 0;
	struct writer w = writer_of(raw, sizeof(raw));
	writer_u16(&w, h->id);
	writer_u16(&w, (uint16_t)(body.len | (h->part ? 0x2000 : 0) | (h->version_2019 ? 0x4000 : 0)));
	if (h->version_2019)
		writer_u8(&w, 1);
	put_digits(&w, ident, h->version_2019 ? 20 : 12);
	writer_u16(&w, h->serial);
	if (h->part) {
		writer_u16(&w, h->total);
		writer_u16(&w, h->number);
	}
	writer_span_put(&w, body);
	for (size_t i = 0; i < w.len; i++)
		check ^= raw[i];
	writer_u8(&w, check);
	writer_u8(out, 0x7e);
	for (size_t i = 0; i < w.len; i++) {
		bool escape = raw[i] == 0x7e || raw[i] == 0x7d;
		writer_u8(out, escape ? 0x7d : raw[i]);
		if (escape)
			writer_u8(out, raw[i] == 0x7e ? 2 : 1);
	}
	writer_u8(out, 0x7e);
}

static void put_location(struct writer *w, uint8_t alarm, uint8_t minute, uint8_t extra, struct span *arguments)
{
	writer_u32(w, alarm);
	writer_u32(w, 3);
	writer_u32(w, 22543373);
	writer_u32(w, 113929971);
	writer_u16(w, 12);
	writer_u16(w, 345);
	writer_u16(w, 90);
	writer_bytes(w, "\x23\x11\x15\x06", 4);
	writer_u8(w, (uint8_t)((minute % 60) / 10 << 4 | minute % 10));
	writer_u8(w, 0x30);
	for (unsigned i = 0; i < extra % 64u; i++)
		writer_u8(w, next_byte(arguments));
}

static void put_batch(struct writer *w, uint8_t count)
{
	struct span none = {0};
	count %= 34;
	writer_u16(w, count);
	writer_u8(w, 1);
	for (uint8_t i = 0; i < count; i++) {
		writer_u16(w, 28);
		put_location(w, 0, i, 0, &none);
	}
}

static void put_body(struct writer *w, unsigned kind, struct span *arguments)
{
	switch (kind % 6) {
	case 0:
		put_location(w, next_byte(arguments), next_byte(arguments), next_byte(arguments), arguments);
		break;
	case 1:
		put_batch(w, next_byte(arguments));
		break;
	case 2: /* general answer: serial, id, result */
		writer_u16(w, next_byte(arguments));
		writer_u16(w, (uint16_t)(0x8100 + next_byte(arguments)));
		writer_u8(w, next_byte(arguments) % 5);
		break;
	case 3:
		for (unsigned i = next_byte(arguments); i > 0; i--)
			writer_u8(w, next_byte(arguments));
		break;
	case 4:
		for (unsigned i = next_byte(arguments) * 3u; i > 0; i--)
			writer_u8(w, (uint8_t)i);
		break;
	case 5:
		break;
	}
}

static void put_jt808_frame(struct writer *out, const char *ident, struct span *arguments)
{
	static const uint16_t ids[] = {0x0200, 0x0704, 0x0001, 0x0100, 0x0102, 0x0002, 0x0900, 0x0104, 0x0107,
		0x0109, 0x0004, 0x0201, 0x0500, 0x0801, 0x0003, 0x6666};
	static const uint8_t bodies[] = {0, 1, 2, 3, 3, 5, 4, 3, 3, 5, 5, 0, 0, 4, 5, 3};
	uint8_t body[1023];
	struct writer w = writer_of(body, sizeof(body));
	uint8_t id = next_byte(arguments), flags = next_byte(arguments), serial = next_byte(arguments);
	struct header h = {.id = ids[id % 16], .serial = serial, .version_2019 = flags & 1, .part = flags & 2};
	h.total = (uint16_t)(2 + (flags >> 2 & 3));
	h.number = (uint16_t)(1 + (flags >> 4 & 3));
	put_body(&w, flags & 0x80 ? flags : bodies[id % 16], arguments);
	put_jt808(out, &h, ident, w.full ? span_of(body, 1000) : writer_span(&w));
}

/* --- H02 --- */

static void put_binary(struct writer *out, unsigned ident, struct span *arguments)
{
	static const uint8_t lengths[] = {32, 42, 45, 46, 47, 48, 51, 54};
	uint8_t frame[54] =
		"\x24\x91\x70\x50\x38\x16\x12\x35\x06\x15\x11\x23\x22\x32\x60\x24\x00\x11\x35\x57\x98\x3e";
	size_t len = lengths[next_byte(arguments) % 8];
	frame[4] = (uint8_t)(0x10 + ident % 8);
	for (size_t i = 22; i < len; i++)
		frame[i] = next_byte(arguments);
	writer_bytes(out, frame, len);
}

static void put_neighbours(struct writer *out, const char *ident, struct span *arguments)
{
	uint8_t count = next_byte(arguments) % 40;
	put_text(out, "*HQ,%s,NBR,123506,460,00,1,%u", ident, count, 0);
	for (unsigned i = 0; i < count; i++)
		put_text(out, "%s,%u,%u,-50", "", next_byte(arguments), i);
	writer_text(out, ",131216,FFFFFBFF,5#");
}

static void put_bytes(struct writer *out, struct span *arguments)
{
	for (unsigned n = next_byte(arguments); n > 0 && arguments->len > 0; n--)
		writer_u8(out, next_byte(arguments));
}

static void put_h02_frame(
	struct writer *out, unsigned kind, const char *ident, unsigned number, struct span *arguments)
{
	static const char place[] = "A,2232.6024,N,11355.7983,E,021.60,090";
	char text[300];
	switch (kind % 10) {
	case 0:
		snprintf(text, sizeof(text), "*HQ,%s,V1,12%02u06,%s,1511%02u,FFFFF%02XFF,460,00,10342,4283#",
			ident, next_byte(arguments) % 60u, place, 20 + next_byte(arguments) % 6u,
			next_byte(arguments));
		writer_text(out, text);
		break;
	case 1:
		put_text(out, "*HQ,%s,V0#", ident, 0, 0);
		break;
	case 2:
		put_text(out,
			"*HQ,%s,V4,S20,DONE,000000,130305,A,2232.6024,N,11355.7983,E,021.60,090,131216,%08X#",
			ident, next_byte(arguments), 0);
		break;
	case 3:
		writer_text(out, "*HQ,,V1,123506,V,,,,,,,131216,FFFFFBFF#");
		break;
	case 4:
		put_text(out, "*HQ,%s,ZZ,", ident, 0, 0);
		put_bytes(out, arguments);
		writer_u8(out, '#');
		break;
	case 5:
		put_binary(out, number, arguments);
		break;
	case 6:
		put_neighbours(out, ident, arguments);
		break;
	case 7:
		put_text(out, "*HQ,%s,V3,123506,46000,03,10342,4283,%u,000002,X,0#", ident,
			next_byte(arguments), 0);
		break;
	case 8:
		put_text(out, "*HQ,%s,LINK,123506,%u,7,100,0,0,131216,FFFFFBFF#", ident, next_byte(arguments),
			0);
		break;
	case 9:
		put_text(out, "*HQ,%s,ZZ#", ident, 0, 0); /* it is not answered */
		break;
	}
}

/* --- all of them --- */

void put_frame(struct writer *out, struct span *arguments)
{
	char ident[CODEC_IDENT_MAX + 1];
	uint8_t kind = next_byte(arguments), number = next_byte(arguments);
	ident_text(number, ident);
	size_t from = out->len;
	if (kind % 32 < 18)
		put_h02_frame(out, kind % 32, ident, number, arguments);
	else if (kind % 32 < 29)
		put_jt808_frame(out, ident, arguments);
	else
		put_bytes(out, arguments);
	if (kind >= 224 && out->len > from) /* one byte is wrong */
		out->ptr[from + next_byte(arguments) % (out->len - from)] ^= next_byte(arguments);
}

void put_hello(struct writer *out, unsigned kind, unsigned number)
{
	char ident[CODEC_IDENT_MAX + 1];
	struct span none = {0};
	ident_text(number, ident);
	const struct header h = {.id = 0x0002, .version_2019 = kind & 1};
	if (kind % 4 < 2)
		put_text(out, kind & 1 ? "*HQ,%s,ZZ#" : "*HQ,%s,V0#", ident, 0, 0);
	else if (kind % 8 < 6)
		put_jt808(out, &h, ident, none);
	else
		put_h02_frame(out, 0, ident, number, &none);
}

void put_batch_parts(struct writer *out, unsigned number, unsigned parts)
{
	static uint8_t body[32 * 990];
	char ident[CODEC_IDENT_MAX + 1];
	struct writer w = writer_of(body, parts < 2 ? 2 * 990 : parts < 32 ? parts * 990 : sizeof(body));
	struct header h = {.id = 0x0704, .part = true, .total = (uint16_t)(w.cap / 990)};
	struct span none = {0};
	ident_text(number, ident);
	writer_u16(&w, (uint16_t)((w.cap - 3) / 30));
	writer_u8(&w, 1);
	while (w.cap - w.len >= 30) {
		writer_u16(&w, 28);
		put_location(&w, 0, (uint8_t)w.len, 0, &none);
	}
	for (h.number = 1; h.number <= h.total; h.number++, h.serial++) {
		size_t at = (h.number - 1u) * 990u;
		put_jt808(out, &h, ident, span_of(body + at, h.number < h.total ? 990 : w.len - at));
	}
}

void put_answer(struct writer *out, struct span command, struct span *arguments)
{
	char text[1024] = "", ident[24] = "1", word[24] = "S20", time[24] = "";
	uint8_t how = next_byte(arguments);
	if (command.len > 15 && command.ptr[0] == 0x7e) {
		bool version_2019 = command.ptr[3] & 0x40;
		size_t phone = version_2019 ? 6 : 5, digits = version_2019 ? 20 : 12;
		for (size_t i = 0; i < digits && phone + digits / 2 + 2 < command.len; i++)
			ident[i] = (char)('0' + (command.ptr[phone + i / 2] >> (i % 2 ? 0 : 4)) % 16 % 10);
		ident[digits] = '\0';
		const uint8_t *serial = command.ptr + phone + digits / 2;
		uint8_t body[] = {serial[0], serial[1], command.ptr[1], command.ptr[2], how % 5};
		const struct header h = {.id = 0x0001, .version_2019 = version_2019};
		put_jt808(out, &h, ident, span_of(body, sizeof(body)));
		return;
	}
	memcpy(text, command.ptr, command.len < sizeof(text) - 1 ? command.len : sizeof(text) - 1);
	sscanf(text, "*%*[^,],%23[^,],%23[^,#],%23[^,#]", ident, word, time);
	snprintf(text, sizeof(text),
		"*HQ,%s,V4,%s,%s%s,130305,A,2232.6024,N,11355.7983,E,021.60,090,131216,FFFFFBFF#", ident, word,
		how & 1 ? "DONE," : "", time);
	writer_text(out, text);
}

void put_proxy_header(struct writer *out, uint8_t kind)
{
	static const uint8_t v2[] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a,
		0x21, 0x11, 0x00, 0x0c, 203, 0, 113, 4, 198, 51, 100, 1, 0xc3, 0xc0, 0x22, 0xb8};
	switch (kind % 4) {
	case 0:
		writer_text(out, "PROXY TCP4 203.0.113.4 198.51.100.1 50112 8888\r\n");
		break;
	case 1:
		writer_bytes(out, v2, sizeof(v2));
		break;
	case 2:
		writer_text(out, "PROXY TCP6 2001:db8::1 2001:db8::2 50112 8888\r\n");
		break;
	case 3:
		writer_text(out, "PROXY nonsense\r\n");
		break;
	}
}
