/* session_admission: who may come on line, from where, how often; who is trusted.
 * May use: session, source, conn's few calls. May not: look at frames.
 *
 * Two connections may name the same unit: the newer one gets it, but at most once a second whatever they speak, for one of them
 * may lie. A datagram, whose sender proves nothing, never gets a unit that has spoken over TCP within TCP_KEEPS_MS, and who connects
 * gets it from a UDP peer at any time. The record
 * of the one that does not get it is taken and acknowledged all the same. */
#include "bridge/units/session_private.h"

#include "bridge/base/log.h"
#include "bridge/base/topic.h"

#define TAKEOVER_EVERY_MS 1000
#define FLAPPING_MS 60000 /* taken over again by another address within this time */
#define TCP_KEEPS_MS (5 * 60 * 1000LL)

/* Trusted at once: a home, a small fleet and a demo see their units immediately. */
#define TRUSTED_AT_ONCE 50
/* All others: so many reports, each so long after the one before, and in all over so long. */
#define TRUST_REPORTS 4
#define TRUST_APART_MS 20000
#define TRUST_OVER_MS (2 * 60 * 1000LL)
/* And no more than so many a minute of one address, or of all over UDP. */
#define TRUST_A_MINUTE 20

/* --- trust --- */

static void trust(struct sessions *s, struct session *session)
{
	session->trusted = true;
	s->trusted += session->info == NULL;
}

static bool is_trusted_at_once(const struct sessions *s, const struct session *session)
{
	return session->info != NULL || (s->trusted < TRUSTED_AT_ONCE && sessions_remember_more(s));
}

void session_consider_trust(struct sessions *s, struct session *session)
{
	int64_t now = s->now.steady_ms;
	struct conn *conn = session->conn;
	if (conn == NULL)
		return;
	if (session->reports == 0)
		session->first_ms = now;
	if (session->reports == 0 || now - session->counted_ms >= TRUST_APART_MS) {
		session->counted_ms = now;
		session->reports = (uint8_t)(session->reports < UINT8_MAX ? session->reports + 1 : UINT8_MAX);
	}
	struct bucket *bucket = conn->udp ? &s->udp_trusted : &conn->source->trusted;
	if (session->reports < TRUST_REPORTS || now - session->first_ms < TRUST_OVER_MS ||
		!sessions_remember_more(s) || bucket_empty(bucket, TRUST_A_MINUTE, BUCKET_MINUTE, now))
		return;
	bucket_spend(bucket, 1, BUCKET_MINUTE, now);
	trust(s, session);
	if (!s->ops.status(s->ops.ctx, session, s->now))
		session_set_due(s, session, session->due | SESSION_DUE_STATUS);
}

/* --- two that name the same unit --- */

/* The unit speaks on another connection now: the old one has nothing more to say for it. */
static void take_over(struct sessions *s, struct session *session)
{
	struct conn *old = session->conn;
	bool going = conn_is_going(old);
	if (!going && conn_take_line(s->conn)) {
		char peer[CONN_PEER_MAX];
		conn_peer(old, peer);
		log_info("unit %s: taken over from %s", session->unit.ident, peer);
	}
	session_leave_conn(session);
	conn_forget(old, session);
	if (going)
		return;
	stats_add(s->stats, STAT_TAKEOVERS, 1);
	session->taken_ms = s->now.steady_ms;
	session->frames = (struct bucket){0}; /* what the old one has spent is not this one's */
	if (old->sessions == NULL)
		conn_close_after_last_words(old, "taken over by a newer connection");
}

static void tell_flapping(struct sessions *s, const struct session *session)
{
	char before[CONN_PEER_MAX], after[CONN_PEER_MAX];
	stats_add(s->stats, STAT_FLAPPING, 1);
	if (!conn_take_line(s->conn))
		return;
	conn_peer(session->conn, before);
	conn_peer(s->conn, after);
	log_warning("unit %s is claimed by %s and %s in turns", session->unit.ident, before, after);
}

static bool may_take_over(const struct sessions *s, const struct session *session)
{
	const struct conn *old = session->conn;
	if (old->udp && !s->conn->udp) /* who connects proves more than any datagram */
		return true;
	bool soon = session->taken_ms > 0 && s->now.steady_ms - session->taken_ms < TAKEOVER_EVERY_MS;
	return !soon && !(s->conn->udp && !old->udp && conn_spoke_within(old, TCP_KEEPS_MS));
}

/* Is this frame to be taken although its unit stays with another connection? */
static bool is_guest(struct sessions *s, struct session *session)
{
	if (s->conn->last_words != NULL) /* of an old connection */
		return true;
	if (!may_take_over(s, session)) {
		conn_refused(s->conn, STAT_REFUSED_TAKEOVER);
		return true;
	}
	bool again = session->taken_ms > 0 && s->now.steady_ms - session->taken_ms < FLAPPING_MS;
	if (again && s->conn->source != session->conn->source)
		tell_flapping(s, session);
	return false;
}

/* --- coming on line --- */

/* An ident that is the name of another unit in topics would speak in that one's place. */
static bool is_name_of_another(const struct sessions *s, struct span ident)
{
	const struct unit_info *owner = units_find_topic(s->units, ident);
	return owner != NULL && !span_is(ident, owner->ident);
}

