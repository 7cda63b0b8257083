/* session: see session.h. */
#include "session.h"

#include "assembly.h"
#include "clock.h"
#include "log.h"
#include "topic.h"

#include <stdlib.h>
#include <utlist.h>

#define TAKEOVER_EVERY_MS 1000
#define FLAPPING_MS 60000 /* taken over again by another address within this time */

struct sessions {
	struct session *by_ident; /* hash: units on line, and remembered ones */
	struct session *gone;     /* off line, the longest first */
	size_t gone_count, online;
	struct bucket udp_arrivals;
	uint64_t number;
	const struct codec_options *options;
	const struct config *config;
	const struct units *units;
	bool reject_unknown;
	struct session_ops ops;
	struct stats *stats;
	struct telemetry scratch;
	struct assembly *assembly; /* of messages in several frames */
	/* of the session_input at hand */
	struct conn *conn;
	int64_t now_ms;
	struct span frame;                                    /* the one being decoded */
	size_t owed_before;                                   /* bytes that the connection was owed before it */
	uint16_t answers, answer_len[ASSEMBLY_PARTS_MAX + 1]; /* frames that answer it */
	struct session *fresh;                                /* the unit that came with this frame */
	bool later; /* it came too soon: the frame is to be given once more */
};

struct sessions *sessions_open(
	const struct codec_options *options, const struct config *config, struct stats *stats)
{
	struct sessions *s = calloc(1, sizeof(*s));
	if (s == NULL || (s->assembly = assembly_open(ASSEMBLY_BYTES)) == NULL) {
		free(s);
		return NULL;
	}
	s->options = options;
	s->config = config;
	s->stats = stats;
	return s;
}

static bool is_admitted(const struct sessions *s, const struct unit_info *info)
{
	return info != NULL || !s->reject_unknown;
}

static void inform(struct sessions *s, struct session *session)
{
	session->info = units_find(s->units, span_text(session->unit.ident));
	session->unit.options = session->info != NULL ? &session->info->options : s->options;
}

void sessions_use_units(struct sessions *s, const struct units *units, bool reject_unknown)
{
	struct session *session, *next;
	s->units = units;
	s->reject_unknown = reject_unknown;
	for (session = s->by_ident; session != NULL; session = next) { /* with their topics as they were */
		next = session->hh.next;
		if (session->conn == NULL || is_admitted(s, units_find(units, span_text(session->unit.ident))))
			continue;
		log_notice("unit %s is no longer admitted", session->unit.ident);
		conn_close(session->conn, "no longer admitted");
		next = s->by_ident; /* closing may have ended others, too */
	}
	HASH_ITER(hh, s->by_ident, session, next)
		inform(s, session);
}

struct span session_ident(const struct sessions *s, struct span name)
{
	const struct unit_info *info = units_find_topic(s->units, name);
	return info != NULL ? span_text(info->ident) : name;
}

const char *session_topic(const struct session *session)
{
	return session->info != NULL && *session->info->topic ? session->info->topic : session->unit.ident;
}

void sessions_set_ops(struct sessions *s, const struct session_ops *ops)
{
	s->ops = *ops;
}

static void forget(struct sessions *s, struct session *session)
{
	HASH_DEL(s->by_ident, session);
	free(session);
}

void sessions_free(struct sessions *s)
{
	struct session *session, *next;
	HASH_ITER(hh, s->by_ident, session, next)
		forget(s, session);
	assembly_free(s->assembly);
	free(s);
}

void sessions_tick(struct sessions *s)
{
	unsigned incomplete = assembly_tidy(s->assembly, clock_steady_ms());
	if (incomplete > 0)
		log_info("%u messages in several frames stayed incomplete: not acknowledged", incomplete);
	s->stats->rejected[CODEC_FRAGMENT] += incomplete;
}

static struct session *find(struct sessions *s, struct span ident)
{
	struct session *session = NULL;
	HASH_FIND(hh, s->by_ident, ident.ptr, (unsigned)ident.len, session);
	return session;
}

