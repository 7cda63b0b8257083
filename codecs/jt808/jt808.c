// SPDX-License-Identifier: MIT
/* jt808: JT/T 808 as trackers speak it: the codec, its table of messages, the path of one frame.
 * Uses: codecs/record.
 * Not: know delimiters and escapes (jt808_frame.c), write answers (jt808_answer.c).
 *
 * Sources: the standards JT/T 808-2011, -2013 and -2019, and frames of real units, which differ in places. */
#include "codecs/jt808/jt808_private.h"
#include "codecs/record/mark.h"

/* --- what the messages say --- */

static enum codec_status take_nothing(
	struct telemetry *t, const struct jt808_message *m, const struct jt808_options *options)
{
	(void)t;
	(void)m;
	(void)options;
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
	mark_name(t, span_part(m->body, 0, 2), "serial number of the command");
	return m->body.len < 2 ? CODEC_TRUNCATED : jt808_location(t, span_after(m->body, 2), options);
}

static enum codec_status take_reply(
	struct telemetry *t, const struct jt808_message *m, const struct jt808_options *options)
{
	(void)options;
	if (m->body.len != 5)
		return CODEC_BAD_LENGTH;
	struct reader r = reader_of(m->body);
	mark(t, span_part(m->body, 0, 2), TM_REPLY_SEQNUM);
	mark(t, span_part(m->body, 2, 2), TM_REPLY_MESSAGE_TYPE);
	mark(t, span_part(m->body, 4, 1), TM_REPLY_RESULT);
	telemetry_set(t, TM_REPLY_SEQNUM, reader_u16(&r));
	struct writer w = telemetry_scratch(t);
	writer_id(&w, reader_u16(&r), 4);
	telemetry_set_scratch(t, TM_REPLY_MESSAGE_TYPE, &w);
	telemetry_set(t, TM_REPLY_RESULT, reader_u8(&r));
	return CODEC_OK;
}

/* --- tables --- */

/* The body may be a list of bodies, each of them a record of its own. The value is the size of the number in front of each. */
enum list {
	LIST_NONE = 0,
	LIST_BYTE = 1, /* BYTE length and body, again and again */
	LIST_WORD = 2, /* WORD count, BYTE kind; then WORD length and body, again and again */
};

struct row {
	uint16_t id;
	enum codec_status (*take)(
		struct telemetry *, const struct jt808_message *, const struct jt808_options *);
	enum jt808_answer answer;
	enum list list;
};

static const struct row messages[] = {
	{0x0001, take_reply, JT808_ANSWER_NONE, LIST_NONE},
	{0x0002, take_nothing, JT808_ANSWER_GENERAL, LIST_NONE},
	{0x0003, take_nothing, JT808_ANSWER_GENERAL, LIST_NONE},
	{0x0004, take_nothing, JT808_ANSWER_TIME, LIST_NONE},
	{0x0005, jt808_payload, JT808_ANSWER_GENERAL, LIST_NONE},
	{0x0100, jt808_registration, JT808_ANSWER_REGISTRATION, LIST_NONE},
	{0x0102, jt808_authentication, JT808_ANSWER_GENERAL, LIST_NONE},
	{0x0104, jt808_parameters, JT808_ANSWER_NONE, LIST_NONE},
	{0x0107, jt808_attributes, JT808_ANSWER_NONE, LIST_NONE},
	{0x0109, take_nothing, JT808_ANSWER_VENDOR_TIME, LIST_NONE},
	{0x0200, take_location, JT808_ANSWER_GENERAL, LIST_NONE},
	{0x0201, take_answered_location, JT808_ANSWER_NONE, LIST_NONE},
	{0x0210, take_location, JT808_ANSWER_GENERAL, LIST_BYTE},
	{0x0301, jt808_payload, JT808_ANSWER_GENERAL, LIST_NONE},
	{0x0302, jt808_payload, JT808_ANSWER_GENERAL, LIST_NONE},
	{0x0500, take_answered_location, JT808_ANSWER_NONE, LIST_NONE},
	{0x0506, take_nothing, JT808_ANSWER_GENERAL, LIST_NONE}, /* a heartbeat of some makers */
	{0x0700, jt808_payload, JT808_ANSWER_NONE, LIST_NONE},
	{0x0701, jt808_counted_text, JT808_ANSWER_GENERAL, LIST_NONE},
	{0x0702, jt808_payload, JT808_ANSWER_GENERAL, LIST_NONE},
	{0x0704, take_location, JT808_ANSWER_GENERAL, LIST_WORD},
	{0x0705, jt808_payload, JT808_ANSWER_GENERAL, LIST_NONE},
	{0x0801, jt808_payload, JT808_ANSWER_MEDIA, LIST_NONE},
	{0x0802, jt808_payload, JT808_ANSWER_NONE, LIST_NONE},
	{0x0805, jt808_payload, JT808_ANSWER_NONE, LIST_NONE},
	{0x0900, jt808_payload, JT808_ANSWER_GENERAL, LIST_NONE},
	{0x1007, jt808_payload, JT808_ANSWER_GENERAL, LIST_NONE}, /* time zone */
	{0x1210, jt808_payload, JT808_ANSWER_GENERAL, LIST_NONE},
	{0x1300, jt808_wide_text, JT808_ANSWER_GENERAL, LIST_NONE},
	{0x2070, jt808_payload, JT808_ANSWER_GENERAL, LIST_NONE}, /* acceleration */
	{0x6006, jt808_text, JT808_ANSWER_GENERAL, LIST_NONE},
};
static const struct row battery = {0x0210, jt808_battery, JT808_ANSWER_GENERAL, LIST_NONE};
static const struct row unknown = {0, jt808_payload, JT808_ANSWER_GENERAL, LIST_NONE};

