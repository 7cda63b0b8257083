// SPDX-License-Identifier: MIT
/* session_arrival: a unit comes on line, takes over from another connection, is trusted. Whether it may is asked in
 * session_admission.c; here it is done, and what is refused is counted.
 * Uses: bridge/base.
 * Not: look at frames. */
#include "bridge/units/session_private.h"

#include "bridge/base/log.h"
#include "bridge/base/topic.h"

/* Trusted at once: a home, a small fleet and a demo see their units immediately. */
#define TRUSTED_AT_ONCE 50
/* All others: so many reports, each so long after the one before, and in all over so long. */
#define TRUST_REPORTS 4
#define TRUST_APART_MS 20000
#define TRUST_OVER_MS (2 * 60 * 1000LL)
/* And no more than so many a minute of one address, or of all over UDP. */
#define TRUST_A_MINUTE 20
/* That a unit is not admitted is told again after this time. */
#define REFUSED_AGAIN_MS (10 * 60 * 1000LL)

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
	struct bucket *bucket = conn_is_udp(conn) ? &s->udp_trusted : &conn_source(conn)->trusted;
	if (session->reports < TRUST_REPORTS || now - session->first_ms < TRUST_OVER_MS ||
		!sessions_remember_more(s) || bucket_empty(bucket, TRUST_A_MINUTE, BUCKET_MINUTE, now))
		return;
	bucket_spend(bucket, 1, BUCKET_MINUTE, now);
	trust(s, session);
	session_set_due(
		s, session, session->due | events_tell(&s->events, s->events.presence, session, s->now));
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
	const struct talk *talk = conn_owner(old);
	if (talk->sessions == NULL)
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

/* The unit is on line elsewhere. Does this frame's stay there? Then the frame is taken all the same. */
static bool stays_elsewhere(struct sessions *s, const struct session *session)
{
	switch (session_claim(s, session)) {
	case CLAIM_TAKES_OVER:
		if (session_is_flapping(s, session))
			tell_flapping(s, session);
		return false;
	case CLAIM_TOO_SOON:
		conn_refused(s->conn, STAT_REFUSED_TAKEOVER);
		return true;
	case CLAIM_LAST_WORDS:
		return true;
	}
	return true;
}

/* --- coming on line --- */

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
	session->codec = s->talk->stream.codec;
	session_inform(s, session);
	session->conn = conn;
	session->awaited = false;
	session->number = ++s->number;
	session->since_ms = s->now.unix_ms;
	if (!session->trusted && is_trusted_at_once(s, session))
		trust(s, session);
	LL_PREPEND2(s->talk->sessions, session, next_here);
	conn_unit_came(conn, session->info != NULL);
	if (sessions_take_line(s, session, true)) {
		char peer[CONN_PEER_MAX];
		conn_peer(conn, peer);
		log_info("unit %s on line: %s over %s from %s", session->unit.ident, session->codec->name,
			conn_transport(conn), peer);
	}
	sessions_tell_presence(s, session);
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
		session_use_options(s, session, s->talk->stream.codec);
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

/* Not now: the frame is to be given once more. */
static struct codec_unit *later(struct sessions *s, enum counter reason)
{
	conn_refused(s->conn, reason);
	s->later = true;
	return NULL;
}

/* This second has one arrival less left. */
static void book_arrival(struct sessions *s)
{
	bool udp = conn_is_udp(s->conn);
	bucket_spend(&conn_source(s->conn)->side[udp].arrivals, 1, BUCKET_SECOND, s->now.steady_ms);
	if (udp)
		bucket_spend(&s->udp_arrivals, 1, BUCKET_SECOND, s->now.steady_ms);
}

/* A stranger's unit needs a place, and perhaps its connection. False: there is none. */
static bool take_places(struct sessions *s)
{
	enum counter reason = conn_take_places(s->conn);
	if (reason == STAT_COUNT)
		return true;
	conn_refused(s->conn, reason);
	if (reason == STAT_REFUSED_CONNECTIONS)
		conn_close(s->conn, "no place for one more connection");
	return false;
}

/* It is on line nowhere, or on a connection that goes. False: not now, or not at all. */
static bool arrives(struct sessions *s, bool known, bool trusted)
{
	enum counter reason = trusted ? STAT_COUNT : session_arrivals(s);
	if (reason != STAT_COUNT)
		return later(s, reason) != NULL;
	if (!trusted)
		book_arrival(s);
	return known || take_places(s);
}

/* Was it told of this unit a short while ago? From now on, it was. */
static bool told_before(struct sessions *s, struct span ident)
{
	int64_t now = s->now.steady_ms;
	struct refusal *r = &s->refusals[s->next_refusal];
	for (size_t i = 0; i < REFUSALS; i++) {
		if (!span_is(ident, s->refusals[i].ident))
			continue;
		if (now - s->refusals[i].told_ms < REFUSED_AGAIN_MS)
			return true;
		r = &s->refusals[i];
	}
	if (r == &s->refusals[s->next_refusal])
		s->next_refusal = (s->next_refusal + 1) % REFUSALS;
	span_copy(ident, r->ident, sizeof(r->ident));
	r->told_ms = now;
	return false;
}

/* Listeners are told that this unit is not admitted, now and then. */
static void turn_away(struct sessions *s, struct span ident)
{
	char text[CODEC_IDENT_MAX + 1];
	s->talk->turned_away = true;
	if (told_before(s, ident))
		return;
	struct why why = session_why_not(s, ident);
	span_copy(ident, text, sizeof(text));
	const struct stranger stranger = {
		.head = s->frame, .ident = text, .protocol = s->talk->stream.codec->name, .why = why.text};
	events_unknown(&s->events, s->conn, &stranger, s->now);
}

struct codec_unit *session_identify(void *ctx, struct span ident)
{
	struct sessions *s = ctx;
	struct conn *conn = s->conn;
	struct session *session = sessions_find(s, ident);
	if (session != NULL && session->conn == conn) {
		use_codec(s, session, s->talk->stream.codec);
		return &session->unit;
	}
	if (!topic_ident_ok(ident) || conn_is_closed(conn))
		return NULL;
	enum counter reason = session_admission(s, ident);
	if (reason != STAT_COUNT) {
		conn_refused(conn, reason);
		if (reason == STAT_REFUSED_NOT_ADMITTED)
			turn_away(s, ident);
		return NULL;
	}
	bool known = units_find(s->units, ident) != NULL;
	bool on_line = session != NULL && session->conn != NULL && !conn_is_going(session->conn);
	bool trusted = (session != NULL && session->trusted) || known;
	bool guest = on_line && stays_elsewhere(s, session);
	reason = guest || !known ? session_share(s) : STAT_COUNT;
	if (reason != STAT_COUNT)
		return later(s, reason);
	if (guest)
		return as_guest(s, session);
	if (!on_line && !arrives(s, known, trusted))
		return NULL;
	if (session == NULL)
		session = sessions_add(s, ident);
	return session != NULL ? comes_on_line(s, session) : NULL;
}
