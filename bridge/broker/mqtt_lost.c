// SPDX-License-Identifier: MIT
/* mqtt_lost: a connection, or the try to make one, has ended: which host is next and when, and what the log says of it.
 * Uses: bridge/base.
 * Not: connect, drop the connection.
 *
 * A cause is told once for each host, until a connection has proved to be a good one. Where a plain port does not answer, it is asked in a
 * thread whether it speaks TLS, and the line waits for the answer. */
#include "bridge/broker/mqtt_private.h"

#include "bridge/base/backoff.h"
#include "bridge/base/errand.h"
#include "bridge/broker/port.h"

#include <stdlib.h>

#define ASK_SECONDS 1.5
#define ASK_AGAIN 600. /* seconds until a port may be asked again */
#define SWALLOWED_SECONDS                                                                                      \
	60. /* for which a host that did not even answer the attempt is left out, where there are others */
#define OUTAGE_SECONDS 5. /* as long as there was a connection so lately, it is left out, too */

struct asked {
	struct mqtt *mqtt;
	struct errand *errand;
	union address peer;
	bool tls;
	void (*next)(struct mqtt *m);
};

bool lost_open(struct mqtt *m)
{
	const struct config *c = m->config;
	if (!hosts_read(c->mqtt.host, (int)c->mqtt.port, &m->hosts))
		return false;
	for (unsigned i = 0; i < m->hosts.count; i++)
		dialect_open(&m->places[i].dialect, (int)c->mqtt.version);
	m->tells = true;
	if (m->hosts.count > 1)
		m->stats->broker = m->host;
	return true;
}

/* --- the next host --- */

static bool is_left_out(const struct mqtt *m, unsigned at)
{
	const struct place *p = &m->places[at];
	return p->swallowed_until != 0 &&
	       (ev_now(m->loop) < p->swallowed_until || ev_now(m->loop) - m->away_since < OUTAGE_SECONDS);
}

/* How many hosts a round has. */
static unsigned round_of(const struct mqtt *m)
{
	unsigned n = 0;
	for (unsigned i = 0; i < m->hosts.count; i++)
		n += !is_left_out(m, i);
	return n > 0 ? n : m->hosts.count;
}

static void go_on(struct mqtt *m)
{
	unsigned count = m->hosts.count;
	for (unsigned i = 1; i <= count; i++) {
		unsigned next = (m->at + i) % count;
		if (is_left_out(m, next))
			continue;
		m->at = next;
		return;
	}
	m->at = (m->at + 1) % count;
}

/* A host was tried in vain. In a list the next one is tried at once, until all were. */
static void try_next(struct mqtt *m, struct life *life)
{
	unsigned round = round_of(m);
	m->tried_away |= life->ending == ENDING_NOBODY;
	m->tried++;
	go_on(m);
	if (m->tried < round) {
		m->wait = PATIENCE_HURRY;
		return;
	}
	life->ending = m->tried_away ? ENDING_NOBODY : ENDING_REFUSED;
	m->wait = patience_after(&m->patience, life);
	m->tried = 0;
	m->tried_away = false;
}

static void set_wait(struct mqtt *m, struct life *life)
{
	bool good = patience_is_good(&m->patience, life->subscribed, life->seconds);
	life->hurry = m->hurry;
	if (life->ending == ENDING_LIVED || m->hurry) {
		m->wait = patience_after(&m->patience, life);
		m->tried = 0;
		m->tried_away = false;
		if (life->ending == ENDING_LIVED && !good && !m->hurry)
			go_on(m);
	} else {
		try_next(m, life);
	}
	m->wait = backoff_jitter(m->wait);
	m->hurry = false;
}

/* --- why it ended --- */

/* Was the connection closed for a reason that has nothing to do with this bridge? */
static bool is_thrown_out(const struct mqtt *m, const struct mqtt_failure *f)
{
	return f->closed && *m->why == '\0' && m->alone == 0 && session_answered(m) &&
	       m->stuck[STAGE_SUBSCRIBE] == 0 && m->stuck[STAGE_STATUS] == 0;
}

static struct life life_of(const struct mqtt *m, const struct mqtt_failure *f)
{
	ev_tstamp now = ev_now(m->loop);
	if (!m->connected)
		return (struct life){
			.ending = m->answered_connect && !m->busy ? ENDING_REFUSED : ENDING_NOBODY,
			.seconds = now - m->away_since,
		};
	return (struct life){
		.ending = ENDING_LIVED,
		.subscribed = m->subscribed_at != 0,
		.seconds = m->subscribed_at != 0 ? now - m->subscribed_at : 0,
		.search = m->alone != 0 && m->suspects.row < SUSPECT_ROW,
		.closed = is_thrown_out(m, f),
		.twin = m->taken_over,
	};
}

/* Is it worth asking what the port speaks? Only where somebody listens, and has said nothing at all. */
static bool asks(const struct mqtt *m, const struct mqtt_failure *f)
{
	const struct place *p = mqtt_place(m);
	bool known = p->port != PORT_UNKNOWN && ev_now(m->loop) < p->port_until;
	return !known && !m->connected && !m->answered_connect && !m->config->mqtt.tls &&
	       (f->closed || f->late) && m->link != NULL && m->link->peer.any.sa_family != 0 &&
	       m->link->head_len == 0;
}

