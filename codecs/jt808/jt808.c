/* jt808: JT/T 808 as trackers speak it: the codec, its table of messages, the path of one frame.
 * Uses: nothing else.
 * Not: know delimiters and escapes (jt808_frame.c), write answers (jt808_answer.c).
 *
 * Sources: the standards JT/T 808-2011, -2013 and -2019, and frames of real units, which differ in places. */
#include "codecs/jt808/jt808_private.h"

#define PAYLOAD_MAX 60000 /* with two hex digits for each byte it must fit one record */

/* --- what the messages say --- */

static enum codec_status take_nothing(
	struct telemetry *t, const struct jt808_message *m, const struct jt808_options *options)
{
	(void)t;
	(void)m;
	(void)options;
	return CODEC_OK;
}

/* The bytes as they are: nobody decodes them. Long ones in pieces, for a parameter holds 1024 bytes. */
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
	writer_id(&w, reader_u16(&r), 4);
	telemetry_set_scratch(t, TM_REPLY_MESSAGE_TYPE, &w);
	telemetry_set(t, TM_REPLY_RESULT, reader_u8(&r));
	return CODEC_OK;
}

/* --- tables --- */

struct row {
	uint16_t id;
	enum codec_status (*take)(
		struct telemetry *, const struct jt808_message *, const struct jt808_options *);
	enum jt808_answer answer;
	bool list; /* the body is a list of bodies, each of them a record of its own */
};

static const struct row messages[] = {
	{0x0001, take_reply, JT808_ANSWER_NONE, false},
	{0x0002, take_nothing, JT808_ANSWER_GENERAL, false},
	{0x0003, take_nothing, JT808_ANSWER_GENERAL, false},
	{0x0004, take_nothing, JT808_ANSWER_TIME, false},
	{0x0005, take_payload, JT808_ANSWER_GENERAL, false},
	{0x0100, jt808_registration, JT808_ANSWER_REGISTRATION, false},
	{0x0102, jt808_authentication, JT808_ANSWER_GENERAL, false},
	{0x0104, jt808_parameters, JT808_ANSWER_NONE, false},
	{0x0107, jt808_attributes, JT808_ANSWER_NONE, false},
	{0x0109, take_nothing, JT808_ANSWER_VENDOR_TIME, false},
	{0x0200, take_location, JT808_ANSWER_GENERAL, false},
	{0x0201, take_answered_location, JT808_ANSWER_NONE, false},
	{0x0301, take_payload, JT808_ANSWER_GENERAL, false},
	{0x0302, take_payload, JT808_ANSWER_GENERAL, false},
	{0x0500, take_answered_location, JT808_ANSWER_NONE, false},
	{0x0700, take_payload, JT808_ANSWER_NONE, false},
	{0x0702, take_payload, JT808_ANSWER_GENERAL, false},
	{0x0704, take_location, JT808_ANSWER_GENERAL, true},
	{0x0705, take_payload, JT808_ANSWER_GENERAL, false},
	{0x0801, take_payload, JT808_ANSWER_GENERAL, false},
	{0x0802, take_payload, JT808_ANSWER_NONE, false},
	{0x0805, take_payload, JT808_ANSWER_NONE, false},
	{0x0900, take_payload, JT808_ANSWER_GENERAL, false},
	{0x1210, take_payload, JT808_ANSWER_GENERAL, false},
};
static const struct row unknown = {0, take_payload, JT808_ANSWER_GENERAL, false};

static const struct row *find_row(uint16_t id)
{
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++)
		if (messages[i].id == id)
			return &messages[i];
	return &unknown;
}

/* --- path --- */

static void begin_record(struct codec_link *link, struct telemetry *t, const struct jt808_message *m)
{
	telemetry_reset(t);
	telemetry_set_text(t, TM_IDENT, span_text(link->unit->ident));
	telemetry_set_text(t, TM_MESSAGE_TYPE, span_of(m->type, 6));
}

/* A list (0x0704): WORD count, BYTE kind, then for each item WORD length and body. Whole items beyond the count are recorded too: the
 * answer acknowledges them as well, and the unit would forget them. Bytes behind the count that are no whole item are noise. Without a
 * sink the items are only tried. */
