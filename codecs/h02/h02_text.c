/* h02_text: the `*XX,<id>,<type>,...#` frames of H02: splitting, and the message types.
 * May use: codec, h02. May not: allocate, log, ask the time.
 *
 *   *HQ,9170503816,V1,123506,A,2232.6024,N,11355.7983,E,021.60,090,131216,FFFFFBFF,460,00,10342,4283#
 *    XX id         ty HHMMSS S lat        D lon         G knots  deg DDMMYY status   tail           */
#include "codecs/h02/h02_text.h"

#include "codecs/h02/h02_number.h"

/* --- helpers --- */

static bool is_blank(uint8_t c)
{
	return c <= ' ' && (c == ' ' || c == '\t' || c == '\r' || c == '\n');
}

static struct span trim(struct span s)
{
	while (s.len > 0 && is_blank(s.ptr[0]))
		s = span_of(s.ptr + 1, s.len - 1);
	while (s.len > 0 && is_blank(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

static void split(struct h02_text *x, struct span body)
{
	const uint8_t *from = body.ptr, *end = body.ptr + body.len, *comma;
	x->body = body;
	x->count = 0;
	do {
		comma = memchr(from, ',', (size_t)(end - from));
		x->start[x->count] = (size_t)(from - body.ptr);
		x->field[x->count++] = trim(span_of(from, (size_t)((comma ? comma : end) - from)));
		if (comma != NULL)
			from = comma + 1;
	} while (comma != NULL && x->count < H02_FIELDS_MAX);
}

struct span h02_raw(const struct h02_text *x, size_t i)
{
	return i < x->count ? span_after(x->body, x->start[i]) : span_of(NULL, 0);
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
}

static bool is_digits(struct span s, size_t n)
{
	return s.len == n && span_all(s, byte_is_digit);
}

static int two(struct span s, size_t at)
{
	return (s.ptr[at] - '0') * 10 + (s.ptr[at + 1] - '0');
}

bool h02_clock(struct h02_text *x, struct span time, struct span date)
{
	if ((time.len > 0 && !is_digits(time, 6)) || (date.len > 0 && !is_digits(date, 6)))
		return false;
	if (time.len == 0 || date.len == 0)
		return true;
	struct calendar c = {
		2000 + two(date, 4), two(date, 2), two(date, 0), two(time, 0), two(time, 2), two(time, 4)};
	h02_set_time(x->t, &c);
	return true;
}

bool h02_status_field(struct h02_text *x, struct span s)
{
	int64_t word;
	if (s.len != 8 || !h02_hex(s, &word))
		return false;
	h02_set_status(x->t, (uint32_t)word, span_is(x->type, "V6") || span_is(x->type, "V8"));
	return true;
}

/* A SIM's number begins with 89 and may end in fillers. */
void h02_iccid(struct h02_text *x, struct span s)
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

/* --- message types; field 2 is the first one behind the type --- */

static enum codec_status take_generic(struct h02_text *x)
{
	telemetry_set_text(x->t, TM_PAYLOAD, h02_raw(x, 2));
	return CODEC_OK;
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
	h02_iccid(x, h02_field(x, 2));
	return telemetry_has(x->t, TM_ICCID) ? CODEC_OK : take_generic(x);
}

static enum codec_status take_heartbeat(struct h02_text *x)
{
	int64_t percent;
	if (x->count == 3 && h02_whole(x->field[2], false, &percent)) {
		telemetry_set(x->t, TM_BATTERY_LEVEL, percent);
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
	if (!h02_clock(x, x->field[2], x->field[8]))
		return CODEC_BAD_FIELDS;
	codec_set_csq(x->t, v[0]);
	telemetry_set(x->t, TM_SATELLITES, v[1]);
	telemetry_set(x->t, TM_BATTERY_LEVEL, v[2]);
	telemetry_set(x->t, TM_STEPS, v[3]);
	telemetry_set(x->t, TM_TURNOVERS, v[4]);
	h02_status_field(x, h02_field(x, 9));
	return CODEC_OK;
}

/* V3 of 15-digit units carries cells when its second field is mcc and mnc. */
static enum codec_status take_v3(struct h02_text *x)
{
	struct span network = h02_field(x, 3);
	bool cells = network.len >= 5 && network.len <= 6 && span_all(network, byte_is_digit);
	return cells ? h02_cell_report(x) : h02_block(x, 2);
}

/* --- tables --- */

static const struct {
	const char *type;
	enum codec_status (*take)(struct h02_text *);
	enum h02_answer answer;
} types[] = {
	{"V1", take_block, H02_ANSWER_V4},
	{"V3", take_v3, H02_ANSWER_R12},
	{"V4", h02_confirmation, H02_ANSWER_R12}, /* only with a position */
	{"V6", take_block, H02_ANSWER_V4},
	{"NBR", h02_nbr, H02_ANSWER_V4},
	{"VP1", h02_vp1, H02_ANSWER_R12},
	{"LINK", take_link, H02_ANSWER_NONE},
	{"HTBT", take_heartbeat, H02_ANSWER_ECHO},
	{"V0", take_heartbeat, H02_ANSWER_ECHO},
	{"SMS", take_sms, H02_ANSWER_NONE},
	{"ICCID", take_iccid, H02_ANSWER_NONE},
};

/* --- path --- */

/* V<digits> or VI<digits>: must hold a position block. */
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
	return take_generic(x);
}

static enum codec_status identify(
	struct h02_text *x, struct codec_link *link, struct span frame, const struct codec_sink *sink)
{
	struct span id = h02_field(x, 0);
	if (id.len > 0) {
		if (id.len > CODEC_IDENT_MAX || !span_all(id, byte_is_digit))
			return CODEC_BAD_ID;
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
	split(&x, span_of(frame.ptr + 4, frame.len - 5));
	enum codec_status status = identify(&x, link, frame, sink);
	if (status != CODEC_OK)
		return status;
	x.type = h02_field(&x, 1);
	if (x.type.len == 0)
		return CODEC_NO_TYPE;
	x.long_id = strlen(link->unit->ident) == 15;
	telemetry_set_text(t, TM_IDENT, span_text(link->unit->ident));
	telemetry_set_text(t, TM_MESSAGE_TYPE, x.type);
	telemetry_set_text(t, TM_VENDOR_CODE, span_of(frame.ptr + 1, 2));
	enum h02_answer answer;
	status = take(&x, &answer);
	if (status != CODEC_OK)
		return status;
	if (x.has_reply && !telemetry_has(t, TM_POSITION_VALID))
		answer = H02_ANSWER_NONE; /* an echo of the server's own V4 is never answered */
	status = h02_finish(link, t, x.type, answer, sink);
	if (status == CODEC_OK && x.has_reply) {
		x.reply.frame = frame;
		sink->reply(sink->ctx, &x.reply);
	}
	return status;
}
