/* h02: H02 / SinoTrack / "TQ", text and binary, mixed on one connection: framing and shared meaning.
 * May use: codec, h02. May not: allocate, log, ask the time.
 *
 *   text     *XX,<id>,<type>[,<field>]...#
 *             XX maker code, id 1 to 20 digits or empty, at most 1024 bytes
 *   binary   $ II II II II II hh mm ss DD MM YY ...   5 bytes of BCD id, BCD time and date, 32 to 54 bytes
 *   binary   X OO OO OO OO OO hh mm ss DD MM YY ...   odometer instead of the id, 32 bytes
 *
 * Neither form has a length or a check code. A text frame ends at `#`; a binary one where the next frame
 * starts, or where the peer falls silent at a known length. Everything else between frames is noise. */
#include "codecs/h02/h02.h"

/* --- tables --- */

/* Status word, negative logic: a 0 bit is active; but bit 10 is the ignition as it is. */
#define STATUS_BITS(X)                                                                                         \
	X(31, TM_LOW_SENSOR_1)                                                                                 \
	X(30, TM_HIGH_SENSOR_2)                                                                                \
	X(29, TM_HIGH_SENSOR_1)                                                                                \
	X(28, TM_BATTERY_DISCONNECTED)                                                                         \
	X(27, TM_ENGINE_BLOCKED)                                                                               \
	X(26, TM_BUFFERED)                                                                                     \
	X(25, TM_DISPLACEMENT_ALARM)                                                                           \
	X(24, TM_TEMPERATURE_ALARM)                                                                            \
	X(23, TM_LOW_SENSOR_2)                                                                                 \
	X(22, TM_GPS_ANTENNA_SHORT)                                                                            \
	X(21, TM_GPS_ANTENNA_OPEN)                                                                             \
	X(20, TM_POWER_REMOVED)                                                                                \
	X(19, TM_BACKUP_BATTERY)                                                                               \
	X(18, TM_STATE_BIT_18)                                                                                 \
	X(17, TM_VIBRATION_ALARM)                                                                              \
	X(16, TM_GPS_FAULT)                                                                                    \
	X(15, TM_OVERSPEEDING_STATUS)                                                                          \
	X(14, TM_USER_STATUS)                                                                                  \
	X(13, TM_ENGINE_RUNNING)                                                                               \
	X(12, TM_VEHICLE_BATTERY_BAD)                                                                          \
	X(11, TM_SUPPLY_LOW)                                                                                   \
	X(10, TM_IGNITION)                                                                                     \
	X(9, TM_DEFENSE_ACTIVE)                                                                                \
	X(8, TM_DOOR_OPEN)                                                                                     \
	X(7, TM_GEOFENCE_OUT_ALARM)                                                                            \
	X(4, TM_GEOFENCE_IN_ALARM)                                                                             \
	X(3, TM_ILLEGAL_IGNITION_ALARM)                                                                        \
	X(2, TM_OVERSPEEDING_EVENT)                                                                            \
	X(1, TM_SOS_ALARM)                                                                                     \
	X(0, TM_THEFT_ALARM)
static const struct telemetry_flags status_bits = TM_FLAGS(STATUS_BITS);
#define ACTIVE_HIGH (1u << 10)

/* --- framing --- */

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

/* A start inside of another frame must be sure: `*XX,` and a digit, or a binary head. */
static bool starts_inside(struct span in)
{
	if (in.ptr[0] == '*')
		return in.len > 4 && byte_is_digit(in.ptr[4]) && h02_text_start(in) == CODEC_OK;
	return in.ptr[0] == '$' && h02_binary_start(in) == H02_START_YES;
}

/* Where another frame surely starts inside of this one; `len` when none does. */
static size_t start_inside(struct span in, size_t len)
{
	for (size_t i = 1; i < len; i++) {
		uint8_t c = in.ptr[i];
		if ((c == '*' || c == '$') && starts_inside(span_after(in, i)))
			return i;
	}
	return len;
}

static enum codec_status text_frame(const struct codec_link *link, struct span in, size_t *len)
{
	size_t most = in.len < H02_TEXT_MAX ? in.len : H02_TEXT_MAX;
	const uint8_t *hash = memchr(in.ptr, '#', most);
	size_t end = hash != NULL ? (size_t)(hash - in.ptr) : most;
	bool maybe = end > 1 &&
		     (memchr(in.ptr + 1, '*', end - 1) != NULL || memchr(in.ptr + 1, '$', end - 1) != NULL);
	size_t inside = maybe ? start_inside(in, end) : end;
	if (inside < end) {
		*len = inside;
		return CODEC_NO_TERMINATOR;
	}
	*len = hash != NULL ? end + 1 : end;
	if (hash != NULL)
		return CODEC_OK;
	if (in.len >= H02_TEXT_MAX)
		return CODEC_OVERSIZE;
	return link->quiet_ms == CODEC_QUIET_FINAL ? CODEC_NO_TERMINATOR : CODEC_MORE;
}