void sessions_each(struct sessions *s, void (*each)(void *ctx, struct session *session), void *ctx)
{
	struct session *session, *next;
	HASH_ITER(hh, s->by_ident, session, next)
		each(ctx, session);
}

struct session *session_find(struct sessions *s, struct span ident)
{
	struct session *session = find(s, ident);
	return session != NULL && session->conn != NULL ? session : NULL;
}

/* --- on line, off line --- */

static void leave_conn(struct session *session)
{
	struct conn *conn = session->conn;
	LL_DELETE2(conn->sessions, session, next_here);
	conn->units--;
	if (conn->stream.link.unit == &session->unit)
		conn->stream.link.unit = conn->sessions ? &conn->sessions->unit : NULL;
	session->conn = NULL;
}

static void now_offline(struct sessions *s, struct session *session, const char *reason, int64_t now_ms)
{
	stats_set(s->stats, STAT_UNITS, --s->online);
	DL_APPEND(s->gone, session);
	s->gone_count++;
	s->ops.offline(s->ops.ctx, session, reason, now_ms);
	if (s->gone_count > (size_t)s->config->listen.max_connections) {
		struct session *oldest = s->gone;
		DL_DELETE(s->gone, oldest);
		s->gone_count--;
		forget(s, oldest);
	}
}

/* The unit speaks on another connection now: the old one has nothing more to say for it. */
static void take_over(struct sessions *s, struct session *session)
{
	struct conn *old = session->conn;
	char peer[CONN_PEER_MAX];
	conn_peer(old, peer);
	log_info("unit %s: taken over from %s", session->unit.ident, peer);
	struct codec_unit *speaker = old->stream.link.unit;
	leave_conn(session);
	if (old->sessions ==
		NULL) /* it ends with this turn; until then its frames without an id are still this unit's */
		old->stream.link.unit = speaker;
	conn_forget(old, session);
	stats_add(s->stats, STAT_TAKEOVERS, 1);
	if (old->sessions == NULL)
		conn_supersede(old);
}

static struct session *new_session(struct sessions *s, struct span ident)
{
	struct session *session = calloc(1, sizeof(*session));
	if (session == NULL)
		return NULL;
	memcpy(session->unit.ident, ident.ptr, ident.len);
	HASH_ADD(hh, s->by_ident, unit.ident, (unsigned)ident.len, session);
	return session;
}

/* Two connections name the same unit: the newer one gets it, but not too often, for one of them may lie. */
static bool may_take_over(struct sessions *s, struct session *session)
{
	struct conn *conn = s->conn, *old = session->conn;
	int64_t since = session->taken_ms > 0 ? s->now_ms - session->taken_ms : FLAPPING_MS;
	if (since >= 0 && since < TAKEOVER_EVERY_MS) {
		conn_refused(conn, STAT_REFUSED_TAKEOVER);
		return false;
	}
	session->taken_ms = s->now_ms;
	if (since >= FLAPPING_MS || conn->source == old->source)
		return true;
	stats_add(s->stats, STAT_FLAPPING, 1);
	if (source_may_log(conn->source, s->now_ms)) {
		char before[CONN_PEER_MAX], after[CONN_PEER_MAX];
		conn_peer(old, before);
		conn_peer(conn, after);
		log_warning("unit %s is claimed by %s and %s in turns", session->unit.ident, before, after);
	}
	return true;
}

/* Is this frame to be taken although its unit stays with another connection? */
static bool is_guest(struct sessions *s, struct session *session)
{
	if (session == NULL || session->conn == NULL)
		return false;
	if (s->conn->superseded) /* the last words of an old connection */
		return true;
	return session->codec == s->conn->stream.codec && !may_take_over(s, session);
}

