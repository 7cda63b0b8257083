/* jt808: JT/T 808 as trackers speak it: framing, header, the conversation.
 * May use: codec, jt808. May not: allocate, log, ask the time.
 *
 *   7E | id 2 | properties 2 | [version 1] | phone 6 or 10 | serial 2 | [total 2, number 2] | body | check 1 | 7E
 *
 * Between the delimiters 7E is written 7D 02 and 7D is 7D 01; the XOR over all unescaped bytes is 0. Properties:
 * bits 0-9 length of the body, 10-12 encryption, 13 part of a message, 14 header of 2019 (with version and phone 10). */
#include "codecs/jt808/jt808.h"

#define DELIMITER 0x7e
#define ESCAPE 0x7d
#define UNESCAPED_MIN 13

#define PAYLOAD_MAX 60000 /* its hex digits are to fit one record */

enum { LENGTH_BITS = 0x3ff, ENCRYPTION_BITS = 0x1c00, PART_BIT = 0x2000, VERSION_BIT = 0x4000 };

/* link->priv: the delimiter before these bytes was the end of a frame and is used up; it may start one, too. */
enum { SHARED_DELIMITER = 0 };

/* --- tables --- */

static enum codec_status take_nothing(
	struct telemetry *t, const struct jt808_message *m, const struct jt808_options *options);
static enum codec_status take_payload(
	struct telemetry *t, const struct jt808_message *m, const struct jt808_options *options);
static enum codec_status take_location(
	struct telemetry *t, const struct jt808_message *m, const struct jt808_options *options);
static enum codec_status take_answered_location(
	struct telemetry *t, const struct jt808_message *m, const struct jt808_options *options);
static enum codec_status take_reply(
	struct telemetry *t, const struct jt808_message *m, const struct jt808_options *options);

static const struct {
	uint16_t id;
	enum codec_status (*take)(
		struct telemetry *, const struct jt808_message *, const struct jt808_options *);
	enum jt808_answer answer;
	uint16_t command; /* what it answers, 0: nothing, or told by its body */
} messages[] = {
	{0x0001, take_reply, JT808_ANSWER_NONE, 0},
	{0x0002, take_nothing, JT808_ANSWER_GENERAL, 0},
	{0x0003, take_nothing, JT808_ANSWER_GENERAL, 0},
	{0x0004, take_nothing, JT808_ANSWER_TIME, 0},
	{0x0005, take_payload, JT808_ANSWER_GENERAL, 0},
	{0x0100, jt808_registration, JT808_ANSWER_REGISTRATION, 0},
	{0x0102, jt808_authentication, JT808_ANSWER_GENERAL, 0},
	{0x0104, jt808_parameters, JT808_ANSWER_NONE, 0x8104},
	{0x0107, jt808_attributes, JT808_ANSWER_NONE, 0x8107},
	{0x0109, take_nothing, JT808_ANSWER_VENDOR_TIME, 0},
	{0x0200, take_location, JT808_ANSWER_GENERAL, 0},
	{0x0201, take_answered_location, JT808_ANSWER_NONE, 0x8201},
	{0x0301, take_payload, JT808_ANSWER_GENERAL, 0},
	{0x0302, take_payload, JT808_ANSWER_GENERAL, 0},
	{0x0500, take_answered_location, JT808_ANSWER_NONE, 0x8500},
	{0x0700, take_payload, JT808_ANSWER_NONE, 0},
	{0x0702, take_payload, JT808_ANSWER_GENERAL, 0},
	{0x0704, NULL, JT808_ANSWER_GENERAL, 0}, /* several records: batch() */
	{0x0705, take_payload, JT808_ANSWER_GENERAL, 0},
	{0x0801, take_payload, JT808_ANSWER_GENERAL, 0},
	{0x0802, take_payload, JT808_ANSWER_NONE, 0},
	{0x0805, take_payload, JT808_ANSWER_NONE, 0},
	{0x0900, take_payload, JT808_ANSWER_GENERAL, 0},
	{0x1210, take_payload, JT808_ANSWER_GENERAL, 0},
};
#define MESSAGE_COUNT (sizeof(messages) / sizeof(messages[0]))