/* 0x0210 has two layouts: the length tells. */
static const struct row *find_row(const struct jt808_message *m)
{
	if (m->id == battery.id && m->body.len == JT808_BATTERY_BYTES)
		return &battery;
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++)
		if (messages[i].id == m->id)
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

/* What became of a list. */
struct outcome {
	size_t good;           /* items that are records */
	enum codec_status bad; /* why the first of the others is none; OK: there are no others */
};

/* Tries all items of a list; with a sink it gives it the good ones. Units count wrongly, so every whole item is one, whatever the count
 * says: the answer acknowledges it as well, and the unit would forget it. Bytes behind the last counted item that are no whole item are
 * noise. TRUNCATED: one of the counted items is longer than what is left, so none of them is to be trusted. */
static enum codec_status each_item(struct codec_link *link, const struct jt808_message *m,
	const struct row *row, struct telemetry *t, const struct codec_sink *sink, struct outcome *out)
{
	struct jt808_message item = *m;
	struct reader r = reader_of(m->body);
	bool wide = row->list == LIST_WORD;
	size_t count = wide ? reader_u16(&r) : 0, seen = 0;
	uint8_t kind = wide ? reader_u8(&r) : 0;
	mark_number(t, span_part(m->body, 0, wide ? 2 : 0), "number of records", (int64_t)count);
	*out = (struct outcome){0, CODEC_OK};
	for (; !r.bad && reader_left(&r) > 0; seen++) {
		item.body = reader_take(&r, reader_uint(&r, row->list));
		if (r.bad)
			break;
		begin_record(link, t, m);
		mark(t, span_part(m->body, 2, wide), TM_BUFFERED);
		mark_number(t, span_part(m->body, r.pos - item.body.len - row->list, row->list),
			"length of a record", (int64_t)item.body.len);
		enum codec_status status = row->take(t, &item, link->unit->options);
		if (status != CODEC_OK) {
			out->bad = out->bad == CODEC_OK ? status : out->bad;
			continue;
		}
		if (wide)
			telemetry_set(t, TM_BUFFERED, kind == 1);
		if (sink != NULL && !sink->record(sink->ctx, t))
			return CODEC_REFUSED;
		out->good++;
	}
	if (seen < count && (r.bad || seen == 0))
		return CODEC_TRUNCATED;
	if (r.bad && seen != count && out->bad == CODEC_OK)
		out->bad = CODEC_TRUNCATED;
	return CODEC_OK;
}

