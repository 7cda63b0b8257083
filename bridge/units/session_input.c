/* session_input: bytes -> frames -> records of the unit that speaks.
 * May use: session, codec. May not: know who is admitted (session_admission.c). */
#include "bridge/units/session_private.h"

#include "bridge/base/log.h"
#include "bridge/units/gbk.h"

static struct session *of_unit(struct codec_unit *unit)
{
	return unit ? (struct session *)(void *)((char *)unit - offsetof(struct session, unit)) : NULL;
}

static struct session *current(struct sessions *s)
{
	return of_unit(s->conn->stream.link.unit);
}

/* --- what a codec says --- */

static bool on_record(void *ctx, struct telemetry *t)
{
	struct sessions *s = ctx;
	struct session *session = current(s);
	if (!s->ops.record(s->ops.ctx, session, s->conn, t, s->now))
		return false;
	s->records++;
	if (!session->trusted && session->conn == s->conn)
		session_consider_trust(s, session);
	return true;
}

static enum codec_room on_batch(void *ctx, size_t records)
{
	struct sessions *s = ctx;
	return s->ops.batch(s->ops.ctx, records);
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
	if (current(s)->conn == s->conn || s->conn->last_words != NULL)
		s->ops.reply(s->ops.ctx, current(s), reply, s->now);
}

/* Is it the platform that answers this unit? Not one that is not relayed, nor one that the units file answers itself. */
static bool platform_answers(const struct sessions *s, const struct session *session)
{
	const struct codec *codec = s->conn->stream.codec;
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
	size_t before = s->conn->out_len;
	conn_answer(s->conn, frame, codec_is_echo(s->frame, frame));
	if (s->conn->out_len > before && s->answers <= ASSEMBLY_PARTS_MAX)
		s->answer_len[s->answers++] = (uint16_t)frame.len;
}

/* --- frames --- */

/* Shows the frame at hand, and the frames that answer it: the end of what is owed. */
static void show(struct sessions *s, const char *error)
{
	size_t at = s->owed_before;
	s->ops.frame(s->ops.ctx, current(s), true, s->frame, error);
	for (unsigned i = 0; i < s->answers; at += s->answer_len[i++]) {
		at += s->conn->udp ? 2 : 0; /* the length */
		s->ops.frame(s->ops.ctx, current(s), false, span_of(s->conn->out + at, s->answer_len[i]), NULL);
	}
}

static void failed(struct sessions *s, enum codec_status status)
{
	struct conn *conn = s->conn;
	const char *why = codec_status_names[status];
	s->stats->rejected[status]++;
	bool quiet = conn->told || !conn_take_line(conn);
	enum log_level level = quiet ? LOG_LEVEL_DEBUG : LOG_LEVEL_NOTICE;
	if (log_wants(level)) {
		char peer[CONN_PEER_MAX];
		conn_peer(conn, peer);
		log_line(level, "frame from %s (%s) rejected: %s: %s%s", peer,
			current(s) ? current(s)->unit.ident : "not identified", why, log_bytes(s->frame).text,
			conn->told ? "" : "; more from this connection only at level debug");
	}
	conn->told = true;
	show(s, why);
}

enum counter sessions_share(struct sessions *s)
{
	struct conn *conn = s->conn;
	struct bucket *frames = &conn->source->side[conn->udp].frames;
	if (conn->known > 0)
		return STAT_COUNT;
	if (bucket_empty(frames, s->config->limits.frames_per_address, BUCKET_SECOND, s->now.steady_ms))
		return STAT_REFUSED_FRAMES_PER_ADDRESS;
	return s->ops.share(s->ops.ctx, conn) ? STAT_COUNT : STAT_REFUSED_OUTBOX_SHARE;
}

/* Has the address, or the unit that spoke last, had its share? Before the first frame nobody knows who it is: session_identify
 * decides. */