static const size_t UNKNOWN = MESSAGE_COUNT;

/* --- framing --- */

static enum codec_status jt808_sniff(struct span head)
{
	if (head.len == 0 || head.ptr[0] != DELIMITER)
		return CODEC_NOT_MINE;
	if (head.len < 4)
		return head.len > 1 && head.ptr[1] >= 0x70 ? CODEC_NOT_MINE : CODEC_MORE;
	/* units' messages are 0x0xxx to 0x6xxx; bit 15 of the properties is reserved */
	return head.ptr[1] < 0x70 && !(head.ptr[3] & 0x80) ? CODEC_OK : CODEC_NOT_MINE;
}

static enum codec_status jt808_frame_next(struct codec_link *link, struct span in, struct frame *out)
{
	uint8_t *shared = &link->priv[SHARED_DELIMITER];
	size_t start = 0, end;
	for (;; start = end) {
		bool implied = *shared && start < in.len && in.ptr[start] != DELIMITER;
		while (!implied && start < in.len && in.ptr[start] != DELIMITER)
			start++;
		size_t body = start;
		while (body < in.len && in.ptr[body] == DELIMITER)
			body++;
		start = body > start ? body - 1 : start;
		end = body;
		while (end < in.len && in.ptr[end] != DELIMITER)
			end++;
		out->skip = start;
		out->len = end - start;
		if (end - body > JT808_FRAME_MAX - 2) {
			*shared = 0;
			return CODEC_OVERSIZE;
		}
		if (end < in.len && (!implied || end - body >= UNESCAPED_MIN)) {
			*shared = 1;
			out->len++;
			return CODEC_OK;
		}
		if (end < in.len) { /* junk behind a frame, shorter than any message */
			*shared = 0;
			continue;
		}
		bool torn = link->quiet_ms == CODEC_QUIET_FINAL && end > body && !implied;
		return torn ? CODEC_TRUNCATED : CODEC_MORE;
	}
}

static enum codec_status unescape(struct span frame, struct writer *out)
{
	size_t i = 0, end = frame.len;
	if (i < end && frame.ptr[i] == DELIMITER)
		i++;
	if (i < end && frame.ptr[end - 1] == DELIMITER)
		end--;
	for (; i < end; i++) {
		uint8_t c = frame.ptr[i];
		if (c == ESCAPE) {
			if (++i == end || frame.ptr[i] < 1 || frame.ptr[i] > 2)
				return CODEC_BAD_ESCAPE;
			c = frame.ptr[i] == 1 ? ESCAPE : DELIMITER;
		}
		writer_u8(out, c);
	}
	return out->full ? CODEC_OVERSIZE : CODEC_OK;
}

static uint8_t check_of(struct span s)
{
	uint8_t x = 0;
	for (size_t i = 0; i < s.len; i++)
		x ^= s.ptr[i];
	return x;
}

/* --- header --- */

static enum codec_status read_header(
	struct span in, struct jt808_message *m, struct span *phone, uint8_t *version)
{
	if (in.len < UNESCAPED_MIN)
		return CODEC_TRUNCATED;
	if (check_of(in) != 0)
		return CODEC_BAD_CHECKSUM;
	in.len--;
	struct reader r = reader_of(in);
	m->id = reader_u16(&r);
	uint16_t properties = reader_u16(&r);
	m->version_2019 = properties & VERSION_BIT;
	*version = m->version_2019 ? reader_u8(&r) : 0;
	*phone = reader_take(&r, m->version_2019 ? 10 : 6);
	m->serial = reader_u16(&r);
	m->total = m->number = 0;
	if (properties & PART_BIT) {
		m->total = reader_u16(&r);
		m->number = reader_u16(&r);
	}
	if (r.bad || reader_left(&r) != (properties & LENGTH_BITS))
		return CODEC_BAD_LENGTH;
	m->body = reader_take(&r, reader_left(&r));
	struct writer w = writer_of(m->type, sizeof(m->type));
	writer_text(&w, "0x");
	writer_hex(&w, span_of(in.ptr, 2));
	writer_u8(&w, 0);
	return properties & ENCRYPTION_BITS ? CODEC_ENCRYPTED : CODEC_OK;
}