/* May this connection speak for one more unit? STAT_COUNT: yes. */
static enum counter why_not(const struct sessions *s, struct span ident)
{
	if (!sessions_admit(s, units_find(s->units, ident)) || is_name_of_another(s, ident))
		return STAT_REFUSED_NOT_ADMITTED;
	return s->conn->units >= s->config->limits.units_per_connection ? STAT_REFUSED_UNITS_PER_CONNECTION
									: STAT_COUNT;
}

/* Too many that are new have come on line in this second, from this address or, over UDP, where addresses can be forged, from all
 * of them? */
static bool arrives_too_soon(struct sessions *s)
{
	struct conn *conn = s->conn;
	const struct config *c = s->config;
	int64_t now = s->now.steady_ms;
	enum counter reason = STAT_COUNT;
	struct bucket *arrivals = &conn->source->side[conn->udp].arrivals;
	if (bucket_empty(arrivals, c->limits.arrivals_per_address, BUCKET_SECOND, now))
		reason = STAT_REFUSED_ARRIVALS_PER_ADDRESS;
	else if (conn->udp && bucket_empty(&s->udp_arrivals, c->limits.udp_arrivals, BUCKET_SECOND, now))
		reason = STAT_REFUSED_UDP_ARRIVALS;
	if (reason != STAT_COUNT) {
		conn_refused(conn, reason);
		return true;
	}
	bucket_spend(arrivals, 1, BUCKET_SECOND, now);
	if (conn->udp)
		bucket_spend(&s->udp_arrivals, 1, BUCKET_SECOND, now);
	return false;
}

/* A stranger's unit needs a place. False: refused, and told. */
static bool takes_place(struct sessions *s)
{
	enum counter reason = conn_take_places(s->conn);
	if (reason == STAT_COUNT)
		return true;
	conn_refused(s->conn, reason);
	if (reason == STAT_REFUSED_CONNECTIONS)
		conn_close(s->conn, "no place for one more connection");
	return false;
}

static struct codec_unit *comes_on_line(struct sessions *s, struct session *session)
{
	struct conn *conn = s->conn;
	if (session->conn != NULL) {
		take_over(s, session);
	} else {
		sessions_come_back(s, session);
		stats_set(s->stats, STAT_UNITS, ++s->online);
	}
	memset(session->unit.priv, 0, sizeof(session->unit.priv));
	session->codec = conn->stream.codec;
	session_inform(s, session);
	session->conn = conn;
	session->number = ++s->number;
	session->since_ms = s->now.unix_ms;
	if (!session->trusted && is_trusted_at_once(s, session))
		trust(s, session);
	LL_PREPEND2(conn->sessions, session, next_here);
	conn_unit_came(conn, session->info != NULL);
	if (sessions_take_line(s, session, true)) {
		char peer[CONN_PEER_MAX];
		conn_peer(conn, peer);
		log_info("unit %s on line: %s over %s from %s", session->unit.ident, session->codec->name,
			conn_transport(conn), peer);
	}
	sessions_tell_status(s, session);
	s->fresh = session;
	return &session->unit;
}

/* What the codec reads in this frame, such as the form of the unit's number, is no more than for this frame: the unit's commands
 * are to be written as its own connection has it. */
static struct codec_unit *as_guest(struct sessions *s, struct session *session)
{
	if (s->guest == NULL) {
		memcpy(s->guest_priv, session->unit.priv, sizeof(s->guest_priv));
		memset(session->unit.priv, 0, sizeof(session->unit.priv));
		s->guest = session;
		session_use_options(s, session, s->conn->stream.codec);
	}
	return &session->unit;
}

/* Another protocol than before from the same peer. */
static void use_codec(struct sessions *s, struct session *session, const struct codec *codec)
{
	if (session->codec == codec)
		return;
	session->codec = codec;
	session_use_options(s, session, codec);
	memset(session->unit.priv, 0, sizeof(session->unit.priv));
}

/* The address had its share: the frame is to be given once more. */
static bool has_to_wait(struct sessions *s)
{
	enum counter reason = sessions_share(s);
	if (reason == STAT_COUNT)
		return false;
	conn_refused(s->conn, reason);
	s->later = true;
	return true;
}

struct codec_unit *session_identify(void *ctx, struct span ident)
{
	struct sessions *s = ctx;
	struct conn *conn = s->conn;
	struct session *session = sessions_find(s, ident);
	if (session != NULL && session->conn == conn) {
		use_codec(s, session, conn->stream.codec);
		return &session->unit;
	}
	if (!topic_ident_ok(ident) || conn->leaving != NULL)
		return NULL;
	enum counter reason = why_not(s, ident);
	if (reason != STAT_COUNT) {
		conn_refused(conn, reason);
		return NULL;
	}
	bool known = units_find(s->units, ident) != NULL;
	bool on_line = session != NULL && session->conn != NULL && !conn_is_going(session->conn);
	bool trusted = (session != NULL && session->trusted) || known;
	bool guest = on_line && is_guest(s, session);
	if ((guest || !known) && has_to_wait(s))
		return NULL;
	if (guest)
		return as_guest(s, session);
	if (!on_line && !trusted && arrives_too_soon(s)) {
		s->later = true;
		return NULL;
	}
	if (!on_line && !known && !takes_place(s))
		return NULL;
	if (session == NULL)
		session = sessions_add(s, ident);
	return session != NULL ? comes_on_line(s, session) : NULL;
}
