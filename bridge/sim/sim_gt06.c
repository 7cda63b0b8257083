// SPDX-License-Identifier: MIT
/* sim_gt06: simulated GT06 units: login, heartbeats, positions, alarms, positions that were stored, replies to commands. Their ident is an
 * IMEI: 86000 and the ten digits of the others. See sim_unit.h.
 * Uses: codecs/record. */
#include "bridge/sim/sim_unit.h"

#include "codecs/record/calendar.h"

#include <stdlib.h>

enum {
	LOGIN = 0x01,
	HEARTBEAT = 0x13,
	REPLY = 0x15,
	LOCATION = 0x22,
	ALARM = 0x26,
	COMMAND = 0x80,
	INFORMATION = 0x94
};
enum { START = 0x78, LONG_START = 0x79, AROUND = 5, HEARTBEAT_EVERY = 10, STORED_AFTER_S = 5 };

/* u->priv, cleared on connecting */
enum { PRIV_READY = 0, PRIV_SERIAL };

/* CRC-16/X-25 */
static uint16_t crc_of(struct span s)
{
	unsigned crc = 0xffff;
	for (size_t i = 0; i < s.len; i++) {
		crc ^= s.ptr[i];
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0x8408 : crc >> 1;
	}
	return (uint16_t)~crc;
}

/* Returns the length. `serial`: the one that it got. */
static size_t put_frame(
	struct sim_unit *u, uint8_t type, struct span content, uint8_t out[SIM_FRAME_MAX], uint16_t *serial)
{
	struct writer w = writer_of(out, SIM_FRAME_MAX);
	bool wide = type == INFORMATION;
	*serial = (uint16_t)++u->priv[PRIV_SERIAL];
	for (unsigned i = 0; i < 2; i++)
		writer_u8(&w, wide ? LONG_START : START);
	if (wide)
		writer_u8(&w, 0);
	writer_u8(&w, (uint8_t)(AROUND + content.len));
	writer_u8(&w, type);
	writer_span_put(&w, content);
	writer_u16(&w, *serial);
	writer_u16(&w, crc_of(span_after(writer_span(&w), 2)));
	writer_text(&w, "\r\n");
	return w.len;
}

static void send_message(struct sim_unit *u, uint8_t type, struct span content)
{
	uint8_t frame[SIM_FRAME_MAX];
	uint16_t serial;
	size_t n = put_frame(u, type, content, frame, &serial);
	sim_unit_send(u, span_of(frame, n));
}

/* Digits as BCD, with zeros in front. */
static void put_bcd(struct writer *w, const char *digits, size_t bytes)
{
	size_t n = strlen(digits);
	for (size_t i = 0; i < bytes; i++) {
		uint8_t c = 0;
		for (size_t k = 0; k < 2; k++) {
			size_t from_end = 2 * bytes - (2 * i + k); /* 1 is the last digit */
			c = (uint8_t)(c << 4 | (from_end <= n ? digits[n - from_end] - '0' : 0));
		}
		writer_u8(w, c);
	}
}

static void hello(struct sim_unit *u)
{
	uint8_t body[16];
	struct writer w = writer_of(body, sizeof(body));
	if (strlen(u->ident) == 10) {
		memmove(u->ident + 5, u->ident, 11);
		memcpy(u->ident, "86000", 5);
	}
	put_bcd(&w, u->ident, 8);
	writer_u16(&w, 0x2203);
	writer_u16(&w, 0x3200); /* +08:00: that of local times, of which this unit sends none */
	send_message(u, LOGIN, writer_span(&w));
}

/* Information, battery, signal, alarm, language. */
static void put_status(struct writer *w, const struct sim_unit *u, bool sos)
{
	writer_u8(w, (uint8_t)(0x46 | (u->blocked ? 0x80 : 0) | (sos ? 4 << 3 : 0)));
	writer_u8(w, 6);
	writer_u8(w, 4);
	writer_u8(w, sos ? 1 : 0);
	writer_u8(w, 2);
}

static void heartbeat(struct sim_unit *u)
{
	uint8_t body[8];
	struct writer w = writer_of(body, sizeof(body));
	put_status(&w, u, u->sos);
	send_message(u, HEARTBEAT, writer_span(&w));
}

/* IMEI, IMSI, ICCID. */
static void information(struct sim_unit *u)
{
	uint8_t body[32];
	struct writer w = writer_of(body, sizeof(body));
	writer_u8(&w, 0x0a);
	put_bcd(&w, u->ident, 8);
	put_bcd(&w, "262020123456789", 8);
	put_bcd(&w, "89490200001234567890", 10);
	send_message(u, INFORMATION, writer_span(&w));
}

/* 1e-7 degree as 1/1800000 degree */
static uint32_t coordinate(int64_t value)
{
	return (uint32_t)((llabs(value) * 18 + 50) / 100);
}

static void put_position(struct writer *w, const struct sim_unit *u, const struct report *r)
{
	struct sim_place p = sim_place(u, r);
	struct calendar c = calendar_of(r->time_s);
	const int clock[] = {c.year % 100, c.month, c.day, c.hour, c.minute, c.second};
	for (size_t i = 0; i < 6; i++)
		writer_u8(w, (uint8_t)clock[i]);
	writer_u8(w, 0xc9); /* nine satellites */
	writer_u32(w, coordinate(p.latitude));
	writer_u32(w, coordinate(p.longitude));
	writer_u8(w, (uint8_t)(p.knots100 * 1852 / 100000));
	writer_u16(w,
		(uint16_t)(0x1000 | (p.longitude < 0 ? 0x0800 : 0) | (p.latitude < 0 ? 0 : 0x0400) | p.course));
}