/* Six bytes that are no BCD: the first 14 digits of an IMEI as a number; the Luhn digit follows. */
static void put_imei(struct span phone, struct writer *out)
{
	uint64_t v = 0;
	for (size_t i = 0; i < phone.len; i++)
		v = v << 8 | phone.ptr[i];
	size_t from = out->len;
	writer_decimal(out, v, 14);
	unsigned sum = 0;
	for (size_t i = from; i < out->len; i++) {
		bool doubled = (out->len - i) % 2 == 1; /* the digit beside the check digit, and every second */
		unsigned d = (unsigned)(out->ptr[i] - '0') * (doubled ? 2 : 1);
		sum += d > 9 ? d - 9 : d;
	}
	writer_u8(out, (uint8_t)('0' + (10 - sum % 10) % 10));
}

/* R-ID808: the phone number without leading zeros. */
static bool read_ident(struct span phone, struct writer *out)
{
	if (!span_is_bcd(phone)) {
		if (phone.len != 6)
			return false;
		put_imei(phone, out);
		return true;
	}
	for (size_t i = 0; i < 2 * phone.len; i++) {
		uint8_t digit = i % 2 == 0 ? phone.ptr[i / 2] >> 4 : phone.ptr[i / 2] & 15;
		if (digit != 0 || out->len > 0 || i == 2 * phone.len - 1)
			writer_u8(out, (uint8_t)('0' + digit));
	}
	return true;
}

uint16_t jt808_frame(struct codec_unit *unit, uint16_t id, struct span body, struct writer *out)
{
	struct jt808_unit *u = jt808_unit(unit);
	uint8_t raw[JT808_BODY_MAX + 32];
	struct writer w = writer_of(raw, sizeof(raw));
	uint16_t serial = u->serial++;
	writer_u16(&w, id);
	writer_u16(&w, (uint16_t)(body.len | (u->version_2019 ? VERSION_BIT : 0u)));
	if (u->version_2019)
		writer_u8(&w, u->protocol_version);
	writer_bytes(&w, u->phone, u->version_2019 ? 10 : 6);
	writer_u16(&w, serial);
	writer_span_put(&w, body);
	writer_u8(&w, check_of(writer_span(&w)));
	if (w.full)
		out->full = true;
	writer_u8(out, DELIMITER);
	for (size_t i = 0; i < w.len; i++) {
		bool escape = raw[i] == DELIMITER || raw[i] == ESCAPE;
		if (escape)
			writer_u8(out, ESCAPE);
		writer_u8(out, escape ? (raw[i] == ESCAPE ? 1 : 2) : raw[i]);
	}
	writer_u8(out, DELIMITER);
	return serial;
}

/* --- what the messages say --- */

static enum codec_status take_nothing(
	struct telemetry *t, const struct jt808_message *m, const struct jt808_options *options)
{
	(void)t;
	(void)m;
	(void)options;
	return CODEC_OK;
}

/* No decoder: the bytes as they are. */
static enum codec_status take_payload(
	struct telemetry *t, const struct jt808_message *m, const struct jt808_options *options)
{
	enum { PIECE = 1000 };
	(void)options;
	if (m->body.len <= PIECE) {
		struct writer w = telemetry_scratch(t);
		writer_hex(&w, m->body);
		telemetry_set_scratch(t, TM_PAYLOAD, &w);
		return CODEC_OK;
	}
	if (m->body.len > PAYLOAD_MAX)
		return CODEC_OVERSIZE;
	for (size_t at = 0; at < m->body.len; at += PIECE) {
		size_t n = m->body.len - at < PIECE ? m->body.len - at : PIECE;
		telemetry_add_item(t, "custom.payload.", (uint32_t)(at / PIECE), 4, ITEM_HEX,
			span_of(m->body.ptr + at, n));
	}
	return CODEC_OK;
}