/* The connection that stood has ended: at which step, and with which message? */
static void note_connection(struct mqtt *m, const struct mqtt_failure *f)
{
	if (m->taken_over) /* neither a step nor a message is the reason */
		return;
	session_broke(m, f->closed);
	if (mqtt_publish_broke(m))
		m->patience.brief = 0;
}

void lost_note(struct mqtt *m, const struct mqtt_failure *f)
{
	struct place *p = &m->places[m->at];
	struct loss *l = &m->loss;
	bool reached = m->link != NULL && m->link->reached;
	struct life life = life_of(m, f);
	if (reached || !f->late)
		p->swallowed_until = 0;
	else
		p->swallowed_until = ev_now(m->loop) + SWALLOWED_SECONDS;
	if (!m->connected && !m->answered_connect && reached)
		session_unanswered(m, f->closed);
	l->at = m->at;
	l->quiet = m->quiet;
	l->lived = m->connected;
	l->error = m->taken_over;
	l->asks = !m->quiet && asks(m, f);
	if (l->asks)
		l->peer = m->link->peer;
	if (m->connected)
		note_connection(m, f);
	set_wait(m, &life);
	unsigned next = m->at;
	m->at = l->at;
	mqtt_cure(m, f, l->text, sizeof(l->text));
	m->at = next;
}

/* --- telling --- */

/* False: it is remembered already, but perhaps with other bytes of the peer. */
static bool remember_line(struct place *p, const char *text)
{
	const char *end = strstr(text, MQTT_IT_SAYS);
	uint64_t sum = sum_bytes(SUM_OF_NOTHING,
		span_of((const uint8_t *)text, end != NULL ? (size_t)(end - text) : strlen(text)));
	for (unsigned i = 0; i < TOLD_LINES; i++)
		if (p->told[i] == sum)
			return false;
	p->told[p->told_next++ % TOLD_LINES] = sum;
	return true;
}

static void tell(struct mqtt *m)
{
	char host[HOST_TEXT_MAX];
	struct loss *l = &m->loss;
	host_text(&m->hosts.item[l->at], host);
	bool news = !l->quiet && remember_line(&m->places[l->at], l->text);
	/* a broker that was restarted twice was restarted twice */
	news |= l->lived && !l->quiet && !l->error && m->patience.brief <= 2 && m->stuck[STAGE_SUBSCRIBE] == 0;
	if (!news)
		log_debug("broker %s: %s", host, l->text);
	else
		log_line(l->error ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, "broker %s: %s; trying again", host,
			l->text);
	m->tells |= news;
}

static void ask(void *arg)
{
	struct asked *a = arg;
	a->tls = port_speaks_tls(&a->peer, ASK_SECONDS);
}

static void answered(void *arg)
{
	struct asked *a = arg;
	struct asked was = *a;
	struct mqtt *m = was.mqtt;
	struct place *p = &m->places[m->loss.at];
	p->port = was.tls ? PORT_SPEAKS_TLS : PORT_SPEAKS_NO_TLS;
	p->port_until = ev_now(m->loop) + ASK_AGAIN;
	m->asked = NULL;
	free(a);
	if (p->port == PORT_SPEAKS_TLS) {
		dialect_open(&p->dialect, (int)m->config->mqtt.version); /* it was not because of the version */
		snprintf(
			m->loss.text, sizeof(m->loss.text), "%s; %s", port_of_tls()->what, port_of_tls()->cure);
	}
	tell(m);
	was.next(m);
}

void lost_tell(struct mqtt *m, void (*next)(struct mqtt *m))
{
	static const struct errand_work work = {ask, answered, free};
	struct asked *a = m->loss.asks ? calloc(1, sizeof(*a)) : NULL;
	if (a != NULL) {
		*a = (struct asked){.mqtt = m, .peer = m->loss.peer, .next = next};
		a->errand = errand_start(m->loop, &work, a);
		m->asked = a->errand != NULL ? a : NULL;
		if (m->asked != NULL)
			return;
		free(a);
	}
	tell(m);
	next(m);
}

void lost_stop(struct mqtt *m)
{
	if (m->asked != NULL)
		errand_abandon(m->asked->errand);
	m->asked = NULL;
}

static void tell_connected(struct mqtt *m)
{
	if (m->window_given)
		log_notice("connected to broker %s, window %u", m->host, m->window.most);
	else
		log_notice("connected to broker %s", m->host);
	m->tells = false;
	m->told_current = true;
}

void lost_begin(struct mqtt *m)
{
	host_text(mqtt_host(m), m->host);
	m->places[m->at].port = PORT_UNKNOWN;
	m->subscribed_at = 0;
	m->told_current = false;
	if (m->tells && m->stuck[STAGE_SUBSCRIBE] == 0 && m->stuck[STAGE_STATUS] == 0)
		tell_connected(m);
}

void lost_tick(struct mqtt *m)
{
	if (!mqtt_connected(m) || !session_answered(m))
		return;
	if (m->subscribed_at == 0)
		m->subscribed_at = ev_now(m->loop);
	bool good = patience_is_good(&m->patience, true, ev_now(m->loop) - m->subscribed_at);
	if (!m->told_current && (m->tells || good))
		tell_connected(m);
	for (unsigned i = 0; good && i < m->hosts.count; i++)
		memset(m->places[i].told, 0, sizeof(m->places[i].told));
}
