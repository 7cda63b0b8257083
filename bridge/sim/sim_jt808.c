// SPDX-License-Identifier: MIT
/* sim_jt808: simulated JT/T 808 units, header of 2013 and of 2019: registration, authentication, reports one by one or,
 * when several are due, in batches; acknowledgements by serial number. See sim_unit.h.
 * Uses: codecs/record. */
#include "bridge/sim/sim_unit.h"

#include "codecs/record/calendar.h"

#include <stdlib.h>

enum { DELIMITER = 0x7e, ESCAPE = 0x7d };
enum { UTC_OFFSET_S = 8 * 3600 }; /* units send the time of China, as the standard says */

/* u->priv, cleared on connecting */
enum { PRIV_STATE = 0, PRIV_SERIAL };
enum { STATE_NEW = 0, STATE_AUTHENTICATING, STATE_READY };

static uint8_t bcd(int v)
{
	return (uint8_t)(v / 10 * 16 + v % 10);
}

static bool version_2019(const struct sim_unit *u)
{
	return u->sim->protocol->version == 2019;
}

/* Header, body, check, escapes; returns the length. */
static size_t put_frame(struct sim_unit *u, uint16_t id, struct span body, uint8_t out[SIM_FRAME_MAX])
{
	uint8_t raw[SIM_FRAME_MAX / 2];
	bool wide = version_2019(u);
	struct writer w = writer_of(raw, sizeof(raw)), o = writer_of(out, SIM_FRAME_MAX);
	writer_u16(&w, id);
	writer_u16(&w, (uint16_t)(body.len | (wide ? 0x4000u : 0u)));
	if (wide)
		writer_u8(&w, 1);
	size_t digits = strlen(u->ident), bytes = wide ? 10 : 6;
	for (size_t i = 0; i < bytes; i++) {
		uint8_t c = 0;
		for (size_t k = 0; k < 2; k++) {
			size_t from_end = 2 * bytes - (2 * i + k); /* 1 is the last digit */
			c = (uint8_t)(c << 4 | (from_end <= digits ? u->ident[digits - from_end] - '0' : 0));
		}
		writer_u8(&w, c);
	}
	writer_u16(&w, (uint16_t)u->priv[PRIV_SERIAL]++);
	writer_span_put(&w, body);
	uint8_t check = 0;
	for (size_t i = 0; i < w.len; i++)
		check ^= raw[i];
	writer_u8(&w, check);
	writer_u8(&o, DELIMITER);
	for (size_t i = 0; i < w.len; i++) {
		bool escape = raw[i] == DELIMITER || raw[i] == ESCAPE;
		if (escape)
			writer_u8(&o, ESCAPE);
		writer_u8(&o, escape ? (raw[i] == ESCAPE ? 1 : 2) : raw[i]);
	}
	writer_u8(&o, DELIMITER);
	return o.len;
}

static void send_message(struct sim_unit *u, uint16_t id, struct span body)
{
	uint8_t frame[SIM_FRAME_MAX];
	size_t n = put_frame(u, id, body, frame);
	sim_unit_send(u, span_of(frame, n));
}

static void put_location(struct writer *w, const struct sim_unit *u, const struct report *r)
{
	struct sim_place p = sim_place(u, r);
	struct calendar c = calendar_of(r->time_s + UTC_OFFSET_S);
	bool alarm = u->sim->alarm_every > 0 && r->number % u->sim->alarm_every == u->sim->alarm_every - 1;
	uint32_t status = 3u | (p.latitude < 0 ? 4u : 0) | (p.longitude < 0 ? 8u : 0) |
			  (u->blocked ? 1u << 10 : 0) | 1u << 18;
	writer_u32(w, alarm || u->sos ? 1 : 0);
	writer_u32(w, status);
	writer_u32(w, (uint32_t)(llabs(p.latitude) / 10));
	writer_u32(w, (uint32_t)(llabs(p.longitude) / 10));
	writer_u16(w, 250);
	writer_u16(w, (uint16_t)(p.knots100 * 1852 / 10000));
	writer_u16(w, (uint16_t)p.course);
	const int clock[] = {c.year % 100, c.month, c.day, c.hour, c.minute, c.second};
	for (size_t i = 0; i < 6; i++)
		writer_u8(w, bcd(clock[i]));
	const uint8_t items[] = {0x30, 1, 25, 0x31, 1, 11, 0x01, 4};
	writer_bytes(w, items, sizeof(items));
	writer_u32(w, r->number);
}

static size_t report(struct sim_unit *u, struct report *r, uint8_t out[SIM_FRAME_MAX])
{
	uint8_t body[128];
	struct writer w = writer_of(body, sizeof(body));
	if (u->priv[PRIV_STATE] != STATE_READY)
		return 0;
	r->serial = (uint16_t)u->priv[PRIV_SERIAL];
	bool stored = (int64_t)ev_now(u->sim->loop) > r->time_s + 5;
	if (stored) { /* a batch of one, kind 1: kept while there was no connection */
		writer_u16(&w, 1);
		writer_u8(&w, 1);
		writer_u16(&w, 28 + 12);
	}
	put_location(&w, u, r);
	return put_frame(u, stored ? 0x0704 : 0x0200, writer_span(&w), out);
}

