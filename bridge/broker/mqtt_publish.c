/* mqtt_publish: messages of the outbox to the broker, and what it answers.
 * May use: what mqtt_private.h names. May not: connect.
 *
 * A message is done when the broker took it, never before. What becomes of the others: reason.h for an answer, suspect.h for
 * a closed connection; and what is larger than the broker's maximum is not sent at all. */
#include "bridge/broker/mqtt_private.h"

#include "bridge/base/clock.h"
#include "bridge/base/guard.h"
#include "bridge/base/log.h"
#include "bridge/base/reason.h"

#include <mqtt_protocol.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>

#define OTHERS_FIRST 1 /* seconds */
#define SOON 10.0      /* a close so long after a message was sent may be because of it */
#define SILENCE 5      /* times ack_timeout, when the broker answers nothing at all */

static const struct emit_format *const formats[] = {
	[CONTENT_JSON] = &emit_json, [CONTENT_MSGPACK] = &emit_msgpack};

void publish_begin(struct mqtt *m)
{
	m->last_mid = m->oldest = 0;
	m->answered = m->taken = m->alone = 0;
	m->draining = false;
	m->inflight = 0;
	memset(m->flights, 0, sizeof(m->flights));
	stats_set(m->stats, STAT_MQTT_INFLIGHT, 0);
}

/* --- on their way --- */

static uint16_t next_mid(const struct mqtt *m)
{
	return m->last_mid == UINT16_MAX ? 1 : (uint16_t)(m->last_mid + 1);
}

/* Of those on their way, the one sent first. */
static void find_oldest(struct mqtt *m)
{
	if (m->inflight == 0 || m->flights[m->oldest].seqnum != 0)
		return;
	while (m->flights[m->oldest].seqnum == 0)
		m->oldest++;
	m->oldest_since = ev_now(m->loop);
	m->answered_before = m->answered;
}

/* The library took the packet identifier that was expected, or another one. */
static void sent(struct mqtt *m, uint16_t expected, int mid)
{
	m->last_mid = (uint16_t)mid;
	m->sent_at = ev_now(m->loop);
	if (expected == m->last_mid || m->flights[expected].seqnum == 0)
		return;
	m->flights[m->last_mid] = m->flights[expected];
	m->flights[expected].seqnum = 0;
	m->oldest = m->oldest == expected ? m->last_mid : m->oldest;
}

/* Before it is sent: at QoS 0 the library says that it is gone before it returns. */
static void takes_off(struct mqtt *m, uint64_t seqnum, uint64_t order)
{
	uint16_t mid = next_mid(m);
	m->flights[mid] = (struct flight){seqnum, order};
	if (m->inflight++ == 0) {
		m->oldest = mid;
		m->oldest_since = ev_now(m->loop);
		m->answered_before = m->answered;
	}
}

static void lands(struct mqtt *m, uint16_t mid)
{
	if (m->flights[mid].seqnum == 0)
		return;
	m->flights[mid].seqnum = 0;
	m->inflight--;
	m->alone = 0;
}

/* --- what is not taken --- */

static void note(char *topic, size_t size, const char *text)
{
	snprintf(topic, size, "%s", log_bytes(span_text(text)).text);
}

/* The topic of a message that is on its way or was; for telling only. */
static const char *topic_of(struct mqtt *m, uint64_t seqnum)
{
	return outbox_topic(m->outbox, seqnum, m->topic, sizeof(m->topic)) ? m->topic : "(unknown)";
}

static void set_aside(struct mqtt *m, uint64_t seqnum, uint64_t order, const char *topic, int reason)
{
	m->complaint.aside++;
	m->complaint.aside_code = reason;
	note(m->complaint.aside_topic, sizeof(m->complaint.aside_topic), topic);
	stats_add(m->stats, STAT_ASIDE, 1);
	outbox_set_aside(m->outbox, seqnum, order, reason, (int64_t)(ev_now(m->loop) * 1000));
}

static void refused(struct mqtt *m, uint64_t seqnum, uint64_t order, int reason)
{
	struct complaint *c = &m->complaint;
	if (c->refused_code != reason || ev_now(m->loop) >= c->refused_from) /* it is told next */
		note(c->refused_topic, sizeof(c->refused_topic), topic_of(m, seqnum));
	c->refused_code = reason;
	outbox_refused(m->outbox, seqnum, order, reason >= REASON_CLOSES);
}

