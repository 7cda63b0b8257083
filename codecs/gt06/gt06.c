// SPDX-License-Identifier: MIT
/* gt06: the protocol of the Concox GT06 and of the many that copied it: the codec, its table of messages, the path of one frame.
 * Uses: codecs/record.
 * Not: know starts and check codes (gt06_frame.c), write answers (gt06_answer.c).
 *
 * Sources: Concox' and Jimi's protocol documents, and frames of real units, which differ in places. A login comes first on a connection;
 * what follows carries no identity and belongs to the unit that logged in last. */
#include "codecs/gt06/gt06_private.h"
#include "codecs/record/mark.h"

/* --- tables --- */

static enum codec_status take_unknown(struct telemetry *t, const struct gt06_message *m)
{
	(void)t;
	(void)m;
	return CODEC_UNSUPPORTED;
}

enum { LOGIN = 0x01 };
enum zone { ZONE_UTC = 0, ZONE_LOCAL };

struct row {
	uint8_t type;
	enum gt06_form form;
	gt06_take *take;
	enum gt06_answer answer;
	enum zone zone;
};

static const struct row messages[] = {
	{0x12, GT06_SHORT, gt06_location, GT06_ANSWER_SHORT, ZONE_LOCAL},
	{0x13, GT06_SHORT, gt06_heartbeat, GT06_ANSWER_SHORT, ZONE_UTC},
	{0x22, GT06_SHORT, gt06_location, GT06_ANSWER_SHORT, ZONE_UTC},
	{0xa0, GT06_SHORT, gt06_location_4g, GT06_ANSWER_SHORT, ZONE_UTC},
	{0x10, GT06_SHORT, gt06_position, GT06_ANSWER_SHORT, ZONE_LOCAL},
	{0x11, GT06_SHORT, gt06_cell_11, GT06_ANSWER_SHORT, ZONE_LOCAL},
	{0x15, GT06_SHORT, gt06_reply_15, GT06_ANSWER_NONE, ZONE_UTC},
	{0x16, GT06_SHORT, gt06_alarm, GT06_ANSWER_SHORT, ZONE_LOCAL},
	{0x17, GT06_SHORT, gt06_rfid, GT06_ANSWER_SHORT, ZONE_UTC},
	{0x18, GT06_SHORT, gt06_cells, GT06_ANSWER_SHORT, ZONE_LOCAL},
	{0x19, GT06_SHORT, gt06_cell_alarm, GT06_ANSWER_SHORT, ZONE_UTC},
	{0x1a, GT06_SHORT, gt06_position, GT06_ANSWER_SHORT, ZONE_LOCAL},
	{0x1e, GT06_SHORT, gt06_cells_extended, GT06_ANSWER_SHORT, ZONE_UTC},
	{0x23, GT06_SHORT, gt06_heartbeat_23, GT06_ANSWER_SHORT, ZONE_UTC},
	{0x24, GT06_SHORT, gt06_cells, GT06_ANSWER_SHORT, ZONE_UTC},
	{0x26, GT06_SHORT, gt06_alarm, GT06_ANSWER_SHORT, ZONE_UTC},
	{0x27, GT06_SHORT, gt06_alarm, GT06_ANSWER_SHORT, ZONE_UTC},
	{0x28, GT06_SHORT, gt06_cells, GT06_ANSWER_SHORT, ZONE_UTC},
	{0x2a, GT06_SHORT, gt06_position, GT06_ANSWER_SHORT, ZONE_UTC},
	{0x2c, GT06_SHORT, gt06_cells_wifi, GT06_ANSWER_SHORT, ZONE_UTC},
	{0x2d, GT06_SHORT, gt06_location, GT06_ANSWER_SHORT, ZONE_UTC},
	{0x2e, GT06_SHORT, gt06_cells, GT06_ANSWER_SHORT, ZONE_UTC},
	{0x31, GT06_SHORT, gt06_location_31, GT06_ANSWER_SHORT, ZONE_UTC},
	{0x32, GT06_SHORT, gt06_location_32, GT06_ANSWER_SHORT, ZONE_UTC},
	{0x34, GT06_SHORT, gt06_x1, GT06_ANSWER_SHORT, ZONE_UTC},
	{0x36, GT06_SHORT, gt06_status_36, GT06_ANSWER_SHORT, ZONE_UTC},
	{0x37, GT06_SHORT, gt06_location_37, GT06_ANSWER_SHORT, ZONE_UTC},
	{0x61, GT06_SHORT, gt06_ibutton, GT06_ANSWER_SHORT, ZONE_UTC},
	{0x80, GT06_SHORT, take_unknown, GT06_ANSWER_NONE, ZONE_UTC}, /* what a server sends */
	{0x81, GT06_SHORT, take_unknown, GT06_ANSWER_NONE, ZONE_UTC},
	{0x82, GT06_SHORT, take_unknown, GT06_ANSWER_NONE, ZONE_UTC},
	{0x8a, GT06_SHORT, gt06_time_request, GT06_ANSWER_TIME, ZONE_UTC},
	{0x94, GT06_SHORT, gt06_voltage_94, GT06_ANSWER_NONE, ZONE_UTC},
	{0x95, GT06_SHORT, gt06_camera, GT06_ANSWER_SHORT, ZONE_UTC},
	{0xa1, GT06_SHORT, gt06_cells_wifi, GT06_ANSWER_SHORT, ZONE_UTC},
	{0xa2, GT06_SHORT, gt06_cells_wifi, GT06_ANSWER_SHORT, ZONE_UTC},
	{0xa3, GT06_SHORT, gt06_alarm, GT06_ANSWER_SHORT, ZONE_UTC},
	{0xa4, GT06_SHORT, gt06_alarm, GT06_ANSWER_SHORT, ZONE_UTC},
	{0xa5, GT06_SHORT, gt06_cell_alarm, GT06_ANSWER_SHORT, ZONE_UTC},
	{0xa7, GT06_SHORT, gt06_cell_address, GT06_ANSWER_SHORT, ZONE_UTC},
	{0x21, GT06_LONG, gt06_reply_21, GT06_ANSWER_NONE, ZONE_UTC},
	{0x32, GT06_LONG, gt06_az735, GT06_ANSWER_LONG, ZONE_UTC},
	{0x33, GT06_LONG, gt06_az735, GT06_ANSWER_LONG, ZONE_UTC},
	{0x38, GT06_LONG, gt06_location_38, GT06_ANSWER_SHORT, ZONE_UTC},
	{0x41, GT06_LONG, gt06_payload, GT06_ANSWER_LONG, ZONE_UTC},
	{0x70, GT06_LONG, gt06_modules_70, GT06_ANSWER_SHORT, ZONE_UTC},
	{0x94, GT06_LONG, gt06_information_94, GT06_ANSWER_NONE, ZONE_UTC},
	{0xf1, GT06_LONG, gt06_modules_f1, GT06_ANSWER_SHORT, ZONE_UTC},
	{0xf2, GT06_LONG, gt06_payload, GT06_ANSWER_SHORT, ZONE_UTC},
	/* not decoded, but known: text of OBD units, transparent data, pictures, packs, numbers of SIM and firmware */
	{0x65, GT06_LONG, gt06_payload, GT06_ANSWER_NONE, ZONE_UTC},
	{0x66, GT06_LONG, gt06_payload, GT06_ANSWER_NONE, ZONE_UTC},
	{0x8c, GT06_LONG, gt06_payload, GT06_ANSWER_NONE, ZONE_UTC},
	{0x8d, GT06_LONG, gt06_payload, GT06_ANSWER_NONE, ZONE_UTC},
	{0x9b, GT06_LONG, gt06_payload, GT06_ANSWER_NONE, ZONE_UTC},
	{0xfd, GT06_LONG, gt06_payload, GT06_ANSWER_NONE, ZONE_UTC},
	{0x35, GT06_SHORT, gt06_payload, GT06_ANSWER_SHORT, ZONE_UTC},
	{0x40, GT06_SHORT, gt06_payload, GT06_ANSWER_SHORT, ZONE_UTC},
	{0x41, GT06_SHORT, gt06_payload, GT06_ANSWER_SHORT, ZONE_UTC},
	{0x90, GT06_SHORT, gt06_payload, GT06_ANSWER_SHORT, ZONE_UTC},
};
static const struct row wifi = {0, GT06_WIFI, gt06_wifi, GT06_ANSWER_WIFI, ZONE_UTC};
static const struct row unknown_short = {0, GT06_SHORT, take_unknown, GT06_ANSWER_SHORT, ZONE_UTC};
static const struct row unknown_long = {0, GT06_LONG, take_unknown, GT06_ANSWER_NONE, ZONE_UTC};