static void hello(struct sim_unit *u)
{
	uint8_t body[128];
	struct writer w = writer_of(body, sizeof(body));
	bool wide = version_2019(u);
	writer_u16(&w, 44);
	writer_u16(&w, 303);
	uint8_t field[30];
	const char *const texts[] = {"SIM", "ST-901A", "T000001"};
	const size_t widths[2][3] = {{5, 20, 7}, {11, 30, 30}};
	for (size_t i = 0; i < 3; i++) {
		memset(field, 0, sizeof(field));
		memcpy(field, texts[i], strlen(texts[i]));
		writer_bytes(&w, field, widths[wide][i]);
	}
	writer_u8(&w, 1);
	writer_text(&w, "\xd4\xc1"
			"A12345"); /* a plate in GBK */
	send_message(u, 0x0100, writer_span(&w));
}

static void authenticate(struct sim_unit *u, struct span code)
{
	uint8_t body[256];
	struct writer w = writer_of(body, sizeof(body));
	if (version_2019(u)) {
		uint8_t version[20] = "1.0.0";
		writer_u8(&w, (uint8_t)code.len);
		writer_span_put(&w, code);
		writer_text(&w, "865478070102068");
		writer_bytes(&w, version, sizeof(version));
	} else {
		writer_span_put(&w, code);
	}
	u->priv[PRIV_STATE] = STATE_AUTHENTICATING;
	send_message(u, 0x0102, writer_span(&w));
}

static void general_reply(struct sim_unit *u, uint16_t serial, uint16_t id, uint8_t result)
{
	uint8_t body[8];
	struct writer w = writer_of(body, sizeof(body));
	writer_u16(&w, serial);
	writer_u16(&w, id);
	writer_u8(&w, result);
	u->sim->counts.answered++;
	send_message(u, 0x0001, writer_span(&w));
}

/* The specific answers: location, parameters, attributes. */
static void answer(struct sim_unit *u, uint16_t serial, uint16_t id)
{
	uint8_t body[256];
	struct writer w = writer_of(body, sizeof(body));
	struct report here = {u->made, 0, (int64_t)ev_now(u->sim->loop)};
	u->sim->counts.answered++;
	if (id == 0x8107) {
		writer_u16(&w, 1);
		writer_bytes(&w, "SIM\0", 5);
		writer_bytes(&w, "ST-901A\0\0\0\0\0\0\0\0\0\0\0\0", 20);
		writer_text(&w, "T000001");
		writer_bytes(&w,
			"\x89\x86\x03\x24\x94\x75\x60\x03\x29\x00\x04HW-1\x05"
			"1.0.0\x03\x01",
			23);
		send_message(u, 0x0107, writer_span(&w));
		return;
	}
	writer_u16(&w, serial);
	if (id == 0x8104 || id == 0x8106) {
		writer_u8(&w, 2);
		writer_u32(&w, 0x29);
		writer_u8(&w, 4);
		writer_u32(&w, 10);
		writer_u32(&w, 0x13);
		writer_u8(&w, 11);
		writer_text(&w, "example.com");
		send_message(u, 0x0104, writer_span(&w));
		return;
	}
	put_location(&w, u, &here);
	send_message(u, id == 0x8500 ? 0x0500 : 0x0201, writer_span(&w));
}

static void obey(struct sim_unit *u, uint16_t id, uint16_t serial, struct span body)
{
	u->sim->counts.commands++;
	if (u->sim->silent)
		return;
	if (id == 0x8105 && body.len > 0 && (body.ptr[0] == 0xf0 || body.ptr[0] == 0xf1))
		u->blocked = body.ptr[0] == 0xf0;
	if (id == 0x8104 || id == 0x8106 || id == 0x8107 || id == 0x8201 || id == 0x8500)
		answer(u, serial, id);
	else
		general_reply(u, serial, id, id == 0x8105 && body.len > 0 && body.ptr[0] == 5 ? 1 : 0);
}

static void take(struct sim_unit *u, struct span in)
{
	struct reader r = reader_of(in);
	uint16_t id = reader_u16(&r);
	reader_take(&r, version_2019(u) ? 2 + 1 + 10 : 2 + 6);
	uint16_t serial = reader_u16(&r);
	size_t left = reader_left(&r);
	struct span body = reader_take(&r, left > 0 ? left - 1 : 0);
	struct reader b = reader_of(body);
	if (id == 0x8100) {
		reader_u16(&b);
		if (reader_u8(&b) == 0)
			authenticate(u, reader_take(&b, reader_left(&b)));
		return;
	}
	if (id != 0x8001) {
		obey(u, id, serial, body);
		return;
	}
	uint16_t answered = reader_u16(&b), what = reader_u16(&b);
	if (what == 0x0102) {
		u->priv[PRIV_STATE] = STATE_READY;
		sim_unit_ready(u);
	} else if (u->sent > 0 && answered == u->pending[0].serial) {
		sim_unit_acknowledged(u);
	}
}

static size_t input(struct sim_unit *u, struct span in)
{
	uint8_t raw[SIM_FRAME_MAX];
	struct writer w = writer_of(raw, sizeof(raw));
	size_t end = 1;
	if (in.ptr[0] != DELIMITER)
		return 1;
	while (end < in.len && in.ptr[end] != DELIMITER)
		end++;
	if (end == in.len)
		return 0;
	for (size_t i = 1; i < end; i++) {
		uint8_t c = in.ptr[i];
		if (c == ESCAPE && i + 1 < end)
			c = in.ptr[++i] == 1 ? ESCAPE : DELIMITER;
		writer_u8(&w, c);
	}
	take(u, writer_span(&w));
	return end + 1;
}

extern const struct sim_protocol sim_jt808[];
const struct sim_protocol sim_jt808[] = {
	{"jt808", hello, report, input, 2013},
	{"jt808-2019", hello, report, input, 2019},
	{0},
};