void publish_answered(struct mqtt *m, int mid, int reason)
{
	struct flight f = m->flights[mid & 0xffff];
	const struct reason *r = reason == 0 ? NULL : reason_find(reason);
	if (f.seqnum == 0)
		return;
	lands(m, (uint16_t)mid);
	m->answered++;
	if (f.seqnum == MQTT_STATUS) {
		m->status_answered = true;
		m->stuck[STAGE_STATUS] = 0;
		return;
	}
	bool taken = r == NULL || r->verdict == REASON_TAKEN;
	window_acknowledged(&m->window, clock_steady_us());
	stats_set(m->stats, STAT_MQTT_INFLIGHT, m->inflight);
	suspects_answered(&m->suspects, f.seqnum, taken);
	if (taken) {
		m->taken++;
		stats_add(m->stats, STAT_PUBLISHED, 1);
		outbox_taken(m->outbox, f.seqnum, f.order);
		return;
	}
	stats_add(m->stats, STAT_NOT_TAKEN, 1);
	if (r->verdict == REASON_NEVER)
		set_aside(m, f.seqnum, f.order, topic_of(m, f.seqnum), reason);
	else
		refused(m, f.seqnum, f.order, reason);
}

/* --- publishing --- */

/* Properties of a message that has correlation data; NULL when the shared ones will do. */
static mosquitto_property *with_correlation(struct mqtt *m, const struct outbox_message *msg)
{
	mosquitto_property *own = NULL;
	if (msg->correlation.len == 0 || m->config->mqtt.version != 5)
		return NULL;
	/* not mosquitto_property_copy_all: of a copied list only the first one is sent */
	mosquitto_property_add_string(&own, MQTT_PROP_CONTENT_TYPE, formats[msg->content]->content_type);
	mosquitto_property_add_binary(
		&own, MQTT_PROP_CORRELATION_DATA, msg->correlation.ptr, (uint16_t)msg->correlation.len);
	return own;
}

static size_t varint_size(size_t n)
{
	return n < 128 ? 1 : n < 16384 ? 2 : n < 2097152 ? 3 : 4;
}

/* Of the whole packet. The library's own check is a byte or two too lax, and what it finds too late it answers with an abort. */
static size_t packet_size(
	const struct mqtt *m, size_t topic, size_t payload, bool qos, enum content content, size_t correlation)
{
	size_t properties = 0, body = 2 + topic + payload + (qos ? 2 : 0);
	if (m->config->mqtt.version == 5) {
		properties =
			3 + strlen(formats[content]->content_type) + (correlation > 0 ? 3 + correlation : 0);
		body += varint_size(properties) + properties;
	}
	return 1 + varint_size(body) + body;
}

static bool fits(const struct mqtt *m, size_t packet)
{
	return packet <= 268435455 && (m->packet_most == 0 || packet <= m->packet_most);
}

struct publication {
	struct mosquitto *client;
	int mid;
	const char *topic;
	struct span payload;
	int qos;
	bool retain;
	const mosquitto_property *properties;
};

static int call_publish(void *ctx)
{
	struct publication *p = ctx;
	return mosquitto_publish_v5(p->client, &p->mid, p->topic, (int)p->payload.len, p->payload.ptr, p->qos,
		p->retain, p->properties);
}

static int guarded_publish(struct mqtt *m, struct publication *p)
{
	char what[100];
	int rc = MOSQ_ERR_SUCCESS;
	if (!guard_call(call_publish, p, &rc, what, sizeof(what)))
		mqtt_give_up(m, "libmosquitto gave up: %s", what);
	return rc;
}

/* The code for what can never be sent; 0: it can. */
static int never(struct mqtt *m, const struct outbox_message *msg)
{
	if (msg->topic.len == 0 || msg->topic.len >= sizeof(m->topic) ||
		memchr(msg->topic.ptr, '\0', msg->topic.len) != NULL)
		return REASON_TOPIC_INVALID;
	size_t packet = packet_size(m, msg->topic.len, msg->payload.len, m->config->mqtt.qos == 1, msg->content,
		msg->correlation.len);
	return fits(m, packet) ? 0 : REASON_TOO_LARGE;
}

