/* h02_binary: the `$` and `X` frames of H02.
 * May use: codec, h02. May not: allocate, log, ask the time.
 *
 *   0    1..5   6 7 8      9 10 11    12..15    16       17..21hi   21lo   22..23hi  23lo..24  25..28
 *   $    id     hh mm ss   DD MM YY   DDMMMMMM  battery  DDDMMMMMM  flags  knots     course    status
 *   BCD throughout; flags: 8 east, 4 north, 2 valid. Behind 28 the layout depends on the length. A unit with
 *   an 8-byte id (length 42) has everything from the time on three bytes later. */
#include "codecs/h02/h02.h"

/* --- tables --- */

static const uint8_t lengths[] = {32, 42, 45, 46, 47, 48, 51, 54};
#define LONG_ID_LENGTH 42

/* --- framing --- */

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

static int bcd(uint8_t c)
{
	return (c >> 4) * 10 + (c & 15);
}

static bool plausible_time(struct span in, size_t at)
{
	return all_bcd(in, at, 3) && bcd(in.ptr[at]) < 24 && bcd(in.ptr[at + 1]) < 60 &&
	       bcd(in.ptr[at + 2]) < 60;
}

static bool plausible_clock(struct span in, size_t at)
{
	int day = bcd(in.ptr[at + 3]), month = bcd(in.ptr[at + 4]);
	return plausible_time(in, at) && all_bcd(in, at + 3, 3) && day >= 1 && day <= 31 && month >= 1 &&
	       month <= 12;
}

/* A unit that never had a fix sends a date of zeros. */
static bool zero_clock(struct span in)
{
	return plausible_time(in, 6) && all_zero(in, 9, 3) && !all_zero(in, 1, 5);
}

static bool short_head(struct span in)
{
	return in.len >= 12 && all_bcd(in, 1, 5) && (plausible_clock(in, 6) || zero_clock(in));
}

/* `$` as noise in front of a `$` frame would pass as the start of a longer one. (The other way round, a
 * true id that begins with 24 passes for noise only with a date before 2013.) */
static bool is_noise(struct span in)
{
	return in.ptr[1] == '$' && short_head(span_after(in, 1));
}

static bool short_id(struct span in)
{
	return short_head(in) && !is_noise(in);
}

static bool long_id(struct span in)
{
	return in.ptr[0] == '$' && in.len >= 15 && all_bcd(in, 1, 8) && plausible_clock(in, 9) && !is_noise(in);
}

enum h02_start h02_binary_start(struct span in)
{
	if (in.len == 0 || (in.ptr[0] != '$' && in.ptr[0] != 'X'))
		return H02_START_NO;
	if (in.len < 12)
		return H02_START_MORE;
	if (short_id(in))
		return H02_START_YES;
	if (in.ptr[0] == 'X')
		return H02_START_NO;
	if (long_id(in))
		return H02_START_YES;
	if (in.len < 15 && all_bcd(in, 1, 8))
		return H02_START_MORE;
	if (plausible_clock(in, 6) || (all_bcd(in, 1, 5) && all_bcd(in, 6, 6) && !all_zero(in, 1, 5)))
		return H02_START_WEAK;
	return H02_START_NO;
}

enum behind { BEHIND_OTHER = 0, BEHIND_START, BEHIND_END, BEHIND_NEWLINE, BEHIND_UNSURE };

/* What comes behind a frame that would end here? */
static enum behind look_behind(struct span rest)
{
	if (rest.len == 0)
		return BEHIND_END;
	size_t i = 0;
	while (i < rest.len && (rest.ptr[i] == '\r' || rest.ptr[i] == '\n'))
		i++;
	if (i == rest.len)
		return BEHIND_NEWLINE;
	struct span head = span_after(rest, i);
	enum codec_status text = h02_text_start(head);
	enum h02_start binary = h02_binary_start(head);
	if (text == CODEC_OK || binary == H02_START_YES)
		return BEHIND_START;
	return text == CODEC_MORE || binary == H02_START_MORE ? BEHIND_UNSURE : BEHIND_OTHER;
}

/* May a frame with this head have this length? */
static bool length_allowed(bool has_short_id, bool has_long_id, size_t len)
{
	return len == LONG_ID_LENGTH ? has_long_id : has_short_id || !has_long_id;
}

