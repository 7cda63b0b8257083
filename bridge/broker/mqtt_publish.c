// SPDX-License-Identifier: MIT
/* mqtt_publish: messages of the outbox to the broker, and how it answers them.
 * Uses: bridge/base.
 * Not: connect.
 *
 * A message is done when the broker has accepted it, never before. A message that the broker refuses is treated as reason.h says; one at
 * which it closes the connection, as suspect.h says. A message that is larger than the broker's maximum is set aside unsent. */
#include "bridge/broker/mqtt_private.h"

#include "bridge/base/clock.h"
#include "bridge/base/guard.h"
#include "bridge/base/reason.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>

#define OTHERS_FIRST 1 /* seconds of a connection before a suspect is sent on it */
#define SOON 10.0      /* seconds after a message was sent within which a break may be because of it */
#define SILENCE 5      /* how many times ack_timeout a broker may answer nothing at all */

static const struct emit_format *const formats[] = {
	[CONTENT_JSON] = &emit_json, [CONTENT_MSGPACK] = &emit_msgpack};

bool mqtt_publish_open(struct mqtt *m)
{
	for (size_t i = 0; i < 2; i++)
		if (mosquitto_property_add_string(&m->content[i], MQTT_PROP_CONTENT_TYPE,
			    formats[i]->content_type) != MOSQ_ERR_SUCCESS)
			return false;
	return true;
}

void mqtt_publish_close(struct mqtt *m)
{
	for (size_t i = 0; i < 2; i++)
		mosquitto_property_free_all(&m->content[i]);
	suspects_clear(&m->suspects);
}

void mqtt_publish_begin(struct mqtt *m)
{
	m->last_mid = m->oldest = 0;
	m->answered = m->taken = m->alone = 0;
	m->draining = false;
	m->inflight = 0;
	memset(m->flights, 0, sizeof(m->flights));
	stats_set(m->stats, STAT_MQTT_INFLIGHT, 0);
}

/* --- in flight: sent and not acknowledged --- */

static void update_oldest(struct mqtt *m)
{
	if (m->inflight == 0 || m->flights[m->oldest].seqnum != 0)
		return;
	while (m->flights[m->oldest].seqnum == 0)
		m->oldest++;
	m->oldest_since = ev_now(m->loop);
	m->answered_before = m->answered;
}

/* The message is sent. The library used the packet identifier that was expected, or another one. */
static void note_sent(struct mqtt *m, uint16_t expected, int mid)
{
	m->last_mid = (uint16_t)mid;
	m->sent_at = ev_now(m->loop);
	resume_sent(m, mid);
	if (expected == m->last_mid || m->flights[expected].seqnum == 0)
		return;
	m->flights[m->last_mid] = m->flights[expected];
	m->flights[expected].seqnum = 0;
	m->oldest = m->oldest == expected ? m->last_mid : m->oldest;
}

/* Before the library is called: at QoS 0 it reports the message as sent before it returns. */
static void take_off(struct mqtt *m, uint64_t seqnum, uint64_t order)
{
	uint16_t mid = mqtt_next_mid(m);
	m->flights[mid] = (struct flight){seqnum, order};
	if (m->inflight++ == 0) {
		m->oldest = mid;
		m->oldest_since = ev_now(m->loop);
		m->answered_before = m->answered;
	}
}

static void land(struct mqtt *m, uint16_t mid)
{
	if (m->flights[mid].seqnum == 0)
		return;
	m->flights[mid].seqnum = 0;
	m->inflight--;
	m->alone = 0;
}

/* --- refused --- */

static void note(char *topic, size_t size, const char *text)
{
	snprintf(topic, size, "%s", log_bytes(span_text(text)).text);
}

/* For the log: the topic of a message that is in flight, or was. */
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
	outbox_set_aside(m->outbox, seqnum, order, reason, clock_unix_ms(ev_now(m->loop)));
}

static void refused(struct mqtt *m, uint64_t seqnum, uint64_t order, int reason)
{
	struct complaint *c = &m->complaint;
	if (c->refused_code != reason || ev_now(m->loop) >= c->refused_from) /* the next line names this one */
		note(c->refused_topic, sizeof(c->refused_topic), topic_of(m, seqnum));
	c->refused_code = reason;
	outbox_refused(m->outbox, seqnum, order, reason >= REASON_CLOSES);
}