static enum codec_status take_location(
	struct telemetry *t, const struct jt808_message *m, const struct jt808_options *options)
{
	return jt808_location(t, m->body, options);
}

/* WORD serial of our command, then a location. */
static enum codec_status take_answered_location(
	struct telemetry *t, const struct jt808_message *m, const struct jt808_options *options)
{
	return m->body.len < 2 ? CODEC_TRUNCATED : jt808_location(t, span_after(m->body, 2), options);
}

static enum codec_status take_reply(
	struct telemetry *t, const struct jt808_message *m, const struct jt808_options *options)
{
	(void)options;
	if (m->body.len != 5)
		return CODEC_BAD_LENGTH;
	struct reader r = reader_of(m->body);
	telemetry_set(t, TM_REPLY_SEQNUM, reader_u16(&r));
	struct writer w = telemetry_scratch(t);
	writer_text(&w, "0x");
	writer_hex(&w, reader_take(&r, 2));
	telemetry_set_scratch(t, TM_REPLY_MESSAGE_TYPE, &w);
	telemetry_set(t, TM_REPLY_RESULT, reader_u8(&r));
	return CODEC_OK;
}

/* --- path --- */

static void begin_record(struct codec_link *link, struct telemetry *t, const struct jt808_message *m)
{
	telemetry_reset(t);
	telemetry_set_text(t, TM_IDENT, span_text(link->unit->ident));
	telemetry_set_text(t, TM_MESSAGE_TYPE, span_of(m->type, 6));
}

/* 0x0704: WORD count, BYTE kind, then WORD length and a location each; all or none. Items beyond the count are taken as
 * well: they would be acknowledged and lost. What stands there and is no item is noise. */
static enum codec_status each_item(struct codec_link *link, const struct jt808_message *m, struct telemetry *t,
	const struct codec_sink *sink, size_t *items)
{
	struct reader r = reader_of(m->body);
	uint16_t count = reader_u16(&r);
	uint8_t kind = reader_u8(&r);
	*items = 0;
	while (!r.bad && (reader_left(&r) > 0 || *items < count)) {
		struct span item = reader_take(&r, reader_u16(&r));
		if (r.bad && *items >= count)
			return CODEC_OK;
		if (r.bad)
			break;
		begin_record(link, t, m);
		enum codec_status status = jt808_location(t, item, link->unit->options);
		if (status != CODEC_OK)
			return status;
		telemetry_set(t, TM_BUFFERED, kind == 1);
		if (sink != NULL && !sink->record(sink->ctx, t))
			return CODEC_REFUSED;
		++*items;
	}
	return r.bad ? CODEC_TRUNCATED : CODEC_OK;
}

static enum codec_status batch(struct codec_link *link, const struct jt808_message *m, struct telemetry *t,
	const struct codec_sink *sink)
{
	size_t items; /* first whether all are fine, then the records */
	enum codec_status status = each_item(link, m, t, NULL, &items);
	if (status != CODEC_OK)
		return status;
	switch (items > 1 && sink->batch != NULL ? sink->batch(sink->ctx, items) : CODEC_ROOM_YES) {
	case CODEC_ROOM_YES:
		return each_item(link, m, t, sink, &items);
	case CODEC_ROOM_NOT_NOW:
		return CODEC_REFUSED;
	case CODEC_ROOM_NEVER:
		return CODEC_OVERSIZE;
	}
	return CODEC_REFUSED;
}

static enum codec_status take(struct codec_link *link, const struct jt808_message *m, size_t row,
	struct telemetry *t, const struct codec_sink *sink)
{
	if (row != UNKNOWN && messages[row].take == NULL)
		return batch(link, m, t, sink);
	begin_record(link, t, m);
	enum codec_status status = row == UNKNOWN ? take_payload(t, m, link->unit->options)
						  : messages[row].take(t, m, link->unit->options);
	if (status != CODEC_OK)
		return status;
	if (!sink->record(sink->ctx, t))
		return CODEC_REFUSED;
	return row == UNKNOWN ? CODEC_UNSUPPORTED : CODEC_OK;
}

