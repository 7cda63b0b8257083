// SPDX-License-Identifier: MIT
/* h02_text_field: one text frame as fields, and what a single field can set.
 * Not: know which field stands where. */
#include "codecs/h02/h02_text_field.h"

#include "codecs/h02/h02_number.h"

/* The highest bit of each byte that is a comma. */
static uint64_t commas(uint64_t bytes)
{
	uint64_t other = bytes ^ EIGHT(','); /* a comma is 0 here */
	return ~(((other & EIGHT(0x7f)) + EIGHT(0x7f)) | other | EIGHT(0x7f));
}

/* Has the highest bit of a byte, not always its own, when one of the bytes is a blank or another one below. */
static uint64_t blanks(uint64_t bytes)
{
	return (bytes - EIGHT(' ' + 1)) & ~bytes;
}

void h02_split(struct h02_text *x, struct span body)
{
	const uint8_t *from = body.ptr;
	struct span *field = x->field;
	uint64_t blank = 0;
	if (body.len >= H02_FIELDS_MAX) /* no frame is so long */
		body.len = H02_FIELDS_MAX - 1;
	for (size_t at = 0; at < body.len; at += 8) {
		uint64_t bytes = bytes_word(body.ptr + at, body.len - at, EIGHT('0'));
		blank |= blanks(bytes);
		for (uint64_t left = commas(bytes); left != 0; left &= left - 1) {
			const uint8_t *comma = body.ptr + at + (unsigned)__builtin_ctzll(left) / 8;
			*field++ = span_of(from, (size_t)(comma - from));
			from = comma + 1;
		}
	}
	*field++ = span_of(from, (size_t)(body.ptr + body.len - from));
	x->body = body;
	x->count = (size_t)(field - x->field);
	for (size_t i = 0; (blank & EIGHT(0x80)) && i < x->count; i++)
		x->field[i] = span_trim(x->field[i], byte_is_blank);
}

struct span h02_raw(const struct h02_text *x, size_t i)
{
	if (i >= x->count)
		return span_of(NULL, 0);
	const uint8_t *from = x->field[i].ptr, *end = x->body.ptr + x->body.len;
	while (from > x->body.ptr && from[-1] != ',') /* blanks */
		from--;
	return from < end ? span_of(from, (size_t)(end - from)) : span_of(NULL, 0);
}

/* HHMMSS that a clock can show? */
static bool is_clock(struct span s)
{
	return span_is_digits(s, 6, 6) && (s.ptr[0] < '2' || (s.ptr[0] == '2' && s.ptr[1] < '4')) &&
	       s.ptr[2] < '6' && s.ptr[4] < '6';
}

struct span h02_take_echo(const struct h02_text *x, size_t *from, size_t *end)
{
	if (*from >= *end)
		return span_of(NULL, 0);
	struct span first = x->field[*from], last = x->field[*end - 1];
	bool in_front = is_clock(first) && !is_clock(last); /* at the end is what the makers' documents say */
	if (!in_front && !span_is_digits(last, 6, 6))
		return span_of(NULL, 0);
	if (in_front)
		++*from;
	else
		--*end;
	return in_front ? first : last;
}

void h02_join(struct h02_text *x, enum telemetry_field field, size_t from, size_t to)
{
	struct writer w = telemetry_scratch(x->t);
	for (size_t i = from; i < to; i++) {
		if (i > from)
			writer_u8(&w, ',');
		writer_span_put(&w, x->field[i]);
	}
	telemetry_set_scratch(x->t, field, &w);
	if (from < to)
		mark(x->t,
			span_of(x->field[from].ptr,
				(size_t)(x->field[to - 1].ptr + x->field[to - 1].len - x->field[from].ptr)),
			field);
}