static const struct row *find_row(const struct gt06_message *m)
{
	if (m->form == GT06_WIFI)
		return &wifi;
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++)
		if (messages[i].type == m->type && messages[i].form == m->form)
			return &messages[i];
	return m->form == GT06_LONG ? &unknown_long : &unknown_short;
}

/* --- path --- */

static void begin_record(struct codec_link *link, struct telemetry *t, const struct gt06_message *m)
{
	telemetry_reset(t);
	telemetry_set_text(t, TM_IDENT, span_text(link->unit->ident));
	telemetry_set_text(t, TM_MESSAGE_TYPE, span_of(m->name, 4));
	if (m->form != GT06_WIFI)
		telemetry_set(t, TM_EVENT_SEQNUM, m->serial);
}

/* The unit that logged in on this connection. Another one may speak for it since; this connection still says whose its frames are. */
static struct codec_unit *bound_unit(
	struct codec_link *link, const struct codec_sink *sink, enum codec_status *status)
{
	const struct gt06_link *l = gt06_link(link);
	uint8_t digits[16];
	struct writer w = writer_of(digits, sizeof(digits));
	if (link->unit != NULL)
		return link->unit;
	*status = CODEC_NO_IDENT;
	if (!l->logged_in || !gt06_ident(span_of(l->imei, sizeof(l->imei)), &w))
		return NULL;
	*status = CODEC_REFUSED;
	return sink->identify(sink->ctx, writer_span(&w));
}