static int reason_of(int rc)
{
	switch (rc) {
	case MOSQ_ERR_PAYLOAD_SIZE:
	case MOSQ_ERR_OVERSIZE_PACKET:
		return REASON_TOO_LARGE;
	case MOSQ_ERR_INVAL:
	case MOSQ_ERR_MALFORMED_UTF8:
		return REASON_TOPIC_INVALID;
	default:
		return 0;
	}
}

/* False: the connection is no longer good. */
static bool publish(struct mqtt *m, const struct outbox_message *msg)
{
	struct publication p = {.client = m->client, .payload = msg->payload, .topic = m->topic};
	int reason = never(m, msg), rc = MOSQ_ERR_SUCCESS;
	size_t n = msg->topic.len < sizeof(m->topic) ? msg->topic.len : sizeof(m->topic) - 1;
	memcpy(m->topic, msg->topic.ptr, n);
	m->topic[n] = '\0';
	uint64_t seqnum = msg->seqnum, order = msg->order;
	uint16_t mid = next_mid(m);
	if (reason == 0) {
		mosquitto_property *own = with_correlation(m, msg);
		p.qos = (int)m->config->mqtt.qos;
		p.retain = msg->retain && m->retain;
		p.properties = own ? own : m->content[msg->content];
		takes_off(m, seqnum, order);
		rc = guarded_publish(m, &p);
		mosquitto_property_free_all(&own);
		reason = reason_of(rc);
		if (rc == MOSQ_ERR_SUCCESS && !m->broken) {
			sent(m, mid, p.mid);
			stats_set(m->stats, STAT_MQTT_INFLIGHT, m->inflight);
			return true;
		}
		if (reason != 0)
			lands(m, mid);
	}
	if (reason != 0) {
		suspects_answered(&m->suspects, seqnum, false);
		set_aside(m, seqnum, order, m->topic, reason);
		return true;
	}
	mqtt_after(m, rc);
	return false;
}

static bool can_publish(struct mqtt *m)
{
	bool gated = m->stuck[STAGE_SUBSCRIBE] > 0 || m->stuck[STAGE_STATUS] > 0 || m->suspects.open > 0;
	return m->connected && !m->broken && m->alone == 0 && (!m->draining || m->inflight == 0) &&
	       (m->qos1 || m->config->mqtt.qos == 0) && (!gated || session_answered(m)) &&
	       window_room(&m->window, m->inflight);
}

/* A suspect goes when nothing else is on its way, and others had their time on this connection: it may be the end of it. */
static bool may_go(struct mqtt *m, uint64_t seqnum)
{
	if (!suspects_alone(&m->suspects, seqnum))
		return true;
	bool early = ev_now(m->loop) - m->connected_at < OTHERS_FIRST;
	m->draining = !early && m->inflight > 0;
	if (early || m->draining) {
		outbox_postpone(m->outbox, early ? OTHERS_FIRST * 250 : 0);
		return false;
	}
	m->alone = seqnum;
	return true;
}

/* The library writes each message by itself; this makes full segments of those of one turn. */
static void cork(struct mqtt *m, int on)
{
	int fd = m->client != NULL ? mosquitto_socket(m->client) : -1;
	if (fd >= 0)
		setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
}

/* Does the library still wait for the broker's answer to an older message under the next packet identifier? */
static bool mid_is_taken(struct mqtt *m)
{
	return m->inflight > 0 && m->flights[next_mid(m)].seqnum != 0;
}

void mqtt_kick(struct mqtt *m)
{
	struct outbox_message msg;
	bool corked = false, good = true;
	if (m->window.full) /* what was acknowledged in this turn makes room */
		mqtt_take(m);
	while (good && can_publish(m) && !mid_is_taken(m) && outbox_next(m->outbox, &msg)) {
		if (m->suspects.open > 0 && !may_go(m, msg.seqnum))
			continue;
		if (!corked)
			cork(m, 1);
		corked = true;
		good = publish(m, &msg);
	}
	if (corked)
		cork(m, 0);
	if (good && m->connected && mid_is_taken(m))
		mqtt_give_up(m, "the broker forgot to acknowledge a message");
	if (good && m->client != NULL)
		mqtt_after(m, MOSQ_ERR_SUCCESS);
	outbox_settle(m->outbox);
	if (m->connected && outbox_more(m->outbox) && !ev_is_active(&m->more)) {
		ev_timer_set(&m->more, 0.002, 0.);
		ev_timer_start(m->loop, &m->more);
	}
}