/* Six digits as three numbers, the first in the lowest two bytes; false: they are no digits. */
static bool take_pairs(struct span s, uint64_t *pairs)
{
	if (s.len != 6)
		return false;
	uint64_t text = bytes_word(s.ptr, 6, EIGHT('0')), v = text - EIGHT('0');
	*pairs = (v * 10 + (v >> 8)) & 0x00ff00ff00ff00ff;
	return word_is_digits(text);
}

bool h02_put_clock_fields(struct h02_text *x, struct span time, struct span date)
{
	uint64_t t = 0, d = 0;
	if ((time.len > 0 && !take_pairs(time, &t)) || (date.len > 0 && !take_pairs(date, &d)))
		return false;
	mark(x->t, time, TM_TIMESTAMP);
	mark(x->t, date, TM_TIMESTAMP);
	if (time.len == 0 || date.len == 0)
		return true;
	struct calendar c = {2000 + (int)(d >> 32 & 0xff), d >> 16 & 0xff, d & 0xff, t & 0xff, t >> 16 & 0xff,
		t >> 32 & 0xff};
	h02_set_time(x->t, &c);
	return true;
}

bool h02_put_status(struct h02_text *x, struct span s)
{
	uint32_t word;
	if (s.len != 8 || !hex_number(bytes_word(s.ptr, 8, 0), &word))
		return false;
	bool low_battery_bits = span_is(x->type, "V6") || span_is(x->type, "V8");
	h02_set_status(x->t, s, word, low_battery_bits);
	return true;
}

/* The number of a SIM begins with 89; units fill it up with F, ? or : to its full length. */
void h02_put_iccid(struct h02_text *x, struct span s)
{
	while (s.len > 0 && !byte_is_digit(s.ptr[s.len - 1])) {
		uint8_t c = s.ptr[s.len - 1];
		if (c != 'F' && c != 'f' && c != '?' && c != ':')
			break;
		s.len--;
	}
	if (s.len > 2 && s.ptr[0] == '8' && s.ptr[1] == '9' && span_all(s, byte_is_alnum))
		telemetry_set_text(x->t, TM_ICCID, s);
}

bool h02_put_decimal(struct h02_text *x, enum telemetry_field field, struct span s, int64_t mul, int64_t div)
{
	struct h02_decimal d;
	bool minus = s.len > 1 && s.ptr[0] == '-';
	if (!h02_decimal(minus ? span_after(s, 1) : s, false, &d))
		return false;
	int64_t v = h02_scaled(d, mul, div, telemetry_params[field].decimals);
	telemetry_set(x->t, field, minus ? -v : v);
	mark(x->t, s, field);
	return true;
}

bool h02_put_whole(struct h02_text *x, enum telemetry_field field, struct span s)
{
	int64_t v;
	if (!h02_whole(s, false, &v))
		return false;
	telemetry_set(x->t, field, v);
	mark(x->t, s, field);
	return true;
}

void h02_put_battery(struct h02_text *x, struct span s)
{
	int64_t code;
	if (!h02_whole(s, false, &code) || code > 255)
		return;
	h02_set_battery_code(x->t, (unsigned)code);
	mark(x->t, s, TM_BATTERY_LEVEL);
}

bool h02_level_dbm(int64_t level, int16_t *dbm)
{
	if (level < -200 || level > 63)
		return false;
	*dbm = (int16_t)(level < 0 ? level : level - 110);
	return true;
}

void h02_put_cell(struct h02_text *x, int64_t n, int64_t lac, int64_t cellid, bool has_dbm, int16_t dbm)
{
	if (n > 0) {
		struct telemetry_cell cell = {(uint32_t)lac, (uint32_t)cellid, dbm, has_dbm};
		if (lac > UINT32_MAX || cellid > UINT32_MAX)
			telemetry_reject(x->t, TM_GSM_CELLID);
		else
			telemetry_add_cell(x->t, cell);
		return;
	}
	h02_set_cell(x->t, lac, cellid);
	if (has_dbm)
		telemetry_set(x->t, TM_GSM_DBM, dbm);
}
