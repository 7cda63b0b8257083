// SPDX-License-Identifier: MIT
/* h02_start: does a frame start here, and how sure is that?
 * Uses: nothing else.
 * Not: look for its end, know what it means.
 *
 * A text frame starts with `*XX,`; that is enough where a frame may start, but not in the middle of another one: there a digit must
 * follow. A binary frame starts with `$` or `X`, which may be any byte of another frame; so the id, time and date behind it are
 * looked at. What starts with neither is noise. */
#include "codecs/h02/h02_private.h"

/* --- text --- */

enum codec_status h02_text_start(struct span in)
{
	if (in.len == 0 || in.ptr[0] != '*')
		return CODEC_NOT_MINE;
	for (size_t i = 1; i < 4; i++) {
		if (i == in.len)
			return CODEC_MORE;
		if (i == 3 ? in.ptr[i] != ',' : !byte_is_alnum(in.ptr[i]))
			return CODEC_NOT_MINE;
	}
	return CODEC_OK;
}

bool h02_text_sure(struct span in)
{
	return in.len > 4 && byte_is_digit(in.ptr[4]) && h02_text_start(in) == CODEC_OK;
}

/* --- binary --- */

static inline bool all_bcd(struct span in, size_t from, size_t n)
{
	return span_is_bcd(span_of(in.ptr + from, n));
}

static bool all_zero(struct span in, size_t from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (in.ptr[from + i] != 0)
			return false;
	return true;
}

/* Time and date, which must be BCD: numbers of BCD are in the order of their bytes. */
static bool plausible_time(const uint8_t *at)
{
	return at[0] < 0x24 && at[1] < 0x60 && at[2] < 0x60;
}

static bool plausible_date(const uint8_t *at)
{
	return at[0] >= 1 && at[0] <= 0x31 && at[1] >= 1 && at[1] <= 0x12;
}

static bool plausible_clock(struct span in, size_t at)
{
	return plausible_date(in.ptr + at + 3) && plausible_time(in.ptr + at) && all_bcd(in, at, 6);
}

/* A unit that never had a fix sends a date of zeros. */
static bool short_head(struct span in)
{
	if (in.len < 12 || !all_bcd(in, 1, 11) || !plausible_time(in.ptr + 6))
		return false;
	return plausible_date(in.ptr + 9) || (all_zero(in, 9, 3) && !all_zero(in, 1, 5));
}

/* `$` is 0x24, so a stray one in front of a frame looks like the start of a frame whose id begins with 24. It is noise when a plausible
 * frame starts at the second `$`. A real id that begins with 24 is mistaken for that only when its time and date, read one byte too
 * late, are plausible as well: the year is read as the month then, so only in the years up to 2012. */
static bool is_noise(struct span in)
{
	return in.ptr[1] == '$' && short_head(span_after(in, 1));
}

bool h02_long_id(struct span in)
{
	return in.ptr[0] == '$' && in.len >= 15 && plausible_clock(in, 9) && all_bcd(in, 1, 8) && !is_noise(in);
}

enum h02_start h02_binary_start(struct span in)
{
	if (in.len == 0 || (in.ptr[0] != '$' && in.ptr[0] != 'X'))
		return H02_START_NO;
	if (in.len < 12)
		return H02_START_MORE;
	if (short_head(in) && !is_noise(in))
		return H02_START_YES;
	if (in.ptr[0] == 'X')
		return H02_START_NO;
	if (h02_long_id(in))
		return H02_START_LONG;
	if (in.len < 15 && all_bcd(in, 1, 8))
		return H02_START_MORE;
	if (plausible_clock(in, 6) || (all_bcd(in, 1, 5) && all_bcd(in, 6, 6) && !all_zero(in, 1, 5)))
		return H02_START_WEAK;
	return H02_START_NO;
}

size_t h02_next_text(struct span in, size_t from, size_t to)
{
	size_t end = to < in.len ? to : in.len;
	for (; from < end; from++) {
		const uint8_t *star = memchr(in.ptr + from, '*', end - from);
		if (star == NULL)
			return 0;
		from = (size_t)(star - in.ptr);
		if (h02_text_sure(span_after(in, from)))
			return from;
	}
	return 0;
}

size_t h02_next_start(struct span in, size_t from, size_t to)
{
	size_t end = to < in.len ? to : in.len;
	for (size_t i = from; i < end; i++) {
		struct span head = span_after(in, i);
		if (h02_text_sure(head) || h02_binary_start(head) >= H02_START_YES)
			return i;
	}
	return 0;
}

/* Is a WEAK start, with a whole frame in sight, enough to recognise the protocol when no other codec does? BAD_FIELDS or NOT_MINE. */
static enum codec_status weak_sniff(struct span in)
{
	bool sure = plausible_clock(in, 6) && h02_next_start(in, 1, H02_BINARY_MIN) == 0;
	return sure ? CODEC_BAD_FIELDS : CODEC_NOT_MINE;
}

enum codec_status h02_binary_doubt(const struct codec_link *link, struct span in)
{
	if (h02_next_start(in, 1, H02_BINARY_MIN) > 0)
		return CODEC_NOT_MINE;
	bool in_sight = in.len >= H02_BINARY_MIN + 16 || link->quiet_ms >= CODEC_QUIET_LONG_MS;
	return in_sight ? CODEC_OK : CODEC_MORE;
}

enum codec_status h02_sniff(struct span head)
{
	enum codec_status status = h02_text_start(head);
	if (status != CODEC_NOT_MINE)
		return status;
	switch (h02_binary_start(head)) {
	case H02_START_YES:
	case H02_START_LONG:
		return CODEC_OK;
	case H02_START_MORE:
		return CODEC_MORE;
	case H02_START_WEAK: /* fewer bytes than a frame prove nothing */
		return head.len < H02_BINARY_MIN ? CODEC_MORE : weak_sniff(head);
	case H02_START_NO:
		return CODEC_NOT_MINE;
	}
	return CODEC_NOT_MINE;
}