/* All good items or none: they are given only when there is room for all. `kept`: they are. */
static enum codec_status take_list(struct codec_link *link, const struct jt808_message *m,
	const struct row *row, struct telemetry *t, const struct codec_sink *sink, bool *kept)
{
	struct outcome items;
	enum codec_status status = each_item(link, m, row, t, NULL, &items);
	if (status != CODEC_OK || items.good == 0)
		return status != CODEC_OK ? status : items.bad;
	switch (items.good > 1 && sink->batch != NULL ? sink->batch(sink->ctx, items.good) : CODEC_ROOM_YES) {
	case CODEC_ROOM_YES:
		status = each_item(link, m, row, t, sink, &items);
		*kept = status == CODEC_OK;
		return *kept ? items.bad : status;
	case CODEC_ROOM_NOT_NOW:
		return CODEC_REFUSED;
	case CODEC_ROOM_NEVER:
		return CODEC_OVERSIZE;
	}
	return CODEC_REFUSED;
}

static enum codec_status take(struct codec_link *link, const struct jt808_message *m, const struct row *row,
	struct telemetry *t, const struct codec_sink *sink, bool *kept)
{
	if (row->list != LIST_NONE)
		return take_list(link, m, row, t, sink, kept);
	begin_record(link, t, m);
	enum codec_status status = row->take(t, m, link->unit->options);
	if (status != CODEC_OK)
		return status;
	if (!sink->record(sink->ctx, t))
		return CODEC_REFUSED;
	return row == &unknown ? CODEC_UNSUPPORTED : CODEC_OK;
}

/* The IMEI that the message holds somewhere; empty: none. Of a list, the first item tells. */
static struct span find_imei(const struct jt808_message *m, uint8_t digits[16])
{
	const struct row *row = find_row(m);
	struct reader r = reader_of(m->body);
	if (row->list != LIST_NONE) {
		reader_take(&r, row->list == LIST_WORD ? 3 : 0);
		return jt808_location_imei(reader_take(&r, reader_uint(&r, row->list)), digits);
	}
	if (row->take == take_answered_location)
		return jt808_location_imei(span_after(m->body, 2), digits);
	return row->take == take_location ? jt808_location_imei(m->body, digits) : jt808_authentication_imei(m);
}

static bool is_zero_digit(uint8_t c)
{
	return c == '0';
}

/* A phone number of zeros is nobody's: units that were never given one send it. Such a unit is known by its IMEI, and once it has told
 * that, all that comes on its connection with this number is its. false: it is not known. */
static bool name_nobody(const struct codec_link *link, const struct jt808_message *m, struct writer *ident)
{
	uint8_t digits[16];
	struct span imei = find_imei(m, digits);
	if (span_is_digits(imei, 15, 15) && !span_all(imei, is_zero_digit)) {
		ident->len = 0;
		writer_span_put(ident, imei);
		return true;
	}
	if (link->unit == NULL || !span_all(span_of(jt808_unit(link->unit)->phone, 10), byte_is_nul))
		return false;
	ident->len = 0;
	writer_text(ident, link->unit->ident);
	return true;
}

/* Is this a message that a unit sends before it tells who it is, and that holds nothing to lose? */
static bool is_greeting(uint16_t id)
{
	static const uint16_t ids[] = {0x0002, 0x0004, 0x0100, 0x0102, 0x0109, 0x0506};
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		if (ids[i] == id)
			return true;
	return false;
}

static void note_header(struct codec_unit *unit, const struct jt808_message *m)
{
	struct jt808_unit *u = jt808_unit(unit);
	memcpy(u->phone, m->phone.ptr, m->phone.len);
	u->version_2019 = m->version_2019;
	u->protocol_version = m->protocol_version;
}

/* Answers a message whose unit is not known, or was not looked for. */
static void answer_unnamed(struct codec_link *link, const struct jt808_message *m, enum codec_status status,
	const struct codec_sink *sink)
{
	struct codec_unit nobody = {.ident = "0", .options = link->options};
	struct codec_link alone = *link;
	bool known =
		link->unit != NULL && memcmp(jt808_unit(link->unit)->phone, m->phone.ptr, m->phone.len) == 0;
	note_header(&nobody, m);
	alone.unit = &nobody;
	jt808_answer(known ? link : &alone, m, NULL, find_row(m)->answer, status, sink);
}