static enum codec_status h02_sniff(struct span head)
{
	enum codec_status status = h02_text_start(head);
	if (status != CODEC_NOT_MINE)
		return status;
	switch (h02_binary_start(head)) {
	case H02_START_YES:
		return CODEC_OK;
	case H02_START_MORE:
		return CODEC_MORE;
	case H02_START_WEAK: /* one with a damaged id; a shorter one is no evidence */
		return head.len < H02_BINARY_MIN ? CODEC_MORE : h02_binary_sniff(head);
	case H02_START_NO:
		return CODEC_NOT_MINE;
	}
	return CODEC_NOT_MINE;
}

static enum codec_status h02_frame(struct codec_link *link, struct span in, struct frame *out)
{
	bool final = link->quiet_ms == CODEC_QUIET_FINAL, noise = link->after_noise;
	for (out->skip = 0; out->skip < in.len; out->skip++) {
		struct span head = span_after(in, out->skip);
		enum codec_status text = h02_text_start(head);
		enum h02_start binary = h02_binary_start(head);
		if (text == CODEC_OK)
			return text_frame(link, head, &out->len);
		enum codec_status doubt = CODEC_OK;
		if (binary == H02_START_WEAK)
			doubt = h02_binary_doubt(link, head);
		if (doubt == CODEC_MORE)
			return CODEC_MORE;
		if (doubt == CODEC_NOT_MINE)
			continue;
		if (binary == H02_START_WEAK || binary == H02_START_YES)
			return h02_binary_frame(link, head, noise || out->skip > 0, &out->len);
		if (text != CODEC_MORE && binary != H02_START_MORE)
			continue;
		if (!final)
			return CODEC_MORE;
		if (binary == H02_START_MORE && head.len > 1) {
			out->len = head.len;
			return CODEC_TRUNCATED;
		}
	}
	return CODEC_MORE;
}

static enum codec_status h02_decode(
	struct codec_link *link, struct span frame, struct telemetry *scratch, const struct codec_sink *sink)
{
	telemetry_reset(scratch);
	if (frame.ptr[0] == '*')
		return h02_text_decode(link, frame, scratch, sink);
	return h02_binary_decode(link, frame, scratch, sink);
}

/* --- meaning that text and binary share --- */

void h02_set_status(struct telemetry *t, uint32_t word, bool low_battery_bits)
{
	struct writer w = telemetry_scratch(t);
	uint8_t raw[4] = {(uint8_t)(word >> 24), (uint8_t)(word >> 16), (uint8_t)(word >> 8), (uint8_t)word};
	writer_hex(&w, span_of(raw, sizeof(raw)));
	telemetry_set_scratch(t, TM_VEHICLE_STATE, &w);
	telemetry_set(t, TM_VEHICLE_STATE_BITMASK, word);
	telemetry_set_flags(t, ~word ^ ACTIVE_HIGH, &status_bits);
	bool bit6 = !(word >> 6 & 1), bit5 = !(word >> 5 & 1);
	if (low_battery_bits) {
		telemetry_set(t, TM_BATTERY_LOW_ALARM, bit6 || bit5);
	} else {
		telemetry_set(t, TM_ANTENNA_SHORT_ALARM, bit6);
		telemetry_set(t, TM_ANTENNA_OPEN_ALARM, bit5);
	}
	const uint32_t power = 1u << 28 | 1u << 20 | 1u << 19;
	telemetry_set(t, TM_POWER_CUT_ALARM, (word & power) != power);
}

void h02_set_battery_code(struct telemetry *t, unsigned code)
{
	static const uint8_t steps[] = {0, 0, 10, 20, 60, 80, 100};
	if (code >= 0xf1 && code <= 0xf6)
		code -= 0xf0; /* charging */
	if (code >= 1 && code <= 6)
		telemetry_set(t, TM_BATTERY_LEVEL, steps[code]);
	else if (code >= 7 && code <= 100)
		telemetry_set(t, TM_BATTERY_LEVEL, code);
}

void h02_set_time(struct telemetry *t, const struct calendar *c)
{
	int64_t unix_s;
	if (calendar_unix(c, &unix_s))
		telemetry_set(t, TM_TIMESTAMP, unix_s * 1000);
}

const struct codec codec_h02 = {
	.name = "h02",
	.label = "H02",
	.title = "H02 / SinoTrack, text and binary",
	.max_frame = H02_TEXT_MAX,
	.max_command = 900,
	.commands = h02_commands,
	.relayed = true,
	.options = h02_option_rows,
	.options_size = sizeof(struct h02_options),
	.sniff = h02_sniff,
	.frame = h02_frame,
	.decode = h02_decode,
	.is_whole = h02_is_whole,
	.encode = h02_encode,
};
