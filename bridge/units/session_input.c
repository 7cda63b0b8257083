// SPDX-License-Identifier: MIT
/* session_input: bytes -> frames -> records of the unit that speaks.
 * Uses: bridge/base.
 * Not: know who is admitted (session_admission.c). */
#include "bridge/units/session_private.h"

#include "bridge/base/log.h"
#include "bridge/units/gbk.h"

static struct session *of_unit(struct codec_unit *unit)
{
	return unit ? (struct session *)(void *)((char *)unit - offsetof(struct session, unit)) : NULL;
}

static struct session *current(struct sessions *s)
{
	return of_unit(s->talk->stream.link.unit);
}

/* --- what a codec says --- */

static bool on_record(void *ctx, struct telemetry *t)
{
	struct sessions *s = ctx;
	struct session *session = current(s);
	if (!events_record(&s->events, session, s->conn, t, s->now))
		return false;
	s->records++;
	if (!session->trusted && session->conn == s->conn)
		session_consider_trust(s, session);
	return true;
}

static enum codec_room on_batch(void *ctx, size_t records)
{
	struct sessions *s = ctx;
	return events_batch(&s->events, records);
}

static enum codec_status on_part(void *ctx, const struct codec_part *part, struct codec_parts *parts)
{
	struct sessions *s = ctx;
	const struct assembly_from from = {
		current(s)->unit.ident, conn_account(s->conn)->key, current(s)->info != NULL};
	return assembly_add(
		s->assembly, &from, (unsigned)s->config->limits.parts, part, s->now.steady_ms, parts);
}

/* Commands went to the unit's own connection: nobody else answers them. */
static void on_reply(void *ctx, const struct command_reply *reply)
{
	struct sessions *s = ctx;
	if (current(s)->conn == s->conn || conn_has_last_words(s->conn))
		events_reply(&s->events, current(s), reply, s->now);
}

/* Is it the platform that answers this unit? Not one that is not relayed, nor one that the units file answers itself. */
static bool platform_answers(const struct sessions *s, const struct session *session)
{
	const struct codec *codec = s->talk->stream.codec;
	const struct unit_info *info = session != NULL ? session->info : NULL;
	if (!codec->relayed || !config_platform_answers(s->config))
		return false;
	return info == NULL || (info->relay == UNIT_RELAY_YES && !unit_has_own_answers(info, codec));
}

static void on_send(void *ctx, struct span frame)
{
	struct sessions *s = ctx;
	if (platform_answers(s, current(s)))
		return;
	size_t at = conn_answer(s->conn, frame, codec_is_echo(s->frame, frame));
	if (at == CONN_REFUSED || s->answers > ASSEMBLY_PARTS_MAX)
		return;
	s->answer[s->answers].at = at;
	s->answer[s->answers++].len = frame.len;
}

/* --- frames --- */

/* Shows the frame at hand, and the frames that answer it. */
static void show(struct sessions *s, const char *error)
{
	events_frame(&s->events, current(s), true, s->frame, error, s->now);
	for (size_t i = 0; i < s->answers; i++)
		events_frame(&s->events, current(s), false,
			conn_answered(s->conn, s->answer[i].at, s->answer[i].len), NULL, s->now);
}

static void failed(struct sessions *s, enum codec_status status)
{
	struct conn *conn = s->conn;
	const char *why = codec_status_names[status];
	s->stats->rejected[status]++;
	bool said = s->talk->told || (status == CODEC_REFUSED && s->talk->turned_away);
	bool quiet = said || !conn_take_line(conn);
	enum log_level level = quiet ? LOG_LEVEL_DEBUG : LOG_LEVEL_NOTICE;
	if (log_wants(level)) {
		char peer[CONN_PEER_MAX];
		conn_peer(conn, peer);
		log_line(level, "frame from %s (%s) rejected: %s: %s%s", peer,
			current(s) ? current(s)->unit.ident : "not identified", why, log_frame(s->frame).text,
			said ? "" : "; more from this connection only at level debug");
	}
	s->talk->told |= !said;
	show(s, why);
}

/* May the address, and the unit that spoke last, give one more frame? Before the first frame nobody knows who it is: session_identify
 * decides. */
static enum counter why_too_fast(struct sessions *s)
{
	struct session *session = current(s);
	int64_t most = s->config->limits.frames_per_unit;
	enum counter reason = s->talk->stream.codec == NULL ? STAT_COUNT : session_share(s);
	if (reason == STAT_COUNT && session != NULL &&
		bucket_empty(&session->frames, most, BUCKET_SECOND, s->now.steady_ms))
		return STAT_REFUSED_FRAMES_PER_UNIT;
	return reason;
}

/* A frame may give many records: each counts. A guest does not use up what the unit may send. */
static void spend(struct sessions *s, struct session *session)
{
	struct conn *conn = s->conn;
	int64_t amount = s->records > 1 ? s->records : 1;
	bucket_spend(
		&conn_source(conn)->side[conn_is_udp(conn)].frames, amount, BUCKET_SECOND, s->now.steady_ms);
	if (session != NULL && session->conn == conn)
		bucket_spend(&session->frames, amount, BUCKET_SECOND, s->now.steady_ms);
}

static void guest_leaves(struct sessions *s)
{
	if (s->guest != NULL) {
		memcpy(s->guest->unit.priv, s->guest_priv, sizeof(s->guest_priv));
		session_use_options(s, s->guest, s->guest->codec);
	}
	s->guest = NULL;
}