/* The smallest known length behind which the stream makes sense; 0 when none does. */
static size_t best_length(const struct codec_link *link, struct span in, enum behind *best)
{
	static const uint8_t rank[] = {[BEHIND_OTHER] = 0,
		[BEHIND_UNSURE] = 1,
		[BEHIND_NEWLINE] = 2,
		[BEHIND_END] = 3,
		[BEHIND_START] = 4};
	bool has_short_id = short_id(in), has_long_id = long_id(in);
	size_t found = 0;
	*best = BEHIND_OTHER;
	for (size_t i = 0; i < sizeof(lengths); i++) {
		size_t len = lengths[i];
		if (len > in.len || !length_allowed(has_short_id, has_long_id, len))
			continue;
		enum behind behind = look_behind(span_after(in, len));
		bool known = len == link->priv[H02_KNOWN_LENGTH];
		if (rank[behind] > rank[*best] || (known && behind != BEHIND_OTHER && behind == *best)) {
			found = len;
			*best = behind;
		}
	}
	return found;
}

static bool sure_text(struct span in)
{
	return h02_text_start(in) == CODEC_OK && in.len > 4 && byte_is_digit(in.ptr[4]);
}

/* The next sure start from `from` to before `to`, or 0. */
static size_t next_start(struct span in, size_t from, size_t to, bool text_only)
{
	size_t end = to < in.len ? to : in.len;
	if (text_only && (end <= from || memchr(in.ptr + from, '*', end - from) == NULL))
		return 0;
	for (size_t i = from; i < end; i++) {
		struct span head = span_after(in, i);
		if (sure_text(head) || (!text_only && h02_binary_start(head) == H02_START_YES))
			return i;
	}
	return 0;
}

enum codec_status h02_binary_sniff(struct span in)
{
	bool other = memchr(in.ptr, 0x7e, H02_BINARY_MIN) != NULL; /* JT/T 808 behind noise */
	bool sure = !other && plausible_clock(in, 6) && next_start(in, 1, H02_BINARY_MIN, false) == 0;
	return sure ? CODEC_OK : CODEC_NOT_MINE;
}

/* A weak start is none when a sure one comes before its end. */
enum codec_status h02_binary_doubt(const struct codec_link *link, struct span in)
{
	if (next_start(in, 1, H02_BINARY_MIN, false) > 0)
		return CODEC_NOT_MINE;
	bool in_sight = in.len >= H02_BINARY_MIN + 16 || link->quiet_ms >= CODEC_QUIET_LONG_MS;
	return in_sight ? CODEC_OK : CODEC_MORE;
}

enum codec_status h02_binary_frame(struct codec_link *link, struct span in, bool noise, size_t *len)
{
	uint8_t *known = &link->priv[H02_KNOWN_LENGTH];
	size_t next = next_start(in, 1, H02_BINARY_MIN, true);
	if (next > 0) {
		*len = next;
		return CODEC_TRUNCATED;
	}
	if (in.len < H02_BINARY_MIN) {
		*len = in.len;
		return link->quiet_ms >= CODEC_QUIET_LONG_MS ? CODEC_TRUNCATED : CODEC_MORE;
	}
	if (in.ptr[0] == 'X' || !all_bcd(in, 1, 5)) { /* the latter only to be refused by name */
		*len = H02_BINARY_MIN;
		return CODEC_OK;
	}
	enum behind behind;
	size_t best = best_length(link, in, &behind);
	bool whole = behind == BEHIND_START;
	if (behind == BEHIND_END || behind == BEHIND_NEWLINE)
		whole = link->quiet_ms >= (best < *known ? CODEC_QUIET_LONG_MS : CODEC_QUIET_SHORT_MS);
	else if (behind == BEHIND_UNSURE)
		whole = link->quiet_ms >= CODEC_QUIET_LONG_MS;
	if (whole) {
		*known = (uint8_t)best;
		*len = best;
		return CODEC_OK;
	}
	/* Unknown layout: decide only when the next start would be in sight. */
	if (in.len < H02_BINARY_MAX + 16 && link->quiet_ms < CODEC_QUIET_LONG_MS)
		return CODEC_MORE;
	next = next_start(in, H02_BINARY_MIN, H02_BINARY_MAX, false);
	if (next == 0)
		next = in.len <= H02_BINARY_MAX ? in.len : H02_BINARY_MIN;
	*len = next;
	return noise && *known == 0 ? CODEC_BAD_LENGTH : CODEC_OK;
}

