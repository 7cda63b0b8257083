/* mqtt_session: what the broker says of a new connection, and its first steps: subscribe, say `online`, publish.
 * May use: what mqtt_private.h names. May not: open sockets, read the outbox.
 *
 * All three go at once, unless the broker closed the connection at one of the first two before: then each waits for the answer
 * to the one before, and what fails three times is left out for a while. So nothing that the broker does not like keeps the
 * messages back. */
#include "bridge/broker/mqtt_private.h"

#include "bridge/base/guard.h"
#include "bridge/base/log.h"
#include "bridge/base/reason.h"

#include <mqtt_protocol.h>
#include <stdlib.h>

#define WITHOUT_SECONDS 600.
#define AGAIN_SECONDS 300.
#define WILL_SECONDS 3600.

const char *mqtt_user(const struct mqtt *m)
{
	return *m->config->mqtt.username ? m->config->mqtt.username : "the bridge";
}

static bool left_out(const struct mqtt *m, enum stage stage)
{
	return ev_now(m->loop) < m->without_until[stage];
}

/* --- subscriptions --- */

static void ask(struct mqtt *m, struct subscription *s)
{
	int rc = mosquitto_subscribe_v5(m->client, &s->mid, s->topic, m->qos1 ? 1 : 0,
		MQTT_SUB_OPT_RETAIN_AS_PUBLISHED, NULL); /* a retained command must be told from others */
	s->asked_at = ev_now(m->loop);
	if (rc == MOSQ_ERR_SUCCESS)
		m->last_mid = (uint16_t)s->mid;
}

static void not_granted(struct mqtt *m, struct subscription *s, int code)
{
	char why[80];
	reason_text(code, why, sizeof(why));
	log_warning("the broker refuses the subscription to %s: %s; allow %s to read it in the broker's ACL; "
		    "without it, %s",
		s->topic, why, mqtt_user(m),
		s == &m->subscription[0] && m->config->commands.enabled ? "no command arrives"
									: "Home Assistant's start is missed");
	stats_add(m->stats, STAT_NOT_SUBSCRIBED, 1);
	s->refused = code;
	s->answered = true;
	s->again = ev_now(m->loop) + AGAIN_SECONDS;
}

unsigned session_refused(const struct mqtt *m)
{
	unsigned n = 0;
	for (size_t i = 0; i < m->subscriptions; i++)
		n += m->subscription[i].refused != 0;
	return n;
}

static bool all_answered(const struct mqtt *m)
{
	for (size_t i = 0; i < m->subscriptions; i++)
		if (!m->subscription[i].answered)
			return false;
	return true;
}

static void on_subscribe(struct mosquitto *client, void *ctx, int mid, int count, const int *granted,
	const mosquitto_property *props)
{
	struct mqtt *m = ((struct link *)ctx)->mqtt;
	void *guard = guard_leave();
	(void)client;
	(void)props;
	m->unparsed = 0;
	for (size_t i = 0; i < m->subscriptions; i++) {
		struct subscription *s = &m->subscription[i];
		if (s->mid != mid || mid == 0 || count < 1)
			continue;
		s->mid = 0;
		if (granted[0] >= 0x80) {
			not_granted(m, s, granted[0]);
			continue;
		}
		if (s->refused != 0)
			log_notice("the broker grants the subscription to %s now", s->topic);
		s->refused = 0;
		s->answered = true;
	}
	if (all_answered(m))
		m->stuck[STAGE_SUBSCRIBE] = 0;
	session_next_stage(m);
	guard_return(guard);
}

void session_tick(struct mqtt *m)
{
	double limit = (double)m->config->mqtt.ack_timeout / 1000.0;
	if (!mqtt_connected(m))
		return;
	for (size_t i = 0; i < m->subscriptions; i++) {
		struct subscription *s = &m->subscription[i];
		if (!s->answered && s->mid != 0 && ev_now(m->loop) - s->asked_at > limit)
			not_granted(m, s, REASON_SILENT);
		else if (!s->answered && s->mid == 0 &&
			 !left_out(m, STAGE_SUBSCRIBE)) /* it was left out for a while */
			ask(m, s);
		else if (s->refused != 0 && ev_now(m->loop) >= s->again) {
			s->again = ev_now(m->loop) + AGAIN_SECONDS;
			ask(m, s);
		}
	}
	session_next_stage(m);
}