/* A guest: nothing is remembered of it here but what its codec knows of the connection. */
static void end_visit(struct sessions *s)
{
	static const uint8_t nothing[sizeof(s->talk->stream.link.priv)];
	s->talk->stream.link.unit = NULL;
	if (memcmp(s->talk->stream.link.priv, nothing, sizeof(nothing)) != 0)
		conn_keep_guest(s->conn);
}

/* One whole frame. False: not now. */
static bool take_frame(struct sessions *s, enum codec_status status)
{
	const struct codec_sink sink = {
		s, session_identify, on_record, on_batch, on_reply, on_part, on_send, gbk_to_utf8};
	struct conn *conn = s->conn;
	s->answers = 0;
	s->later = false;
	s->records = 0;
	if (status == CODEC_OK)
		conn_whole(conn, s->frame.len);
	s->talk->stream.link.options = codec_settings_of(s->config->codecs, s->talk->stream.codec);
	if (status == CODEC_OK)
		status = codec_decode(&s->talk->stream, s->frame, &s->scratch, &sink);
	guest_leaves(s);
	assembly_settle(s->assembly, status);
	if (s->later)
		return false;
	stats_add(s->stats, STAT_FRAMES, 1);
	if (status != CODEC_OK && status != CODEC_FRAGMENT)
		failed(s, status);
	else
		show(s, NULL);
	if (s->fresh != NULL)
		events_ready(&s->events, s->fresh, s->now);
	s->fresh = NULL;
	struct session *session = current(s);
	spend(s, session);
	if (session != NULL && session->conn != conn)
		end_visit(s);
	return true;
}

/* Is there no room for a frame, or does it come too fast? That is counted. */
static enum input_end hold_back(struct sessions *s)
{
	if (!events_room(&s->events))
		return INPUT_NO_ROOM;
	enum counter reason = why_too_fast(s);
	if (reason == STAT_COUNT)
		return INPUT_DONE;
	conn_refused(s->conn, reason);
	return INPUT_TOO_FAST;
}

/* What nobody has recognised so far may be foreign by its first bytes. It is still looked for frames: a proxy's header may stand before
 * them. */
static void name_foreign(struct sessions *s, struct span bytes)
{
	if (s->talk->stream.codec != NULL || s->talk->named)
		return;
	const struct stranger stranger = {.head = bytes, .looks_like = foreign_find(bytes)};
	s->talk->named = stranger.looks_like != NULL;
	if (!s->talk->named)
		return;
	events_unknown(&s->events, s->conn, &stranger, s->now);
}

/* conn_ops.input. Frees no conn and no session. */
static size_t input(void *sessions, struct conn *conn, struct span bytes, int32_t quiet_ms, struct moment now,
	enum input_end *end)
{
	struct sessions *s = sessions;
	struct talk *talk = conn_owner(conn);
	size_t used = 0;
	s->conn = conn;
	s->talk = talk;
	s->now = now;
	talk->stream.link.now_ms = now.unix_ms;
	talk->stream.link.quiet_ms = quiet_ms;
	*end = talk->stream.codec != NULL ? INPUT_DONE : INPUT_UNKNOWN;
	name_foreign(s, bytes);
	while (used < bytes.len && !conn_is_closed(conn)) {
		struct frame f;
		struct span in = span_after(bytes, used);
		enum input_end held = hold_back(s);
		if (held != INPUT_DONE) {
			*end = held;
			return used;
		}
		enum codec_status status = codec_next(&talk->stream, in, &f);
		if (talk->stream.codec == NULL)
			return used; /* kept, to be shown when nobody ever recognises it */
		*end = INPUT_DONE;
		stats_add(s->stats, STAT_NOISE, f.skip);
		used += f.skip;
		if (status == CODEC_MORE || status == CODEC_NOT_MINE)
			return used;
		s->frame = span_part(in, f.skip, f.len);
		if (!take_frame(s, status)) {
			*end = INPUT_TOO_FAST;
			return used;
		}
		used += f.len;
	}
	return used;
}

/* conn_ops.datagram: another protocol may begin with it. */
static void datagram(void *sessions, struct conn *conn, struct span bytes)
{
	struct talk *talk = conn_owner(conn);
	(void)sessions;
	codec_begin_datagram(&talk->stream, bytes);
}

struct conn_ops sessions_conn_ops(struct sessions *s)
{
	_Static_assert(
		CONN_QUIET_FINAL == CODEC_QUIET_FINAL, "what is final for the one is final for the other");
	return (struct conn_ops){
		.ctx = s,
		.owner_size = sizeof(struct talk),
		.quiet_short_ms = CODEC_QUIET_SHORT_MS,
		.quiet_long_ms = CODEC_QUIET_LONG_MS,
		.expects_units = sessions_expect_units,
		.datagram = datagram,
		.input = input,
		.ended = session_conn_ended,
	};
}

/* --- commands --- */

bool session_encode(struct sessions *s, struct session *session, const struct command *command,
	struct writer *out, struct command_token *token, int64_t now_ms)
{
	struct codec_link link = {.now_ms = now_ms, .unit = &session->unit};
	(void)s;
	return session->codec->encode(&link, command, out, token) == CODEC_OK;
}

bool session_send(struct sessions *s, struct session *session, struct span frame, conn_sent *sent, void *ctx,
	uint64_t id, struct moment now)
{
	events_frame(&s->events, session, false, frame, NULL, now);
	return conn_command(session->conn, session, frame, sent, ctx, id);
}

void session_take_back(struct sessions *s, struct span ident, uint64_t id)
{
	struct session *session = session_find(s, ident);
	if (session != NULL)
		conn_take_back(session->conn, id);
}
