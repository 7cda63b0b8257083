// SPDX-License-Identifier: MIT
/* sim_h02: simulated H02 units: text, binary, and both mixed. See sim_unit.h.
 * Uses: codecs/record. */
#include "bridge/sim/sim_unit.h"

#include "codecs/record/calendar.h"

#include <stdlib.h>

static uint32_t status_word(const struct sim_unit *u, const struct report *r)
{
	uint32_t word = 0xffffffff;
	if (u->blocked)
		word &= ~(1u << 27);
	bool alarm = u->sim->alarm_every > 0 && r->number % u->sim->alarm_every == u->sim->alarm_every - 1;
	if (alarm || u->sos)
		word &= ~(1u << 1);
	return word;
}

static void put_coordinate(
	struct writer *w, int64_t value, unsigned degree_digits, char positive, char negative)
{
	uint64_t v = (uint64_t)llabs(value);
	uint64_t minutes = (v % 10000000 * 60 + 500) / 1000; /* 1/10000 */
	uint64_t degrees = v / 10000000;
	if (minutes == 600000) {
		minutes = 0;
		degrees++;
	}
	writer_decimal(w, degrees, degree_digits);
	writer_decimal(w, minutes / 10000, 2);
	writer_u8(w, '.');
	writer_decimal(w, minutes % 10000, 4);
	writer_u8(w, ',');
	writer_u8(w, (uint8_t)(value < 0 ? negative : positive));
	writer_u8(w, ',');
}

static void put_clock(struct writer *w, const struct calendar *c, bool date)
{
	writer_decimal(w, (uint64_t)(date ? c->day : c->hour), 2);
	writer_decimal(w, (uint64_t)(date ? c->month : c->minute), 2);
	writer_decimal(w, (uint64_t)(date ? c->year % 100 : c->second), 2);
}

/* HHMMSS,A,lat,N,lon,E,knots,course,DDMMYY,status,cell */
static void put_block(struct writer *w, const struct sim_unit *u, const struct report *r)
{
	struct sim_place p = sim_place(u, r);
	struct calendar c = calendar_of(r->time_s);
	uint32_t word = status_word(u, r);
	uint8_t raw[4] = {(uint8_t)(word >> 24), (uint8_t)(word >> 16), (uint8_t)(word >> 8), (uint8_t)word};
	put_clock(w, &c, false);
	writer_text(w, ",A,");
	put_coordinate(w, p.latitude, 2, 'N', 'S');
	put_coordinate(w, p.longitude, 3, 'E', 'W');
	writer_decimal(w, p.knots100 / 100, 3);
	writer_u8(w, '.');
	writer_decimal(w, p.knots100 % 100, 2);
	writer_u8(w, ',');
	writer_decimal(w, p.course, 3);
	writer_u8(w, ',');
	put_clock(w, &c, true);
	writer_u8(w, ',');
	writer_hex(w, span_of(raw, 4));
	writer_text(w, ",262,02,4660,22136");
}

static void put_head(struct writer *w, const struct sim_unit *u)
{
	writer_text(w, "*HQ,");
	writer_text(w, u->ident);
	writer_u8(w, ',');
}

static size_t text_report(struct sim_unit *u, struct report *r, uint8_t out[SIM_FRAME_MAX])
{
	struct writer w = writer_of(out, SIM_FRAME_MAX);
	put_head(&w, u);
	writer_text(&w, "V1,");
	put_block(&w, u, r);
	writer_u8(&w, '#');
	return w.len;
}

static uint8_t bcd(int v)
{
	return (uint8_t)(v / 10 * 16 + v % 10);
}

/* `digits` decimal digits into nibbles from `nibble` on. */
static void put_bcd(uint8_t *out, unsigned nibble, unsigned digits, uint64_t v)
{
	for (unsigned i = digits; i-- > 0; v /= 10) {
		unsigned at = nibble + i;
		uint8_t d = (uint8_t)(v % 10);
		out[at / 2] |= (uint8_t)(at % 2 == 0 ? d << 4 : d);
	}
}

static uint64_t packed(int64_t value)
{
	uint64_t v = (uint64_t)llabs(value);
	uint64_t minutes = (v % 10000000 * 60 + 500) / 1000;
	return (v / 10000000 + minutes / 600000) * 1000000 + minutes % 600000;
}