/* --- the stages --- */

bool session_answered(const struct mqtt *m)
{
	return (all_answered(m) || left_out(m, STAGE_SUBSCRIBE)) &&
	       (m->status_answered || left_out(m, STAGE_STATUS));
}

static bool one_by_one(const struct mqtt *m)
{
	return m->stuck[STAGE_SUBSCRIBE] > 0 || m->stuck[STAGE_STATUS] > 0 || m->suspects.open > 0;
}

void session_next_stage(struct mqtt *m)
{
	bool subscribed = all_answered(m) || left_out(m, STAGE_SUBSCRIBE);
	if (!m->connected || m->broken || m->status_sent || left_out(m, STAGE_STATUS) ||
		(one_by_one(m) && !subscribed))
		return;
	m->status_sent = true;
	if (!publish_status(m, "online"))
		m->status_answered =
			true; /* it does not fit into the broker's packets, or the connection is gone */
}

void session_broke(struct mqtt *m)
{
	static const char *const what[] = {
		[STAGE_SUBSCRIBE] = "subscriptions", [STAGE_STATUS] = "its own status"};
	enum stage stage = STAGE_MESSAGES;
	if (!m->status_answered && m->status_sent)
		stage = STAGE_STATUS;
	if (!all_answered(m) && !left_out(m, STAGE_SUBSCRIBE))
		stage = STAGE_SUBSCRIBE;
	if (stage == STAGE_MESSAGES || ++m->stuck[stage] < MQTT_STAGE_TRIES)
		return;
	m->stuck[stage] = 1;
	m->without_until[stage] = ev_now(m->loop) + WITHOUT_SECONDS;
	if (stage == STAGE_SUBSCRIBE)
		stats_add(m->stats, STAT_NOT_SUBSCRIBED, 1);
	log_error("the broker closes the connection at %s of the bridge; it goes on without for %.0f minutes; "
		  "see the broker's log, and what it allows %s",
		what[stage], WITHOUT_SECONDS / 60, mqtt_user(m));
}

/* --- what the library tells --- */

/* What a broker that keeps nothing, or takes QoS 0 only, means for the user. */
static void tell_limits(struct mqtt *m)
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
	mosquitto_property_read_int16(props, MQTT_PROP_RECEIVE_MAXIMUM, &receive_maximum, false);
	/* MQTT 5 says it in properties; 3.1.1 has none: what the will may not be, no message may */
	unsigned cannot = m->config->mqtt.version == 5 ? m->cannot : m->will;
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
	bool old = m->config->mqtt.version != 5;
	return old && rc > 0 && rc < (int)(sizeof(codes) / sizeof(codes[0])) ? codes[rc] : rc;
}

/* What the broker cannot, by a CONNACK or a DISCONNECT; 0: it says nothing of that. */
static unsigned inability(int code)
{
	return code == REASON_NO_RETAIN ? WILL_NO_RETAIN : code == REASON_NO_QOS ? WILL_NO_QOS : 0;
}

static void not_accepted(struct mqtt *m, int code)
{
	char why[80], cure[200];
	unsigned before = m->will;
	reason_text(code, why, sizeof(why));
	reason_cure(reason_find(code)->connect_cure, mqtt_user(m), "", cure, sizeof(cure));
	m->will |= inability(code);
	if (m->will != before) {
		m->will_sure = true;
		m->will_until = ev_now(m->loop) + WILL_SECONDS;
		m->hurry = true;
	}
	mqtt_give_up(m, "the broker refuses: %s%s%s", why, *cure ? "; " : "", cure);
}