static enum codec_status identify(struct codec_link *link, const struct jt808_message *m, struct span phone,
	uint8_t version, const struct codec_sink *sink)
{
	uint8_t ident[32];
	struct writer w = writer_of(ident, sizeof(ident));
	if (!read_ident(phone, &w))
		return CODEC_BAD_ID;
	link->unit = sink->identify(sink->ctx, writer_span(&w));
	if (link->unit == NULL)
		return CODEC_REFUSED;
	struct jt808_unit *u = jt808_unit(link->unit);
	memcpy(u->phone, phone.ptr, phone.len);
	u->version_2019 = m->version_2019;
	u->protocol_version = version;
	return CODEC_OK;
}

/* A whole message; `serials` of its parts, NULL when it came in one piece. */
static enum codec_status take_message(struct codec_link *link, const struct jt808_message *m,
	const uint16_t *serials, struct span frame, struct telemetry *t, const struct codec_sink *sink)
{
	size_t row = 0;
	while (row < MESSAGE_COUNT && messages[row].id != m->id)
		row++;
	enum codec_status status = take(link, m, row, t, sink);
	if (status == CODEC_REFUSED)
		return status;
	jt808_answer(
		link, m, serials, row == UNKNOWN ? JT808_ANSWER_GENERAL : messages[row].answer, status, sink);
	if (status != CODEC_OK)
		return status;
	if (m->id == 0x0001)
		jt808_tell_reply(m, (uint16_t)(m->body.ptr[2] << 8 | m->body.ptr[3]), frame, sink);
	else if (messages[row].command != 0)
		jt808_tell_reply(m, messages[row].command, frame, sink);
	return status;
}

static enum codec_status take_part(struct codec_link *link, struct jt808_message *m, struct span frame,
	struct telemetry *t, const struct codec_sink *sink)
{
	const struct codec_part part = {m->id, m->total, m->number, m->serial, m->body};
	struct codec_parts parts;
	enum codec_status status = sink->part(sink->ctx, &part, &parts);
	if (status == CODEC_OK) {
		m->body = parts.whole;
		return take_message(link, m, parts.serials, frame, t, sink);
	}
	if (status == CODEC_MORE) {
		jt808_ask_parts(link, m, &parts, frame.len, sink);
		return CODEC_FRAGMENT;
	}
	if (status != CODEC_NO_ROOM)
		jt808_answer_part(link, m, status == CODEC_FRAGMENT ? parts.ended : status, sink);
	return status;
}

/* Only a platform sends these; 0xExxx are the makers' own, from their units. */
static bool is_from_platform(uint16_t id)
{
	return id >= 0x8000 && id >> 12 != 0xe;
}

static enum codec_status jt808_decode(
	struct codec_link *link, struct span frame, struct telemetry *t, const struct codec_sink *sink)
{
	uint8_t buf[JT808_FRAME_MAX];
	struct writer w = writer_of(buf, sizeof(buf));
	struct jt808_message m = {.from_gbk = sink->from_gbk};
	struct span phone;
	uint8_t version;
	enum codec_status status = unescape(frame, &w);
	if (status == CODEC_OK)
		status = read_header(writer_span(&w), &m, &phone, &version);
	if (status == CODEC_OK && is_from_platform(m.id))
		status = CODEC_FROM_PLATFORM;
	if (status == CODEC_OK)
		status = identify(link, &m, phone, version, sink);
	if (status != CODEC_OK)
		return status;
	return m.total <= 1 ? take_message(link, &m, NULL, frame, t, sink)
			    : take_part(link, &m, frame, t, sink);
}

const struct codec codec_jt808 = {
	.name = "jt808",
	.label = "JT/T 808",
	.title = "JT/T 808, versions 2011, 2013 and 2019",
	.max_frame = JT808_FRAME_MAX,
	.max_command = 900,
	.commands = jt808_commands,
	.options = jt808_option_rows,
	.options_size = sizeof(struct jt808_options),
	.sniff = jt808_sniff,
	.frame = jt808_frame_next,
	.decode = jt808_decode,
	.is_whole = jt808_is_whole,
	.encode = jt808_encode,
};