static bool too_fast(struct sessions *s)
{
	struct conn *conn = s->conn;
	struct session *session = current(s);
	int64_t most = s->config->limits.frames_per_unit;
	enum counter reason = conn->stream.codec == NULL ? STAT_COUNT : sessions_share(s);
	if (reason == STAT_COUNT && session != NULL &&
		bucket_empty(&session->frames, most, BUCKET_SECOND, s->now.steady_ms))
		reason = STAT_REFUSED_FRAMES_PER_UNIT;
	if (reason != STAT_COUNT)
		conn_refused(conn, reason);
	return reason != STAT_COUNT;
}

/* A frame may give many records: each counts. A guest does not use up what the unit may send. */
static void spend(struct sessions *s, struct session *session)
{
	struct conn *conn = s->conn;
	int64_t amount = s->records > 1 ? s->records : 1;
	bucket_spend(&conn->source->side[conn->udp].frames, amount, BUCKET_SECOND, s->now.steady_ms);
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

/* One whole frame. False: not now. */
static bool take_frame(struct sessions *s, enum codec_status status)
{
	const struct codec_sink sink = {
		s, session_identify, on_record, on_batch, on_reply, on_part, on_send, gbk_to_utf8};
	struct conn *conn = s->conn;
	s->owed_before = conn->out_len;
	s->answers = 0;
	s->later = false;
	s->records = 0;
	if (status == CODEC_OK)
		conn_whole(conn, s->frame.len);
	if (status == CODEC_OK)
		status = codec_decode(&conn->stream, s->frame, &s->scratch, &sink);
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
		s->ops.ready(s->ops.ctx, s->fresh, s->now);
	s->fresh = NULL;
	struct session *session = current(s);
	spend(s, session);
	if (session != NULL && session->conn != conn)
		conn->stream.link.unit = NULL; /* a guest: nothing is remembered of it here */
	return true;
}

size_t session_input(struct sessions *s, struct conn *conn, struct span bytes, int32_t quiet_ms,
	struct moment now, enum input_end *end)
{
	size_t used = 0;
	s->conn = conn;
	s->now = now;
	conn->stream.link.now_ms = now.unix_ms;
	conn->stream.link.quiet_ms = quiet_ms;
	*end = INPUT_DONE;
	while (used < bytes.len && conn->leaving == NULL) {
		struct frame f;
		struct span in = span_after(bytes, used);
		if (!s->ops.room(s->ops.ctx))
			*end = INPUT_NO_ROOM;
		else if (too_fast(s))
			*end = INPUT_TOO_FAST;
		if (*end != INPUT_DONE)
			return used;
		enum codec_status status = codec_next(&conn->stream, in, &f);
		if (conn->stream.codec == NULL)
			return used; /* kept, to be shown when nobody ever recognises it */
		stats_add(s->stats, STAT_NOISE, f.skip);
		used += f.skip;
		if (status == CODEC_MORE || status == CODEC_NOT_MINE)
			return used;
		s->frame = span_of(in.ptr + f.skip, f.len);
		if (!take_frame(s, status)) {
			*end = INPUT_TOO_FAST;
			return used;
		}
		used += f.len;
	}
	return used;
}

/* --- commands --- */

bool session_encode(struct sessions *s, struct session *session, const struct command *command,
	struct writer *out, struct command_token *token, int64_t now_ms)
{
	struct codec_link link = {.now_ms = now_ms, .unit = &session->unit};
	(void)s;
	return session->codec->encode(&link, command, out, token) == CODEC_OK;
}

bool session_send(
	struct sessions *s, struct session *session, struct span frame, conn_sent *sent, void *ctx, uint64_t id)
{
	s->ops.frame(s->ops.ctx, session, false, frame, NULL);
	return conn_command(session->conn, session, frame, sent, ctx, id);
}

void session_take_back(struct sessions *s, struct span ident, uint64_t id)
{
	struct session *session = session_find(s, ident);
	if (session != NULL)
		conn_take_back(session->conn, id);
}