/* Under MQTT 3.1.1 a broker that does not like the will closes the connection without a word. So others are tried; and what works
 * only counts when the full one fails again: a broker that restarts closes connections, too. False: it is tried again. */
static bool will_is_settled(struct mqtt *m)
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

void session_unanswered(struct mqtt *m)
{
	if (m->config->mqtt.version == 5)
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

static void on_connect(struct mosquitto *client, void *ctx, int rc, int flags, const mosquitto_property *props)
{
	struct mqtt *m = ((struct link *)ctx)->mqtt;
	void *guard = guard_leave();
	(void)flags;
	m->unparsed = 0;
	if (m->connected) {
		mqtt_give_up(m, "the broker answers the CONNECT twice");
	} else if (rc != 0) {
		m->answered_connect = true;
		not_accepted(m, connack_code(m, rc));
	} else if (m->answered_connect = true, will_is_settled(m)) {
		read_limits(m, props);
		mosquitto_log_callback_set(
			client, NULL); /* with it, the library formats a line for each message */
		m->connected = true;
		m->connected_at = ev_now(m->loop);
		ev_timer_stop(m->loop, &m->timeout);
		stats_add(m->stats, STAT_MQTT_CONNECTS, 1);
		log_notice("connected to broker %s:%d, window %u", m->config->mqtt.host,
			(int)m->config->mqtt.port, m->window.most);
		tell_limits(m);
		for (size_t i = 0; i < m->subscriptions && !left_out(m, STAGE_SUBSCRIBE); i++)
			ask(m, &m->subscription[i]);
		session_next_stage(m);
	}
	guard_return(guard);
}

static void on_disconnect(struct mosquitto *client, void *ctx, int rc, const mosquitto_property *props)
{
	struct mqtt *m = ((struct link *)ctx)->mqtt;
	char why[80], cure[200];
	(void)client;
	(void)props;
	if (rc >= 0x80) { /* of a DISCONNECT; the library's own are below */
		m->cannot |= inability(rc);
		m->will |= m->cannot;
		m->will_sure = m->will_sure || m->cannot != 0;
		m->will_until = ev_now(m->loop) + WILL_SECONDS;
		reason_text(rc, why, sizeof(why));
		reason_cure(reason_find(rc)->connect_cure, mqtt_user(m), "", cure, sizeof(cure));
		mqtt_give_up(m, "the broker closed the connection: %s%s%s", why, *cure ? "; " : "", cure);
	}
	m->broken = true; /* the socket is closed already; the caller of the library cleans up */
}

static void on_publish(
	struct mosquitto *client, void *ctx, int mid, int reason, const mosquitto_property *props)
{
	struct mqtt *m = ((struct link *)ctx)->mqtt;
	void *guard = guard_leave();
	(void)client;
	(void)props;
	m->unparsed = 0;
	publish_answered(m, mid, reason);
	guard_return(guard);
}

static void on_message(struct mosquitto *client, void *ctx, const struct mosquitto_message *msg,
	const mosquitto_property *props)
{
	struct mqtt *m = ((struct link *)ctx)->mqtt;
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
	struct mqtt_message message = {
		.topic = span_text(msg->topic),
		.payload = span_of(msg->payload, (size_t)msg->payloadlen),
		.retain = msg->retain,
		.response_topic = response ? span_text(response) : span_of(NULL, 0),
		.correlation = span_of(correlation, correlation_len),
		.expiry_s = expires ? (int64_t)expiry : -1,
	};
	m->ops.message(m->ops.ctx, &message);
	free(response);
	free(correlation);
	guard_return(guard);
}

void mqtt_set_callbacks(struct mosquitto *client)
{
	mosquitto_connect_v5_callback_set(client, on_connect);
	mosquitto_disconnect_v5_callback_set(client, on_disconnect);
	mosquitto_subscribe_v5_callback_set(client, on_subscribe);
	mosquitto_publish_v5_callback_set(client, on_publish);
	mosquitto_message_v5_callback_set(client, on_message);
}
