// SPDX-License-Identifier: MIT
/* mqtt_session: the first steps of a new connection (subscribe, publish `online`, publish messages), and the library's callbacks.
 * Uses: bridge/base.
 * Not: open sockets, read the outbox.
 *
 * All three steps are taken at once, unless the broker has closed a connection at one of the first two: then each step waits for the answer
 * to the step before. A step that fails three times is left out for a while. So a step that the broker does not accept never holds the
 * messages up. */
#include "bridge/broker/mqtt_private.h"

#include "bridge/base/guard.h"
#include "bridge/base/reason.h"

#include <stdlib.h>

#define WITHOUT_SECONDS 600.
#define WILL_SECONDS 3600.
#define DIALECT_SECONDS 3600.
#define HUMBLE_TRIES 2 /* so many connections in a row are closed at the subscription */

/* --- the stages --- */

static bool is_subscribed(const struct mqtt *m)
{
	return routes_settled(m) || mqtt_left_out(m, STAGE_SUBSCRIBE);
}

bool session_answered(const struct mqtt *m)
{
	return is_subscribed(m) && (m->status_answered || mqtt_left_out(m, STAGE_STATUS));
}

static bool one_by_one(const struct mqtt *m)
{
	return m->stuck[STAGE_SUBSCRIBE] > 0 || m->stuck[STAGE_STATUS] > 0 || m->suspects.open > 0;
}

/* Publishes `online` when the step before is answered, or need not be. */
static void next_stage(struct mqtt *m)
{
	if (!mqtt_connected(m) || m->status_sent || mqtt_left_out(m, STAGE_STATUS) ||
		(one_by_one(m) && !is_subscribed(m)))
		return;
	m->status_sent = true;
	if (!mqtt_publish_status(m, "online")) /* larger than the broker's packets, or the connection broke */
		m->status_answered = true;
}

void session_tick(struct mqtt *m)
{
	if (!mqtt_connected(m))
		return;
	routes_tick(m);
	next_stage(m);
}

/* The broker closes the connection at each subscription: perhaps it cannot keep a session now. */
static void humble(struct mqtt *m)
{
	const struct mqtt_route *r = m->routes.asked != NULL ? m->routes.asked : m->routes.due;
	m->humble_until = ev_now(m->loop) + WITHOUT_SECONDS;
	m->hurry = true;
	stats_add(m->stats, STAT_NOT_SUBSCRIBED, 1);
	log_error("the broker closes the connection at the subscription to %s; it is made at QoS 0 for %.0f "
		  "minutes: what is published there while the bridge is away does not arrive; see the "
		  "broker's log",
		r != NULL ? r->filter : "commands", WITHOUT_SECONDS / 60);
}

void session_broke(struct mqtt *m, bool closed)
{
	static const char *const what[] = {
		[STAGE_SUBSCRIBE] = "subscriptions", [STAGE_STATUS] = "its own status"};
	enum stage stage = STAGE_MESSAGES;
	if (!m->status_answered && m->status_sent)
		stage = STAGE_STATUS;
	if (!is_subscribed(m))
		stage = STAGE_SUBSCRIBE;
	if (stage == STAGE_MESSAGES)
		return;
	m->stuck[stage]++;
	if (stage == STAGE_SUBSCRIBE && closed && m->qos1 && m->stuck[stage] == HUMBLE_TRIES &&
		!mqtt_is_humble(m))
		humble(m);
	if (m->stuck[stage] < MQTT_STAGE_TRIES)
		return;
	m->stuck[stage] = 1;
	m->without_until[stage] = ev_now(m->loop) + WITHOUT_SECONDS;
	if (stage == STAGE_SUBSCRIBE)
		stats_add(m->stats, STAT_NOT_SUBSCRIBED, 1);
	log_error("the broker closes the connection at %s of the bridge; it goes on without for %.0f minutes; "
		  "see the broker's log, and what it allows %s",
		what[stage], WITHOUT_SECONDS / 60, mqtt_user(m));
}

/* --- the callbacks of the library --- */