static enum codec_status identify(
	struct codec_link *link, const struct jt808_message *m, const struct codec_sink *sink)
{
	uint8_t ident[32];
	struct writer w = writer_of(ident, sizeof(ident));
	if (!jt808_ident(m, &w)) {
		answer_unnamed(link, m, CODEC_BAD_ID, sink);
		return CODEC_BAD_ID;
	}
	bool nobody = span_all(m->phone, byte_is_nul) && !name_nobody(link, m, &w);
	if (nobody && is_greeting(m->id)) { /* so that it goes on to the message that tells who it is */
		answer_unnamed(link, m, CODEC_OK, sink);
		return CODEC_NO_IDENT;
	}
	link->unit = sink->identify(sink->ctx, writer_span(&w));
	if (link->unit == NULL && nobody) /* else it would come again for ever */
		answer_unnamed(link, m, CODEC_NO_IDENT, sink);
	if (link->unit == NULL)
		return nobody ? CODEC_NO_IDENT : CODEC_REFUSED;
	note_header(link->unit, m);
	return CODEC_OK;
}

/* A whole message. `serials` are those of its parts; NULL: it came in one frame. */
static enum codec_status take_message(struct codec_link *link, const struct jt808_message *m,
	const uint16_t *serials, struct span frame, struct telemetry *t, const struct codec_sink *sink)
{
	const struct row *row = find_row(m);
	bool kept = false;
	enum codec_status status = take(link, m, row, t, sink, &kept);
	if (status == CODEC_REFUSED)
		return status;
	jt808_answer(link, m, serials, row->answer, kept ? CODEC_OK : status, sink);
	if (status == CODEC_OK)
		jt808_tell_reply(m, t, frame, sink);
	return status;
}

static enum codec_status take_part(struct codec_link *link, struct jt808_message *m, struct span frame,
	struct telemetry *t, const struct codec_sink *sink)
{
	const struct codec_part part = {m->id, m->total, m->number, m->serial, m->body};
	struct codec_parts parts;
	mark_name(t, m->body, "body of this part");
	enum codec_status status = sink->part(sink->ctx, &part, &parts);
	if (status == CODEC_OK) {
		m->body = parts.whole;
		mark_message(t, parts.whole);
		return take_message(link, m, parts.serials, frame, t, sink);
	}
	if (status == CODEC_MORE) {
		jt808_answer_missing(link, &parts, frame.len, sink);
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

static enum codec_status take_frame(struct codec_link *link, struct span frame, uint8_t plain[JT808_FRAME_MAX],
	struct jt808_message *m, struct telemetry *t, const struct codec_sink *sink)
{
	enum codec_status status = jt808_frame_read(t, frame, plain, m);
	if (m->has_header && is_from_platform(m->id))
		status = CODEC_FROM_PLATFORM;
	/* It would come again for ever; but the check code does not notice a damaged escape, so it may be anybody's. */
	if (m->has_header && (status == CODEC_BAD_LENGTH || status == CODEC_ENCRYPTED))
		answer_unnamed(link, m, status, sink);
	if (status == CODEC_OK)
		status = identify(link, m, sink);
	if (status != CODEC_OK)
		return status;
	return m->total <= 1 ? take_message(link, m, NULL, frame, t, sink) : take_part(link, m, frame, t, sink);
}

static enum codec_status decode(
	struct codec_link *link, struct span frame, struct telemetry *t, const struct codec_sink *sink)
{
	uint8_t plain[JT808_FRAME_MAX];
	struct jt808_message m = {.from_gbk = sink->from_gbk};
	enum codec_status status = take_frame(link, frame, plain, &m, t, sink);
	mark_settle(t); /* texts of the record stand in `plain` and in `m` */
	return status;
}

const struct codec codec_jt808 = {
	.name = "jt808",
	.label = "JT/T 808",
	.title = "JT/T 808, versions 2011, 2013 and 2019",
	.max_frame = JT808_FRAME_MAX,
	.max_command = 900,
	.commands = jt808_commands,
	.marks = {.frame = "", .field = ""}, /* lengths delimit */
	.options = jt808_option_rows,
	.options_size = sizeof(struct jt808_options),
	.sniff = jt808_sniff,
	.frame = jt808_frame_find,
	.decode = decode,
	.is_whole = jt808_is_whole,
	.encode = jt808_encode,
	.ask_parts = jt808_ask_parts,
};