static enum codec_status each_item(struct codec_link *link, const struct jt808_message *m,
	const struct row *row, struct telemetry *t, const struct codec_sink *sink, size_t *items)
{
	struct jt808_message item = *m;
	struct reader r = reader_of(m->body);
	uint16_t count = reader_u16(&r);
	uint8_t kind = reader_u8(&r);
	*items = 0;
	while (!r.bad && (reader_left(&r) > 0 || *items < count)) {
		item.body = reader_take(&r, reader_u16(&r));
		if (r.bad && *items >= count)
			return CODEC_OK;
		if (r.bad)
			break;
		begin_record(link, t, m);
		enum codec_status status = row->take(t, &item, link->unit->options);
		if (status != CODEC_OK)
			return status;
		telemetry_set(t, TM_BUFFERED, kind == 1);
		if (sink != NULL && !sink->record(sink->ctx, t))
			return CODEC_REFUSED;
		++*items;
	}
	return r.bad ? CODEC_TRUNCATED : CODEC_OK;
}

/* All items or none: the records are given only when every item is fine and there is room for all. */
static enum codec_status take_list(struct codec_link *link, const struct jt808_message *m,
	const struct row *row, struct telemetry *t, const struct codec_sink *sink)
{
	size_t items;
	enum codec_status status = each_item(link, m, row, t, NULL, &items);
	if (status != CODEC_OK)
		return status;
	switch (items > 1 && sink->batch != NULL ? sink->batch(sink->ctx, items) : CODEC_ROOM_YES) {
	case CODEC_ROOM_YES:
		return each_item(link, m, row, t, sink, &items);
	case CODEC_ROOM_NOT_NOW:
		return CODEC_REFUSED;
	case CODEC_ROOM_NEVER:
		return CODEC_OVERSIZE;
	}
	return CODEC_REFUSED;
}

static enum codec_status take(struct codec_link *link, const struct jt808_message *m, const struct row *row,
	struct telemetry *t, const struct codec_sink *sink)
{
	if (row->list)
		return take_list(link, m, row, t, sink);
	begin_record(link, t, m);
	enum codec_status status = row->take(t, m, link->unit->options);
	if (status != CODEC_OK)
		return status;
	if (!sink->record(sink->ctx, t))
		return CODEC_REFUSED;
	return row == &unknown ? CODEC_UNSUPPORTED : CODEC_OK;
}

static enum codec_status identify(
	struct codec_link *link, const struct jt808_message *m, const struct codec_sink *sink)
{
	uint8_t ident[32];
	struct writer w = writer_of(ident, sizeof(ident));
	if (!jt808_ident(m, &w))
		return CODEC_BAD_ID;
	link->unit = sink->identify(sink->ctx, writer_span(&w));
	if (link->unit == NULL)
		return CODEC_REFUSED;
	struct jt808_unit *u = jt808_unit(link->unit);
	memcpy(u->phone, m->phone.ptr, m->phone.len);
	u->version_2019 = m->version_2019;
	u->protocol_version = m->protocol_version;
	return CODEC_OK;
}

/* A whole message. `serials` are those of its parts; NULL: it came in one frame. */
static enum codec_status take_message(struct codec_link *link, const struct jt808_message *m,
	const uint16_t *serials, struct span frame, struct telemetry *t, const struct codec_sink *sink)
{
	const struct row *row = find_row(m->id);
	enum codec_status status = take(link, m, row, t, sink);
	if (status == CODEC_REFUSED)
		return status;
	jt808_answer(link, m, serials, row->answer, status, sink);
	if (status == CODEC_OK)
		jt808_tell_reply(m, frame, sink);
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

/* Only a platform sends these ids; but 0xE000 to 0xEFFF are messages of makers, from their units. */
static bool is_from_platform(uint16_t id)
{
	return id >= 0x8000 && id >> 12 != 0xe;
}

static enum codec_status decode(
	struct codec_link *link, struct span frame, struct telemetry *t, const struct codec_sink *sink)
{
	uint8_t plain[JT808_FRAME_MAX];
	struct jt808_message m = {.from_gbk = sink->from_gbk};
	enum codec_status status = jt808_frame_read(frame, plain, &m);
	if (status == CODEC_OK && is_from_platform(m.id))
		status = CODEC_FROM_PLATFORM;
	if (status == CODEC_OK)
		status = identify(link, &m, sink);
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
	.marks = {"", ""}, /* lengths delimit */
	.options = jt808_option_rows,
	.options_size = sizeof(struct jt808_options),
	.sniff = jt808_sniff,
	.frame = jt808_frame_find,
	.decode = decode,
	.is_whole = jt808_is_whole,
	.encode = jt808_encode,
};