/* Logs what it means for the user that the broker retains nothing, or accepts QoS 0 only. */
static void log_limits(struct mqtt *m)
{
	if (!m->retain && !m->told_retain)
		log_warning("the broker keeps no retained messages: the bridge works without; who subscribes "
			    "later sees a unit only when it reports");
	m->told_retain = !m->retain;
	if (!m->qos1 && m->config->mqtt.qos == 1)
		log_error(
			"the broker takes QoS 0 only: messages wait in the outbox; let the broker take QoS 1, "
			"or set [mqtt] qos = 0, which sends them without any guarantee");
	if (m->config->mqtt.qos == 0)
		log_warning(
			"[mqtt] qos = 0: a message is done when it is written to the connection; what is on "
			"its way when the connection breaks is lost");
}

static void read_limits(struct mqtt *m, const mosquitto_property *props)
{
	uint8_t retain = 1, qos = 2;
	uint16_t receive_maximum = UINT16_MAX;
	unsigned most = (unsigned)m->config->mqtt.inflight;
	m->packet_most = 0;
	mosquitto_property_read_byte(props, MQTT_PROP_RETAIN_AVAILABLE, &retain, false);
	mosquitto_property_read_byte(props, MQTT_PROP_MAXIMUM_QOS, &qos, false);
	mosquitto_property_read_int32(props, MQTT_PROP_MAXIMUM_PACKET_SIZE, &m->packet_most, false);
	m->window_given = mosquitto_property_read_int16(
				  props, MQTT_PROP_RECEIVE_MAXIMUM, &receive_maximum, false) != NULL;
	/* under MQTT 5 the properties say it; under 3.1.1 what the will may not be, no message may be */
	unsigned cannot = mqtt_version(m) == 5 ? m->cannot : m->will;
	m->retain = retain != 0 && !(cannot & WILL_NO_RETAIN);
	m->qos1 = qos > 0 && !(cannot & WILL_NO_QOS);
	if (receive_maximum == 0)
		mqtt_give_up(m, "the broker allows no message at all (receive maximum 0)");
	window_open(&m->window, receive_maximum < most ? receive_maximum : most);
}

/* The codes of MQTT 3.1.1 as those of MQTT 5. */
static int connack_code(const struct mqtt *m, int rc)
{
	static const int codes[] = {0, 0x84, 0x85, 0x88, 0x86, 0x87};
	return mqtt_version(m) != 5 && rc > 0 && rc < (int)(sizeof(codes) / sizeof(codes[0])) ? codes[rc] : rc;
}

/* What the broker cannot do, by the code of its CONNACK or DISCONNECT; 0: the code means something else. */
static unsigned inability(int code)
{
	return code == REASON_NO_RETAIN ? WILL_NO_RETAIN : code == REASON_NO_QOS ? WILL_NO_QOS : 0;
}

static void not_accepted(struct mqtt *m, int code)
{
	char why[400];
	unsigned before = m->will;
	struct place *p = &m->places[m->at];
	m->busy = code == REASON_UNAVAILABLE || code == REASON_BUSY || code == REASON_STOPPING;
	if (code == REASON_OTHER_VERSION) {
		m->hurry = dialect_refused(&p->dialect);
		p->dialect_until = ev_now(m->loop) + DIALECT_SECONDS;
	} else {
		dialect_answered(&p->dialect);
	}
	mqtt_refusal(m, code, why, sizeof(why));
	m->will |= inability(code);
	if (m->will != before) {
		m->will_sure = true;
		m->will_until = ev_now(m->loop) + WILL_SECONDS;
		m->hurry = true;
	}
	mqtt_give_up(m, "the broker refuses: %s", why);
}

/* Under MQTT 3.1.1 a broker that does not accept the will closes the connection without a reason. So lesser wills are tried, and one that
 * works counts only when the full will fails again, because a broker that restarts closes connections, too. False: the connection is
 * given up, and the full will is tried again. */
static bool settle_will(struct mqtt *m)
{
	m->unanswered = 0;
	if (m->will == 0)
		m->will_works = 0;
	if (m->will == 0 || m->will_sure)
		return true;
	m->will_works = m->will;
	m->will = 0;
	m->hurry = true;
	mqtt_give_up(m, "the broker answers when the will is not retained or has QoS 0; asking once more");
	return false;
}