/* May this connection speak for one more unit? */
static bool is_welcome(struct sessions *s, struct span ident)
{
	const struct config *c = s->config;
	enum counter reason = STAT_COUNT;
	if (!topic_ident_ok(ident))
		return false;
	if (!is_admitted(s, units_find(s->units, ident)))
		reason = STAT_REFUSED_NOT_ADMITTED;
	else if (s->conn->units >= c->limits.units_per_connection)
		reason = STAT_REFUSED_UNITS_PER_CONNECTION;
	else if (s->online >= (size_t)c->limits.units && !conn_make_place(s->conn))
		reason = STAT_REFUSED_UNITS;
	if (reason != STAT_COUNT)
		conn_refused(s->conn, reason);
	return reason == STAT_COUNT;
}

/* Too many have come on line in this second, from this address or, over UDP, where addresses can be forged, from all of them?
 * Units of the units file may always come. */
static bool arrives_too_soon(struct sessions *s, struct span ident)
{
	struct conn *conn = s->conn;
	const struct config *c = s->config;
	if (units_find(s->units, ident) != NULL)
		return false;
	if (bucket_empty(&conn->source->arrivals, c->limits.arrivals_per_address, s->now_ms)) {
		conn_refused(conn, STAT_REFUSED_ARRIVALS_PER_ADDRESS);
		return true;
	}
	if (conn->udp && bucket_empty(&s->udp_arrivals, c->limits.udp_arrivals, s->now_ms)) {
		conn_refused(conn, STAT_REFUSED_UDP_ARRIVALS);
		return true;
	}
	conn->source->arrivals.spent++;
	s->udp_arrivals.spent += conn->udp ? 1 : 0;
	return false;
}

/* codec_sink.identify */
static struct codec_unit *on_identify(void *ctx, struct span ident)
{
	struct sessions *s = ctx;
	struct conn *conn = s->conn;
	struct session *session = find(s, ident);
	if (session != NULL && session->conn == conn)
		return &session->unit;
	if (!is_welcome(s, ident))
		return NULL;
	session = find(s, ident); /* making place may have forgotten it */
	if (is_guest(s, session))
		return &session->unit;
	if (arrives_too_soon(s, ident)) {
		s->later = true;
		return NULL;
	}
	if (session == NULL)
		session = new_session(s, ident);
	if (session == NULL)
		return NULL;
	if (session->conn != NULL) {
		take_over(s, session);
	} else {
		if (session->prev != NULL) { /* remembered */
			DL_DELETE(s->gone, session);
			s->gone_count--;
			session->prev = session->next = NULL;
		}
		stats_set(s->stats, STAT_UNITS, ++s->online);
	}
	memset(session->unit.priv, 0, sizeof(session->unit.priv));
	inform(s, session);
	session->conn = conn;
	session->codec = conn->stream.codec;
	session->number = ++s->number;
	session->since_ms = s->now_ms;
	LL_PREPEND2(conn->sessions, session, next_here);
	conn->units++;
	conn_identified(conn);
	s->ops.online(s->ops.ctx, session, s->now_ms);
	s->fresh = session;
	return &session->unit;
}

void session_conn_ended(struct sessions *s, struct conn *conn, const char *reason, int64_t now_ms)
{
	char peer[CONN_PEER_MAX];
	conn_peer(conn, peer);
	if (conn->stream.codec == NULL && conn->in_len > 0) {
		stats_add(s->stats, STAT_UNKNOWN, 1);
		s->ops.unknown(s->ops.ctx, conn, span_of(conn->in, conn->in_len));
	}
	while (conn->sessions != NULL) {
		struct session *session = conn->sessions;
		leave_conn(session);
		log_info("unit %s off line: %s (%s)", session->unit.ident, reason, peer);
		now_offline(s, session, reason, now_ms);
	}
}

/* --- frames --- */

static struct session *of_unit(struct codec_unit *unit)
{
	return unit ? (struct session *)(void *)((char *)unit - offsetof(struct session, unit)) : NULL;
}