/* --- decoding --- */

static bool bcd_number(struct span in, size_t first_nibble, size_t nibbles, int64_t *out)
{
	*out = 0;
	for (size_t i = first_nibble; i < first_nibble + nibbles; i++) {
		uint8_t c = in.ptr[i / 2];
		uint8_t n = i % 2 == 0 ? c >> 4 : c & 15;
		if (n > 9)
			return false;
		*out = *out * 10 + n;
	}
	return true;
}

/* DDMMMMMM or DDDMMMMMM, minutes in 1/10000, as 1e-7 degrees. */
static int64_t coordinate(int64_t packed)
{
	int64_t degrees = packed / 1000000, minutes = packed % 1000000;
	if (minutes >= 600000)
		return CODEC_NOWHERE;
	return degrees * 10000000 + (minutes * 1000 + 30) / 60;
}

/* Bytes 0 to 28; `in` starts so that the time is at offset 6 whatever the size of the id. */
static enum codec_status decode_head(struct telemetry *t, struct span in, bool battery)
{
	int64_t lat, lon, knots, course;
	if (!bcd_number(in, 24, 8, &lat) || !bcd_number(in, 34, 9, &lon) || !bcd_number(in, 44, 3, &knots) ||
		!bcd_number(in, 47, 3, &course))
		return CODEC_BAD_BCD;
	if (all_bcd(in, 6, 6)) {
		struct calendar c = {2000 + bcd(in.ptr[11]), bcd(in.ptr[10]), bcd(in.ptr[9]), bcd(in.ptr[6]),
			bcd(in.ptr[7]), bcd(in.ptr[8])};
		h02_set_time(t, &c);
	}
	uint8_t flags = in.ptr[21] & 15;
	bool valid = flags & 2;
	lat = coordinate(lat);
	lon = coordinate(lon);
	if (!(flags & 4) && lat != CODEC_NOWHERE)
		lat = -lat;
	if (!(flags & 8) && lon != CODEC_NOWHERE)
		lon = -lon;
	telemetry_set(t, TM_POSITION_VALID, valid);
	enum codec_status status = codec_set_place(t, valid, lat, lon);
	if (status != CODEC_OK)
		return status;
	telemetry_set(t, TM_SPEED, knots * 1852);
	telemetry_set(t, TM_DIRECTION, course * 10000);
	struct reader r = reader_of(span_of(in.ptr + 25, 4));
	h02_set_status(t, reader_u32(&r), false);
	if (battery)
		h02_set_battery_code(t, in.ptr[16]);
	return CODEC_OK;
}

static void set_cell(struct telemetry *t, uint16_t mcc, uint8_t mnc, uint16_t lac, uint16_t cellid)
{
	if (mcc < 200 || mcc > 799)
		return;
	telemetry_set(t, TM_GSM_MCC, mcc);
	telemetry_set(t, TM_GSM_MNC, mnc);
	if (lac != 0)
		telemetry_set(t, TM_GSM_LAC, lac);
	if (cellid != 0)
		telemetry_set(t, TM_GSM_CELLID, cellid);
}

/* 45, 47 and 51 bytes: the same up to 43. */
static void decode_45(struct telemetry *t, struct span in)
{
	struct reader r = reader_of(span_after(in, 29));
	if (in.ptr[29] & 0x80) {
		telemetry_set(t, TM_USER_ALARM_BYTE, reader_u8(&r));
		reader_u8(&r);
		codec_set_csq(t, reader_u8(&r));
		uint8_t satellites = reader_u8(&r);
		if (satellites <= 24)
			telemetry_set(t, TM_SATELLITES, satellites);
		telemetry_set(t, TM_MILEAGE, (int64_t)reader_u32(&r) * 1000);
	} else {
		telemetry_set(t, TM_MILEAGE, reader_u32(&r)); /* metres */
		reader_u32(&r);
	}
	uint16_t mcc = reader_u16(&r);
	uint8_t mnc = reader_u8(&r);
	uint16_t lac = reader_u16(&r);
	set_cell(t, mcc, mnc, lac, reader_u16(&r));
	if (in.len > 45) {
		uint16_t volts = reader_u16(&r);
		if (volts != 0)
			telemetry_set(t, TM_EXTERNAL_VOLTAGE, volts * 100);
	}
	telemetry_set(t, TM_EVENT_SEQNUM, in.ptr[in.len - 1]);
}