/* Under MQTT 5 a broker of 3.1.1 does the same. */
static void note_version(struct mqtt *m, bool closed)
{
	struct place *p = &m->places[m->at];
	bool before = p->dialect.sure, older = link_speaks_3(m->link);
	if (older)
		m->hurry |= dialect_refused(&p->dialect);
	else if (closed)
		m->hurry |= dialect_unanswered(&p->dialect);
	if (before || !p->dialect.sure)
		return;
	p->dialect_until = ev_now(m->loop) + DIALECT_SECONDS;
	m->quiet = m->hurry = true;
	if (!m->told_dialect)
		log_warning("broker %s speaks MQTT 3.1.1 only: set [mqtt] version = 4 to save the attempt",
			host_text(mqtt_host(m), m->host));
	m->told_dialect = true;
}

void session_unanswered(struct mqtt *m, bool closed)
{
	int version = mqtt_version(m);
	if (link_may_be_mqtt(m->link))
		note_version(m, closed);
	if (version == 5 || !closed)
		return;
	m->unanswered++;
	if (m->will_works != 0 && !m->will_sure) {
		m->will = m->will_works;
		m->will_sure = m->hurry = true;
		m->will_until = ev_now(m->loop) + WILL_SECONDS;
	} else if (!m->will_sure && m->unanswered >= 2) {
		m->will = (m->unanswered - 1) % 4;
	}
}

/* False: the connection is given up, and MQTT 5 is tried once more. */
static bool settle_version(struct mqtt *m)
{
	if (dialect_answered(&m->places[m->at].dialect))
		return true;
	m->quiet = m->hurry = true;
	mqtt_give_up(m, "the broker answers under MQTT 3.1.1; MQTT 5 is tried once more");
	return false;
}

static void begin(
	struct mqtt *m, struct mosquitto *client, bool session_present, const mosquitto_property *props)
{
	read_limits(m, props);
	mosquitto_log_callback_set(client, NULL); /* with it, the library formats a line for each message */
	m->connected = true;
	m->connected_at = ev_now(m->loop);
	ev_timer_stop(m->loop, &m->timeout);
	stats_add(m->stats, STAT_MQTT_CONNECTS, 1);
	log_limits(m);
	m->status_sent = m->status_answered = m->status_topic == NULL;
	resume_connected(m, session_present);
	routes_subscribe(m);
	next_stage(m);
}

static void on_connect(struct mosquitto *client, void *ctx, int rc, int flags, const mosquitto_property *props)
{
	struct mqtt *m = ((struct link *)ctx)->owner;
	void *guard = guard_leave();
	m->unparsed = 0;
	if (m->connected) {
		mqtt_give_up(m, "the broker answers the CONNECT twice");
	} else if (rc != 0) {
		m->answered_connect = true;
		not_accepted(m, connack_code(m, rc));
	} else {
		m->answered_connect = true;
		if (settle_version(m) && settle_will(m))
			begin(m, client, flags & 1, props);
	}
	guard_return(guard);
}

static void on_disconnect(struct mosquitto *client, void *ctx, int rc, const mosquitto_property *props)
{
	struct mqtt *m = ((struct link *)ctx)->owner;
	char why[400];
	(void)client;
	(void)props;
	if (rc >= 0x80) { /* the code of a DISCONNECT; the library's own codes are smaller */
		m->cannot |= inability(rc);
		m->will |= m->cannot;
		m->will_sure = m->will_sure || m->cannot != 0;
		m->will_until = ev_now(m->loop) + WILL_SECONDS;
		m->taken_over = rc == REASON_TAKEN_OVER && m->connected;
		mqtt_refusal(m, rc, why, sizeof(why));
		if (m->taken_over)
			mqtt_twin(m, why, sizeof(why));
		mqtt_give_up(m, m->taken_over ? "%s" : "the broker closed the connection: %s", why);
	}
	/* the socket is closed already; mqtt.c drops the connection when the library returns */
	m->broken = true;
}

