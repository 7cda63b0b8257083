// SPDX-License-Identifier: MIT
/* h02_text: the `*XX,<id>,<type>,...#` frames of H02: the table of message types, and the path of one frame.
 * Uses: nothing else.
 *
 *   *HQ,9170503816,V1,123506,A,2232.6024,N,11355.7983,E,021.60,090,131216,FFFFFBFF,460,00,10342,4283#
 *    XX id         ty HHMMSS S lat        D lon         G knots  deg DDMMYY status   tail */
#include "codecs/h02/h02_text_field.h"

#include "codecs/h02/h02_number.h"

/* --- message types; field 2 is the first one behind the type --- */

static enum codec_status take_generic(struct h02_text *x)
{
	telemetry_set_text(x->t, TM_PAYLOAD, h02_raw(x, 2));
	return CODEC_OK;
}

/* A type that is not in the table may be the word of a command, which some units answer so. */
static enum codec_status take_word(struct h02_text *x)
{
	size_t from = 2, end = x->count;
	x->has_reply = true;
	span_copy(x->type, x->reply.token.word, sizeof(x->reply.token.word));
	span_copy(h02_take_echo(x, &from, &end), x->reply.token.time, sizeof(x->reply.token.time));
	if (end > from)
		x->reply.result = span_of(x->field[from].ptr,
			(size_t)(x->field[end - 1].ptr + x->field[end - 1].len - x->field[from].ptr));
	return take_generic(x);
}

static enum codec_status take_block(struct h02_text *x)
{
	return h02_block(x, 2);
}

static enum codec_status take_sms(struct h02_text *x)
{
	telemetry_set_text(x->t, TM_COMMAND_REPLY, h02_raw(x, 2));
	x->reply.result = h02_raw(x, 2);
	x->has_reply = true;
	return CODEC_OK;
}

static enum codec_status take_iccid(struct h02_text *x)
{
	h02_put_iccid(x, h02_field(x, 2));
	return telemetry_has(x->t, TM_ICCID) ? CODEC_OK : take_generic(x);
}

static enum codec_status take_heartbeat(struct h02_text *x)
{
	int64_t percent;
	if (x->count == 3 && h02_whole(x->field[2], false, &percent)) {
		telemetry_set(x->t, TM_BATTERY_LEVEL, percent);
		mark(x->t, x->field[2], TM_BATTERY_LEVEL);
		return CODEC_OK;
	}
	return take_generic(x);
}

static enum codec_status take_link(struct h02_text *x)
{
	int64_t v[5];
	if (x->count < 9)
		return CODEC_BAD_FIELDS;
	for (size_t i = 0; i < 5; i++)
		if (!h02_whole(x->field[3 + i], false, &v[i]))
			return CODEC_BAD_FIELDS;
	if (!h02_put_clock_fields(x, x->field[2], x->field[8]))
		return CODEC_BAD_FIELDS;
	static const enum telemetry_field fields[] = {
		TM_GSM_LEVEL, TM_SATELLITES, TM_BATTERY_LEVEL, TM_STEPS, TM_TURNOVERS};
	for (size_t i = 0; i < 5; i++)
		mark(x->t, x->field[3 + i], fields[i]);
	codec_set_csq(x->t, v[0]);
	telemetry_set(x->t, TM_SATELLITES, v[1]);
	telemetry_set(x->t, TM_BATTERY_LEVEL, v[2]);
	telemetry_set(x->t, TM_STEPS, v[3]);
	telemetry_set(x->t, TM_TURNOVERS, v[4]);
	h02_put_status(x, h02_field(x, 9));
	return CODEC_OK;
}

/* V3 has two layouts: when its second field is mcc and mnc together, cells follow; else it is a position. */
static enum codec_status take_v3(struct h02_text *x)
{
	struct span network = h02_field(x, 3);
	bool cells = span_is_digits(network, 5, 6);
	return cells ? h02_cell_report(x) : h02_block(x, 2);
}

/* Mostly a position. There are units that send something else under this type: it is shown as it is. */
static enum codec_status take_v9(struct h02_text *x)
{
	return h02_block_starts(x, 2) ? h02_block(x, 2) : take_generic(x);
}

/* --- tables --- */