static size_t binary_report(struct sim_unit *u, struct report *r, uint8_t out[SIM_FRAME_MAX])
{
	struct sim_place p = sim_place(u, r);
	struct calendar c = calendar_of(r->time_s);
	uint32_t word = status_word(u, r);
	memset(out, 0, 45);
	out[0] = '$';
	for (unsigned i = 0; i < 10; i++)
		out[1 + i / 2] |= (uint8_t)((u->ident[i] - '0') << (i % 2 == 0 ? 4 : 0));
	const uint8_t clock[6] = {
		bcd(c.hour), bcd(c.minute), bcd(c.second), bcd(c.day), bcd(c.month), bcd(c.year % 100)};
	memcpy(out + 6, clock, 6);
	put_bcd(out, 24, 8, packed(p.latitude));
	out[16] = 6;
	put_bcd(out, 34, 9, packed(p.longitude));
	out[21] |= (uint8_t)((p.longitude >= 0 ? 8 : 0) | (p.latitude >= 0 ? 4 : 0) | 2);
	put_bcd(out, 44, 3, p.knots100 / 100);
	put_bcd(out, 47, 3, p.course);
	struct writer w = writer_of(out + 25, 20);
	writer_u32(&w, word);
	writer_u16(&w, 0xff00);
	writer_u8(&w, 21);             /* CSQ */
	writer_u8(&w, 9);              /* satellites */
	writer_u32(&w, r->number / 2); /* km */
	writer_u16(&w, 262);
	writer_u8(&w, 2);
	writer_u16(&w, 4660);
	writer_u16(&w, 22136);
	writer_u8(&w, (uint8_t)r->number);
	return 45;
}

static size_t mixed_report(struct sim_unit *u, struct report *r, uint8_t out[SIM_FRAME_MAX])
{
	return r->number % 2 == 0 ? text_report(u, r, out) : binary_report(u, r, out);
}

static void no_hello(struct sim_unit *u)
{
	(void)u;
}

/* --- what the server sends --- */

static struct span next_field(struct span *rest)
{
	size_t n = 0;
	while (n < rest->len && rest->ptr[n] != ',')
		n++;
	struct span field = span_of(rest->ptr, n);
	*rest = span_after(*rest, n + 1);
	return field;
}

/* A V4 as a real unit sends it: word, values, echoed time, position. */
static void confirm(struct sim_unit *u, struct span word, struct span values, struct span time)
{
	uint8_t buf[SIM_FRAME_MAX];
	struct writer w = writer_of(buf, sizeof(buf));
	struct report here = {u->made, 0, (int64_t)ev_now(u->sim->loop)};
	put_head(&w, u);
	writer_text(&w, "V4,");
	writer_span_put(&w, word);
	if (values.len > 0) {
		writer_u8(&w, ',');
		writer_span_put(&w, values);
	}
	writer_u8(&w, ',');
	writer_span_put(&w, time.len > 0 ? time : span_text("000000"));
	writer_u8(&w, ',');
	put_block(&w, u, &here);
	writer_u8(&w, '#');
	u->sim->counts.answered++;
	sim_unit_send(u, writer_span(&w));
}

static void obey(struct sim_unit *u, struct span word, struct span rest)
{
	struct span time = next_field(&rest);
	u->sim->counts.commands++;
	if (span_is(word, "R1")) {
		sim_unit_hang_up(u);
		return;
	}
	if (span_is(word, "R7")) {
		u->sos = false;
		return;
	}
	if (u->sim->silent)
		return;
	if (span_is(word, "S20")) {
		u->blocked = span_is(rest, "1,1");
		confirm(u, word, span_text("DONE"), time);
	} else if (span_is(word, "S32")) {
		char counts[32];
		struct writer w = writer_of(counts, sizeof(counts));
		writer_decimal(&w, 1000 * (uint64_t)u->made, 10);
		writer_text(&w, ".25");
		confirm(u, word, writer_span(&w), time);
	} else {
		confirm(u, word, rest, time);
	}
}

static bool is_answer(struct span word, struct span rest)
{
	if (span_is(word, "R12") || span_is(word, "HTBT") || span_is(word, "V0"))
		return true;
	return span_is(word, "V4") && (span_is(next_field(&rest), "V1"));
}

static size_t input(struct sim_unit *u, struct span in)
{
	const uint8_t *end = memchr(in.ptr, '#', in.len);
	if (end == NULL)
		return 0;
	size_t len = (size_t)(end - in.ptr) + 1;
	struct span rest = span_of(in.ptr, len - 1);
	struct span head = next_field(&rest), ident = next_field(&rest), word = next_field(&rest);
	if (!span_is(head, "*HQ") || !span_is(ident, u->ident))
		return len;
	if (is_answer(word, rest))
		sim_unit_acknowledged(u);
	else
		obey(u, word, rest);
	return len;
}

extern const struct sim_protocol sim_h02[];
const struct sim_protocol sim_h02[] = {
	{"h02", no_hello, text_report, input, 0},
	{"h02-binary", no_hello, binary_report, input, 0},
	{"h02-mixed", no_hello, mixed_report, input, 0},
	{0},
};