void mqtt_publish_answered(struct mqtt *m, int mid, int reason)
{
	struct flight f = m->flights[mid & 0xffff];
	const struct reason *r = reason == 0 ? NULL : reason_find(reason);
	if (f.seqnum == 0)
		return;
	land(m, (uint16_t)mid);
	m->answered++;
	resume_answered(m, mid);
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

/* The properties of a message with correlation data; NULL when it has none, and m->content will do. */
static mosquitto_property *with_correlation(struct mqtt *m, const struct outbox_message *msg)
{
	mosquitto_property *own = NULL;
	if (msg->correlation.len == 0 || mqtt_version(m) != 5)
		return NULL;
	/* not mosquitto_property_copy_all: libmosquitto sends only the first property of a copied list */
	mosquitto_property_add_string(&own, MQTT_PROP_CONTENT_TYPE, formats[msg->content]->content_type);
	mosquitto_property_add_binary(
		&own, MQTT_PROP_CORRELATION_DATA, msg->correlation.ptr, (uint16_t)msg->correlation.len);
	return own;
}

/* The properties of any other message. */
static const mosquitto_property *content_of(const struct mqtt *m, enum content content)
{
	return mqtt_version(m) == 5 ? m->content[content] : NULL;
}

static size_t varint_size(size_t n)
{
	return n < 128 ? 1 : n < 16384 ? 2 : n < 2097152 ? 3 : 4;
}

/* Bytes of the whole packet. The library's own check lets a packet pass that is a byte or two too large, and then the library aborts. */
static size_t packet_size(
	const struct mqtt *m, size_t topic, size_t payload, bool qos, enum content content, size_t correlation)
{
	size_t properties = 0, body = 2 + topic + payload + (qos ? 2 : 0);
	if (mqtt_version(m) == 5) {
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

/* Why the message can never be sent, as a reason code; 0: it can. */
static int fault_of(struct mqtt *m, const struct outbox_message *msg)
{
	if (msg->topic.len == 0 || msg->topic.len >= sizeof(m->topic) ||
		memchr(msg->topic.ptr, '\0', msg->topic.len) != NULL)
		return REASON_TOPIC_INVALID;
	size_t packet = packet_size(m, msg->topic.len, msg->payload.len, m->config->mqtt.qos == 1, msg->content,
		msg->correlation.len);
	return fits(m, packet) ? 0 : REASON_TOO_LARGE;
}

/* The same for a message that the library refuses; 0: the connection is the reason, not the message. */
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

/* False: the connection is no longer good; *returned is what the library returned. */
static bool publish(struct mqtt *m, const struct outbox_message *msg, int *returned)
{
	struct publication p = {.client = m->client, .payload = msg->payload, .topic = m->topic};
	int reason = fault_of(m, msg), rc = MOSQ_ERR_SUCCESS;
	size_t n = msg->topic.len < sizeof(m->topic) ? msg->topic.len : sizeof(m->topic) - 1;
	memcpy(m->topic, msg->topic.ptr, n);
	m->topic[n] = '\0';
	uint64_t seqnum = msg->seqnum, order = msg->order;
	enum mqtt_pass pass = m->gate != NULL && msg->retain ? m->gate(m->gate_ctx, msg) : MQTT_PASS_RETAINED;
	if (pass == MQTT_PASS_NEVER) {
		suspects_answered(&m->suspects, seqnum, true);
		m->alone = 0;
		outbox_taken(m->outbox, seqnum, order);
		return true;
	}
	uint16_t mid = mqtt_next_mid(m);
	if (reason == 0) {
		mosquitto_property *own = with_correlation(m, msg);
		p.qos = (int)m->config->mqtt.qos;
		p.retain = msg->retain && m->retain && pass == MQTT_PASS_RETAINED;
		p.properties = own ? own : content_of(m, msg->content);
		take_off(m, seqnum, order);
		rc = guarded_publish(m, &p);
		mosquitto_property_free_all(&own);
		reason = reason_of(rc);
		if (rc == MOSQ_ERR_SUCCESS && !m->broken) {
			note_sent(m, mid, p.mid);
			stats_set(m->stats, STAT_MQTT_INFLIGHT, m->inflight);
			return true;
		}
		if (reason != 0)
			land(m, mid);
	}
	if (reason != 0) {
		suspects_answered(&m->suspects, seqnum, false);
		set_aside(m, seqnum, order, m->topic, reason);
		return true;
	}
	*returned = rc;
	return false;
}

static bool can_publish(const struct mqtt *m, bool settled)
{
	bool gated = m->stuck[STAGE_SUBSCRIBE] > 0 || m->stuck[STAGE_STATUS] > 0 || m->suspects.open > 0;
	return mqtt_connected(m) && m->alone == 0 && (!m->draining || m->inflight == 0) &&
	       (m->qos1 || m->config->mqtt.qos == 0) && (!gated || settled) && !mqtt_mid_is_taken(m);
}

/* Lets a message pass, unless it is a suspect whose turn has not come: that one is postponed, false. A suspect is sent when nothing else
 * is in flight and the other messages had some time on this connection, because it may end the connection. */
static bool admit(struct mqtt *m, uint64_t seqnum)
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

/* The library writes each message on its own; while corked, the system joins the messages of one turn into full segments. */
static void cork(struct mqtt *m, int on)
{
	int fd = m->client != NULL ? mosquitto_socket(m->client) : -1;
	if (fd >= 0)
		setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
}

int mqtt_publish_waiting(struct mqtt *m, bool settled)
{
	struct outbox_message msg;
	bool good = true;
	int rc = MOSQ_ERR_SUCCESS;
	if (m->pause != NULL && m->pause(m->gate_ctx))
		return rc;
	while (good && can_publish(m, settled)) {
		window_update(&m->window, m->inflight);
		if (m->window.full || !outbox_next(m->outbox, &msg))
			break;
		if (m->suspects.open > 0 && !admit(m, msg.seqnum))
			continue;
		good = publish(m, &msg, &rc);
	}
	return rc;
}

int mqtt_write(struct mqtt *m)
{
	if (!mosquitto_want_write(m->client))
		return MOSQ_ERR_SUCCESS;
	cork(m, 1);
	int rc = mosquitto_loop_write(m->client, 1);
	cork(m, 0);
	return rc;
}

int mqtt_publish_at_once(struct mqtt *m, const char *topic, struct span payload, bool retain)
{
	if (!fits(m, packet_size(m, strlen(topic), payload.len, false, CONTENT_JSON, 0))) {
		if (!m->told_size)
			log_warning("the broker takes packets of %u bytes at most: %s is left out; "
				    "raise the broker's maximum packet size",
				m->packet_most, topic);
		m->told_size = true;
		return MOSQ_ERR_SUCCESS;
	}
	struct publication p = {
		m->client, 0, topic, payload, 0, retain && m->retain, content_of(m, CONTENT_JSON)};
	int rc = guarded_publish(m, &p);
	if (p.mid != 0)
		m->last_mid = (uint16_t)p.mid;
	return reason_of(rc) != 0 ? MOSQ_ERR_SUCCESS : rc;
}

bool mqtt_publish_status(struct mqtt *m, const char *text)
{
	struct span payload = span_text(text);
	if (!fits(m, packet_size(m, strlen(m->status_topic), payload.len, true, CONTENT_JSON, 0)))
		return false;
	struct publication p = {m->client, 0, m->status_topic, payload, m->qos1 ? 1 : 0, m->retain, NULL};
	if (mqtt_mid_is_taken(m))
		return false;
	uint16_t mid = mqtt_next_mid(m);
	take_off(m, MQTT_STATUS, 0);
	if (guarded_publish(m, &p) != MOSQ_ERR_SUCCESS) {
		land(m, mid);
		return false;
	}
	note_sent(m, mid, p.mid);
	return true;
}

/* --- overdue, and broken connections --- */

void mqtt_publish_tick(struct mqtt *m)
{
	update_oldest(m);
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

/* Writes the numbers of the messages in flight, without `online`, to `out`, which has room for all. */
static size_t list_flights(const struct mqtt *m, uint64_t *out, uint64_t *order)
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

/* At QoS 0 nothing is ever in flight. */
bool mqtt_publish_broke(struct mqtt *m)
{
	uint64_t order = 0, which = 0;
	uint64_t *numbers = m->inflight > 0 ? malloc(m->inflight * sizeof(*numbers)) : NULL;
	if (numbers == NULL || m->config->mqtt.qos == 0) {
		free(numbers);
		return false;
	}
	size_t count = list_flights(m, numbers, &order);
	bool sure = m->answered > 0 && ev_now(m->loop) - m->sent_at < SOON;
	if (m->silent) { /* the message without an answer is the reason, whatever was sent after it */
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
	return verdict == SUSPECT_FOUND;
}