static void on_subscribe(struct mosquitto *client, void *ctx, int mid, int count, const int *granted,
	const mosquitto_property *props)
{
	struct mqtt *m = ((struct link *)ctx)->owner;
	void *guard = guard_leave();
	(void)client;
	(void)props;
	m->unparsed = 0;
	if (count >= 1)
		routes_answered(m, mid, granted[0]);
	if (routes_settled(m))
		m->stuck[STAGE_SUBSCRIBE] = 0;
	next_stage(m);
	guard_return(guard);
}

static void on_unsubscribe(struct mosquitto *client, void *ctx, int mid, const mosquitto_property *props)
{
	struct mqtt *m = ((struct link *)ctx)->owner;
	void *guard = guard_leave();
	(void)client;
	(void)props;
	m->unparsed = 0;
	resume_unsubscribed(m, mid);
	guard_return(guard);
}

static void on_publish(
	struct mosquitto *client, void *ctx, int mid, int reason, const mosquitto_property *props)
{
	struct mqtt *m = ((struct link *)ctx)->owner;
	void *guard = guard_leave();
	(void)client;
	(void)props;
	m->unparsed = 0;
	mqtt_publish_answered(m, mid, reason);
	guard_return(guard);
}

static void on_message(struct mosquitto *client, void *ctx, const struct mosquitto_message *msg,
	const mosquitto_property *props)
{
	struct mqtt *m = ((struct link *)ctx)->owner;
	void *guard = guard_leave();
	char *response = NULL;
	void *correlation = NULL;
	uint16_t correlation_len = 0;
	uint32_t expiry = 0;
	(void)client;
	m->unparsed = 0;
	mosquitto_property_read_string(props, MQTT_PROP_RESPONSE_TOPIC, &response, false);
	mosquitto_property_read_binary(
		props, MQTT_PROP_CORRELATION_DATA, &correlation, &correlation_len, false);
	bool expires =
		mosquitto_property_read_int32(props, MQTT_PROP_MESSAGE_EXPIRY_INTERVAL, &expiry, false) != NULL;
	const struct route_message message = {
		.topic = span_text(msg->topic),
		.payload = span_of(msg->payload, (size_t)msg->payloadlen),
		.retained = msg->retain,
		.response_topic = response ? span_text(response) : span_of(NULL, 0),
		.correlation = span_of(correlation, correlation_len),
		.expiry_s = expires ? (int64_t)expiry : -1,
		.mid = (uint16_t)(msg->qos > 0 ? msg->mid : 0),
	};
	m->received |= msg->qos > 0;
	if (!resume_again(m, msg->qos > 0 ? msg->mid : 0, &message))
		routes_deliver(m, msg->topic, &message);
	free(response);
	free(correlation);
	guard_return(guard);
}

void session_choose(struct mqtt *m)
{
	struct place *p = &m->places[m->at];
	if (p->dialect.sure && ev_now(m->loop) > p->dialect_until)
		dialect_again(&p->dialect);
	for (unsigned i = 0; i < m->hosts.count; i++) /* nodes of a cluster mostly speak the same */
		if (m->places[i].dialect.sure)
			dialect_expect(&p->dialect);
}

void session_prepare(void *owner, struct mosquitto *client)
{
	struct mqtt *m = owner;
	if (m->will != 0 && m->will_sure && ev_now(m->loop) > m->will_until) {
		m->will = m->will_works = m->cannot = 0;
		m->will_sure = false;
	}
	if (m->status_topic != NULL)
		mosquitto_will_set(client, m->status_topic, 7, "offline", m->will & WILL_NO_QOS ? 0 : 1,
			!(m->will & WILL_NO_RETAIN));
	mosquitto_connect_v5_callback_set(client, on_connect);
	mosquitto_disconnect_v5_callback_set(client, on_disconnect);
	mosquitto_subscribe_v5_callback_set(client, on_subscribe);
	mosquitto_unsubscribe_v5_callback_set(client, on_unsubscribe);
	mosquitto_publish_v5_callback_set(client, on_publish);
	mosquitto_message_v5_callback_set(client, on_message);
}