static const struct {
	const char *type;
	enum codec_status (*take)(struct h02_text *);
	enum h02_answer answer;
} types[] = {
	{"V1", take_block, H02_ANSWER_V4},
	{"V3", take_v3, H02_ANSWER_R12},
	{"V4", h02_confirmation, H02_ANSWER_R12}, /* answered only when it has a position: see below */
	{"V6", take_block, H02_ANSWER_V4},
	{"V9", take_v9, H02_ANSWER_R12},
	{"NBR", h02_nbr, H02_ANSWER_V4},
	{"VP1", h02_vp1, H02_ANSWER_R12},
	{"LINK", take_link, H02_ANSWER_NONE},
	{"HTBT", take_heartbeat, H02_ANSWER_ECHO},
	{"V0", take_heartbeat, H02_ANSWER_ECHO},
	{"SMS", take_sms, H02_ANSWER_NONE},
	{"ICCID", take_iccid, H02_ANSWER_NONE},
};

/* --- path --- */

/* V<digits> or VI<digits>: types that are not in the table, but must hold a position block. */
static bool is_position_type(struct span type)
{
	size_t digits = type.len > 1 && type.ptr[1] == 'I' ? 2 : 1;
	return type.len > digits && type.ptr[0] == 'V' && span_all(span_after(type, digits), byte_is_digit);
}

static enum codec_status take(struct h02_text *x, enum h02_answer *answer)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (!span_is(x->type, types[i].type))
			continue;
		*answer = types[i].answer;
		return types[i].take(x);
	}
	if (is_position_type(x->type)) {
		*answer = H02_ANSWER_R12;
		return h02_block(x, 2);
	}
	*answer = H02_ANSWER_NONE;
	return take_word(x);
}

static enum codec_status identify(
	struct h02_text *x, struct codec_link *link, struct span frame, const struct codec_sink *sink)
{
	struct span id = h02_field(x, 0);
	if (id.len > 0) {
		if (!span_is_digits(id, 1, CODEC_IDENT_MAX))
			return CODEC_BAD_ID;
		mark(x->t, id, TM_IDENT);
		link->unit = sink->identify(sink->ctx, id);
		if (link->unit == NULL)
			return CODEC_REFUSED;
	}
	if (link->unit == NULL)
		return CODEC_NO_IDENT;
	memcpy(&link->unit->priv[H02_VENDOR], frame.ptr + 1, 2);
	return CODEC_OK;
}

enum codec_status h02_text_decode(
	struct codec_link *link, struct span frame, struct telemetry *t, const struct codec_sink *sink)
{
	struct h02_text x; /* its large arrays are not worth clearing */
	x.t = t;
	x.has_reply = false;
	memset(&x.reply, 0, sizeof(x.reply));
	x.reply.token.serial = -1;
	mark_name(t, span_part(frame, 0, 1), "start");
	telemetry_set_text(t, TM_VENDOR_CODE, span_part(frame, 1, 2));
	if (frame.len < 5)
		return CODEC_TRUNCATED;
	bool whole = frame.ptr[frame.len - 1] == '#';
	if (whole)
		mark_name(t, span_of(frame.ptr + frame.len - 1, 1), "end");
	h02_split(&x, span_of(frame.ptr + 4, frame.len - 4 - whole));
	enum codec_status status = identify(&x, link, frame, sink);
	if (status != CODEC_OK)
		return status;
	x.type = h02_field(&x, 1);
	if (x.type.len == 0)
		return CODEC_NO_TYPE;
	x.long_id = strlen(link->unit->ident) == 15;
	telemetry_set_text(t, TM_IDENT, span_text(link->unit->ident));
	telemetry_set_text(t, TM_MESSAGE_TYPE, x.type);
	enum h02_answer answer;
	status = take(&x, &answer);
	if (status != CODEC_OK)
		return status;
	if (x.has_reply && !telemetry_has(t, TM_POSITION_VALID))
		answer =
			H02_ANSWER_NONE; /* it may be an echo of our own V4 answer: two servers would answer each other without end */
	bool stored = telemetry_has(t, TM_BUFFERED) && telemetry_number(t, TM_BUFFERED) != 0;
	status = h02_finish(link, t, x.type, answer, sink);
	if (status == CODEC_OK && x.has_reply) {
		x.reply.frame = frame;
		sink->reply(sink->ctx, &x.reply);
	} else if (status == CODEC_OK && !stored) { /* a stored report is older than any command that waits */
		h02_tell_answer(x.type, frame, sink);
	}
	return status;
}