static void decode_46(struct telemetry *t, struct span in)
{
	int64_t metres;
	if (bcd_number(in, 66, 8, &metres))
		telemetry_set(t, TM_MILEAGE, metres);
	struct reader r = reader_of(span_after(in, 42));
	uint16_t lac = reader_u16(&r), cellid = reader_u16(&r);
	if (lac != 0)
		telemetry_set(t, TM_GSM_LAC, lac);
	if (cellid != 0)
		telemetry_set(t, TM_GSM_CELLID, cellid);
}

static void decode_54(struct telemetry *t, struct span in)
{
	struct reader r = reader_of(span_after(in, 29));
	telemetry_set(t, TM_MILEAGE, reader_u32(&r));
	uint16_t mcc = reader_u16(&r);
	uint8_t mnc = reader_u8(&r);
	if (mcc < 200 || mcc > 799)
		return;
	for (int i = 0; i < 3; i++) {
		uint16_t lac = reader_u16(&r), cellid = reader_u16(&r);
		uint8_t level = reader_u8(&r);
		bool has_dbm = level < 64 && (lac != 0 || cellid != 0);
		if (i > 0) {
			telemetry_add_cell(
				t, (struct telemetry_cell){lac, cellid, (int16_t)(level - 110), has_dbm});
			continue;
		}
		set_cell(t, mcc, mnc, lac, cellid);
		if (has_dbm)
			telemetry_set(t, TM_GSM_DBM, level - 110);
	}
}

static void decode_tail(struct telemetry *t, struct span in)
{
	switch (in.len) {
	case 32:
		telemetry_set(t, TM_USER_ALARM_BYTE, in.ptr[29]);
		telemetry_set(t, TM_EVENT_SEQNUM, in.ptr[31]);
		break;
	case 45:
	case 47:
	case 51:
		decode_45(t, in);
		break;
	case 46:
		decode_46(t, in);
		break;
	case 54:
		decode_54(t, in);
		break;
	}
}

static enum codec_status decode_x(struct telemetry *t, struct span in)
{
	int64_t counts;
	if (!bcd_number(in, 2, 10, &counts))
		return CODEC_BAD_BCD;
	telemetry_set(t, TM_MILEAGE, (counts * 1852 + 1800) / 3600);
	telemetry_set(t, TM_EVENT_SEQNUM, in.ptr[31]);
	return CODEC_OK;
}

enum codec_status h02_binary_decode(
	struct codec_link *link, struct span frame, struct telemetry *t, const struct codec_sink *sink)
{
	bool odometer = frame.ptr[0] == 'X';
	bool wide = frame.len == LONG_ID_LENGTH && long_id(frame);
	size_t digits = wide ? 15 : 10;
	if (frame.len < H02_BINARY_MIN)
		return CODEC_TRUNCATED;
	if (!odometer) {
		uint8_t ident[16];
		for (size_t i = 0; i < digits; i++) {
			uint8_t c = frame.ptr[1 + i / 2];
			uint8_t n = i % 2 == 0 ? c >> 4 : c & 15;
			if (n > 9)
				return CODEC_BAD_ID;
			ident[i] = (uint8_t)('0' + n);
		}
		link->unit = sink->identify(sink->ctx, span_of(ident, digits));
		if (link->unit == NULL)
			return CODEC_REFUSED;
	} else if (link->unit == NULL) {
		return CODEC_NO_IDENT;
	}
	telemetry_set_text(t, TM_IDENT, span_text(link->unit->ident));
	struct span type = odometer ? span_text("X") : span_text("$");
	telemetry_set_text(t, TM_MESSAGE_TYPE, type);
	enum codec_status status = decode_head(t, wide ? span_after(frame, 3) : frame, !odometer);
	if (status != CODEC_OK)
		return status;
	if (odometer)
		status = decode_x(t, frame);
	else
		decode_tail(t, frame);
	if (status != CODEC_OK)
		return status;
	return h02_finish(link, t, type, H02_ANSWER_R12, sink);
}