static struct session *current(struct sessions *s)
{
	return of_unit(s->conn->stream.link.unit);
}

static bool on_record(void *ctx, struct telemetry *t)
{
	struct sessions *s = ctx;
	return s->ops.record(s->ops.ctx, current(s), s->conn, t, s->now_ms);
}

static enum codec_status on_part(void *ctx, const struct codec_part *part, struct codec_parts *parts)
{
	struct sessions *s = ctx;
	const struct assembly_from from = {
		current(s)->unit.ident, s->conn->source->key, current(s)->info != NULL};
	return assembly_add(
		s->assembly, &from, (unsigned)s->config->jt808.max_packets, part, clock_steady_ms(), parts);
}

static void on_reply(void *ctx, const struct command_reply *reply)
{
	struct sessions *s = ctx;
	s->ops.reply(s->ops.ctx, current(s), reply, s->now_ms);
}

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

static void on_send(void *ctx, struct span frame)
{
	struct sessions *s = ctx;
	size_t before = s->conn->out_len;
	conn_answer(s->conn, frame);
	if (s->conn->out_len > before && s->answers <= ASSEMBLY_PARTS_MAX)
		s->answer_len[s->answers++] = (uint16_t)frame.len;
}

static void failed(struct sessions *s, enum codec_status status)
{
	struct conn *conn = s->conn;
	const char *why = codec_status_names[status];
	s->stats->rejected[status]++;
	bool quiet = conn->told || !source_may_log(conn->source, s->now_ms);
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

/* Has the address, or the unit that spoke last, had its share of this second? */
static bool too_fast(struct sessions *s)
{
	struct conn *conn = s->conn;
	struct session *session = current(s);
	const struct config *c = s->config;
	if (bucket_empty(&conn->source->frames, c->limits.frames_per_address, s->now_ms)) {
		conn_refused(conn, STAT_REFUSED_FRAMES_PER_ADDRESS);
		return true;
	}
	if (session != NULL && bucket_empty(&session->frames, c->limits.frames_per_unit, s->now_ms)) {
		conn_refused(conn, STAT_REFUSED_FRAMES_PER_UNIT);
		return true;
	}
	return false;
}

/* One whole frame. False: not now. */
static bool take_frame(struct sessions *s, enum codec_status status)
{
	const struct codec_sink sink = {s, on_identify, on_record, NULL, on_reply, on_part, on_send};
	struct conn *conn = s->conn;
	s->owed_before = conn->out_len;
	s->answers = 0;
	s->later = false;
	if (status == CODEC_OK)
		status = codec_decode(&conn->stream, s->frame, &s->scratch, &sink);
	assembly_settle(s->assembly, status);
	if (s->later)
		return false;
	stats_add(s->stats, STAT_FRAMES, 1);
	if (status != CODEC_OK && status != CODEC_FRAGMENT)
		failed(s, status);
	else
		show(s, NULL);
	if (s->fresh != NULL)
		s->ops.ready(s->ops.ctx, s->fresh, s->now_ms);
	s->fresh = NULL;
	conn->source->frames.spent++;
	struct session *session = current(s);
	if (session == NULL)
		return true;
	session->frames.spent++;
	if (session->conn != conn && !conn->superseded)
		conn->stream.link.unit = NULL; /* a guest: nothing is remembered of it here */
	return true;
}

size_t session_input(struct sessions *s, struct conn *conn, struct span bytes, int32_t quiet_ms, int64_t now_ms,
	enum input_end *end)
{
	size_t used = 0;
	s->conn = conn;
	s->now_ms = now_ms;
	conn->stream.link.now_ms = now_ms;
	conn->stream.link.quiet_ms = quiet_ms;
	*end = INPUT_DONE;
	while (used < bytes.len) {
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

const struct codec *session_codec(struct sessions *s, struct span ident)
{
	struct session *session = find(s, ident);
	return session != NULL ? session->codec : NULL;
}

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