static int64_t zone_of(const struct codec_link *link)
{
	const struct gt06_options *options = link->unit->options;
	const struct gt06_link *l = (const struct gt06_link *)(const void *)link->priv;
	if (options != NULL && options->timezone != OPTION_NO_TIMEZONE)
		return options->timezone;
	return l->has_zone ? l->zone_minutes * 60 : 0;
}

/* A unit that is turned away stays bound: what follows is not of the one before. */
static enum codec_status take_login(struct codec_link *link, const struct gt06_message *m, struct telemetry *t,
	const struct codec_sink *sink)
{
	struct gt06_link *l = gt06_link(link);
	uint8_t digits[16];
	struct writer ident = writer_of(digits, sizeof(digits));
	struct span bcd = span_part(m->content, 0, sizeof(l->imei));
	if (bcd.len == 0)
		return CODEC_BAD_LENGTH;
	if (!gt06_ident(bcd, &ident))
		return CODEC_BAD_ID;
	memcpy(l->imei, bcd.ptr, sizeof(l->imei));
	l->logged_in = true;
	l->has_zone = false;
	link->unit = sink->identify(sink->ctx, writer_span(&ident));
	if (link->unit == NULL)
		return CODEC_REFUSED;
	begin_record(link, t, m);
	gt06_login(t, l, m);
	if (!sink->record(sink->ctx, t))
		return CODEC_REFUSED;
	gt06_answer(link, m, GT06_ANSWER_SHORT, sink);
	return CODEC_OK;
}

static enum codec_status take(struct codec_link *link, struct span frame, struct gt06_message *m,
	struct telemetry *t, const struct codec_sink *sink)
{
	enum codec_status status = gt06_frame_read(t, frame, m);
	if (status != CODEC_OK)
		return status;
	if (m->type == LOGIN && m->form == GT06_SHORT)
		return take_login(link, m, t, sink);
	link->unit = bound_unit(link, sink, &status);
	if (link->unit == NULL)
		return status;
	const struct row *row = find_row(m);
	m->ident = link->unit->ident;
	m->zone_s = row->zone == ZONE_LOCAL ? zone_of(link) : 0;
	begin_record(link, t, m);
	status = row->take(t, m);
	if (status == CODEC_UNSUPPORTED) { /* nothing of it is lost: its record has the bytes */
		begin_record(link, t, m);
		gt06_payload(t, m);
	} else if (status != CODEC_OK) {
		return status;
	}
	if (!sink->record(sink->ctx, t))
		return CODEC_REFUSED;
	gt06_answer(link, m, row->answer, sink);
	if (row->take == gt06_reply_15 || row->take == gt06_reply_21)
		gt06_tell_reply(t, frame, sink);
	return status;
}

static enum codec_status decode(
	struct codec_link *link, struct span frame, struct telemetry *t, const struct codec_sink *sink)
{
	struct gt06_message m = {0};
	enum codec_status status = take(link, frame, &m, t, sink);
	mark_settle(t); /* texts of the record stand in `m` */
	return status;
}

const struct codec codec_gt06 = {
	.name = "gt06",
	.label = "GT06",
	.title = "GT06 / Concox / Jimi",
	.max_frame = GT06_FRAME_MAX,
	.max_command = 200,
	.commands = gt06_commands,
	.marks = {.frame = "", .field = ", ", .end = "#"},
	.options = gt06_option_rows,
	.options_size = sizeof(struct gt06_options),
	.sniff = gt06_sniff,
	.frame = gt06_frame_find,
	.decode = decode,
	.is_whole = gt06_is_whole,
	.encode = gt06_encode,
};