bool mqtt_hurries(const struct mqtt *m)
{
	return mqtt_connected(m) && window_tight(&m->window);
}

void mqtt_publish_now(struct mqtt *m, const char *topic, struct span payload, bool retain)
{
	if (!m->connected || m->broken)
		return;
	if (!fits(m, packet_size(m, strlen(topic), payload.len, false, CONTENT_JSON, 0))) {
		if (!m->told_size)
			log_warning("the broker takes packets of %u bytes at most: %s is left out; "
				    "raise the broker's maximum packet size",
				m->packet_most, topic);
		m->told_size = true;
		return;
	}
	struct publication p = {m->client, 0, topic, payload, 0, retain && m->retain, m->content[CONTENT_JSON]};
	int rc = guarded_publish(m, &p);
	if (p.mid != 0)
		m->last_mid = (uint16_t)p.mid;
	mqtt_after(m, reason_of(rc) != 0 ? MOSQ_ERR_SUCCESS : rc);
}

bool publish_status(struct mqtt *m, const char *text)
{
	struct span payload = span_text(text);
	if (!fits(m, packet_size(m, strlen(m->status_topic), payload.len, true, CONTENT_JSON, 0)))
		return false;
	struct publication p = {m->client, 0, m->status_topic, payload, m->qos1 ? 1 : 0, m->retain, NULL};
	if (mid_is_taken(m))
		return false;
	uint16_t mid = next_mid(m);
	takes_off(m, MQTT_STATUS, 0);
	if (guarded_publish(m, &p) != MOSQ_ERR_SUCCESS) {
		lands(m, mid);
		return false;
	}
	sent(m, mid, p.mid);
	return true;
}

/* --- the clock, and the end --- */

void publish_tick(struct mqtt *m)
{
	find_oldest(m);
	tell_tick(m);
	if (!mqtt_connected(m) || m->inflight == 0)
		return;
	double limit = (double)m->config->mqtt.ack_timeout / 1000.0;
	bool others = m->answered > m->answered_before || (m->alone != 0 && m->answered > 0);
	if (ev_now(m->loop) - m->oldest_since < (others ? limit : limit * SILENCE))
		return;
	uint64_t number = m->flights[m->oldest].seqnum;
	const char *topic = number == MQTT_STATUS ? m->status_topic : topic_of(m, number);
	mqtt_give_up(m, "no answer to a message for %s in %.0f s%s", log_bytes(span_text(topic)).text,
		ev_now(m->loop) - m->oldest_since, others ? ", but to others" : "");
	m->silent = others;
}

/* Those on their way but for `online`; into `out`, which has room for all. */
static size_t on_their_way(const struct mqtt *m, uint64_t *out, uint64_t *order)
{
	size_t n = 0;
	for (size_t i = 0; i < 65536 && n < m->inflight; i++) {
		if (m->flights[i].seqnum == 0 || m->flights[i].seqnum == MQTT_STATUS)
			continue;
		out[n++] = m->flights[i].seqnum;
		*order = m->flights[i].order;
	}
	return n;
}

/* At QoS 0 nothing is on its way. */
void publish_broke(struct mqtt *m)
{
	uint64_t order = 0, which = 0;
	uint64_t *numbers = m->inflight > 0 ? malloc(m->inflight * sizeof(*numbers)) : NULL;
	if (numbers == NULL || m->config->mqtt.qos == 0) {
		free(numbers);
		return;
	}
	size_t count = on_their_way(m, numbers, &order);
	bool sure = m->answered > 0 && ev_now(m->loop) - m->sent_at < SOON;
	if (m->silent) { /* that one, whatever was sent behind it */
		numbers[0] = m->flights[m->oldest].seqnum;
		order = m->flights[m->oldest].order;
		count = numbers[0] != MQTT_STATUS;
		sure = true;
	}
	enum suspect_verdict verdict = suspects_broke(&m->suspects, numbers, count, sure, &which);
	int reason = m->silent ? REASON_SILENT : REASON_CLOSES;
	if (verdict == SUSPECT_FOUND)
		set_aside(m, which, order, topic_of(m, which), reason);
	if (verdict == SUSPECT_WAITS)
		refused(m, which, order, reason);
	free(numbers);
}