static void put_cell(struct writer *w)
{
	writer_u16(w, 262);
	writer_u8(w, 2);
	writer_u16(w, 4660);
	writer_u8(w, 0);
	writer_u16(w, 22136);
}

static size_t report(struct sim_unit *u, struct report *r, uint8_t out[SIM_FRAME_MAX])
{
	uint8_t body[64];
	struct writer w = writer_of(body, sizeof(body));
	bool alarm = u->sim->alarm_every > 0 && r->number % u->sim->alarm_every == u->sim->alarm_every - 1;
	if (!u->priv[PRIV_READY])
		return 0;
	if (r->number % HEARTBEAT_EVERY == 0)
		heartbeat(u);
	put_position(&w, u, r);
	if (alarm || u->sos) {
		writer_u8(&w, 9);
		put_cell(&w);
		put_status(&w, u, true);
		return put_frame(u, ALARM, writer_span(&w), out, &r->serial);
	}
	put_cell(&w);
	writer_u8(&w, 1); /* ACC */
	writer_u8(&w, 0); /* at its interval */
	writer_u8(&w, (int64_t)ev_now(u->sim->loop) > r->time_s + STORED_AFTER_S);
	writer_u32(&w, r->number * 100);
	return put_frame(u, LOCATION, writer_span(&w), out, &r->serial);
}

/* --- what the server sends --- */

static void put_degrees(struct writer *w, int64_t value, char positive, char negative)
{
	uint64_t v = (uint64_t)llabs(value);
	writer_u8(w, (uint8_t)(value < 0 ? negative : positive));
	writer_decimal(w, v / 10000000, 1);
	writer_u8(w, '.');
	writer_decimal(w, v % 10000000 / 10, 6);
}

/* What units were seen to reply. */
static void put_reply(struct writer *w, struct sim_unit *u, struct span text)
{
	struct report here = {u->made, 0, (int64_t)ev_now(u->sim->loop)};
	struct sim_place p = sim_place(u, &here);
	bool stop = span_is(text, "RELAY,1#") || span_is(text, "DYD#");
	if (stop || span_is(text, "RELAY,0#") || span_is(text, "HFYD#")) {
		writer_text(w, stop ? "Cut off the fuel supply: Success! Speed:0 Km/h"
				    : "Restore fuel supply: Success!");
		u->blocked = stop;
	} else if (span_is(text, "WHERE#")) {
		writer_text(w, "Current position!Lat:");
		put_degrees(w, p.latitude, 'N', 'S');
		writer_text(w, ",Lon:");
		put_degrees(w, p.longitude, 'E', 'W');
	} else if (span_is(text, "STATUS#")) {
		writer_text(w, "Battery:4.16V,NORMAL; GPRS:Link Up; GSM Signal Level:Strong; GPS:Fixed; "
			       "ACC:ON; Defense:OFF");
	} else if (span_is(text, "VERSION#")) {
		writer_text(w, "[VERSION]SIM_GT06 [BUILD]1");
	} else {
		writer_text(w, "OK");
	}
}

/* Length of flag and text, flag, text; a language word may follow. */
static void obey(struct sim_unit *u, struct span content)
{
	uint8_t body[200];
	struct writer w = writer_of(body, sizeof(body));
	struct reader r = reader_of(content);
	size_t len = reader_u8(&r);
	uint32_t flag = reader_u32(&r);
	struct span text = reader_take(&r, len < 4 ? 0 : len - 4);
	u->sim->counts.commands++;
	if (span_is(text, "RESET#")) {
		sim_unit_hang_up(u);
		return;
	}
	if (u->sim->silent)
		return;
	writer_u8(&w, 0);
	writer_u32(&w, flag);
	put_reply(&w, u, text);
	body[0] = (uint8_t)(w.len - 1);
	writer_u16(&w, 2);
	u->sim->counts.answered++;
	send_message(u, REPLY, writer_span(&w));
}

/* An acknowledgement that comes twice, or of another report than the oldest, is none. */
static void take(struct sim_unit *u, uint8_t type, struct span content, uint16_t serial)
{
	switch (type) {
	case LOGIN:
		if (u->priv[PRIV_READY])
			return;
		u->priv[PRIV_READY] = 1;
		information(u);
		sim_unit_ready(u);
		return;
	case LOCATION:
	case ALARM:
		if (u->sent > 0 && serial == u->pending[0].serial)
			sim_unit_acknowledged(u);
		return;
	case COMMAND:
		obey(u, content);
		return;
	}
}

static size_t input(struct sim_unit *u, struct span in)
{
	if (in.ptr[0] != START || (in.len > 1 && in.ptr[1] != START))
		return 1;
	size_t len = in.len < 3 ? SIZE_MAX : in.ptr[2] + (size_t)AROUND;
	if (in.len < len)
		return 0;
	if (in.ptr[2] < AROUND)
		return 1;
	struct reader r = reader_of(span_part(in, len - 6, 4));
	uint16_t serial = reader_u16(&r);
	if (reader_u16(&r) == crc_of(span_part(in, 2, len - 6)))
		take(u, in.ptr[3], span_part(in, 4, len - 10), serial);
	return len;
}

extern const struct sim_protocol sim_gt06[];
const struct sim_protocol sim_gt06[] = {
	{"gt06", hello, report, input, 0},
	{0},
};
