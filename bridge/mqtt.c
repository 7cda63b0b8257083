/* mqtt: see mqtt.h. The connection; what goes over it is in the second half. */
#include "mqtt_private.h"

#include "clock.h"
#include "log.h"
#include "window.h"

#include <errno.h>
#include <mqtt_protocol.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>

#define SUBSCRIBE_MOST 4
#define READ_BURST 64
#define BACKOFF_FIRST 0.5
#define BACKOFF_MOST 10.0

struct mqtt {
	struct ev_loop *loop;
	const struct config *config;
	struct mqtt_ops ops;
	struct outbox *outbox;
	struct stats *stats;
	char *subscribe[SUBSCRIBE_MOST], *status_topic;
	struct link *link;        /* NULL: none, or an attempt has it */
	struct mosquitto *client; /* the link's */
	struct attempt *attempt;
	ev_async attempt_ended;
	ev_io io;
	ev_timer retry, timeout, misc;
	double backoff;
	ev_tstamp away_since;
	bool connected, broken, stopping, told;
	struct window window;
	unsigned inflight;
	uint64_t by_mid[65536]; /* number of each message on its way, 0 = none */
	mosquitto_property *content[2];
};

static const struct emit_format *const formats[] = {
	[CONTENT_JSON] = &emit_json, [CONTENT_MSGPACK] = &emit_msgpack};

static void connect_later(struct mqtt *m);

/* --- the connection --- */

static void watch(struct mqtt *m)
{
	int fd = m->client != NULL && !m->broken ? mosquitto_socket(m->client) : -1;
	int events = fd < 0 ? 0 : EV_READ | (mosquitto_want_write(m->client) ? EV_WRITE : 0);
	if (ev_is_active(&m->io) && m->io.fd == fd && (m->io.events & (EV_READ | EV_WRITE)) == events)
		return;
	ev_io_stop(m->loop, &m->io);
	if (events != 0) {
		ev_io_set(&m->io, fd, events);
		ev_io_start(m->loop, &m->io);
	}
}

static void drop_client(struct mqtt *m)
{
	if (m->connected)
		m->away_since = ev_now(m->loop);
	ev_io_stop(m->loop, &m->io);
	ev_timer_stop(m->loop, &m->misc);
	ev_timer_stop(m->loop, &m->timeout);
	link_free(m->link);
	m->link = NULL;
	m->client = NULL;
	m->connected = m->broken = false;
	m->inflight = 0;
	outbox_rewind(m->outbox); /* what was on its way goes out again */
	memset(m->by_mid, 0, sizeof(m->by_mid));
	stats_set(m->stats, STAT_MQTT_INFLIGHT, 0);
}

static void lost(struct mqtt *m, const char *why)
{
	why = link_reason(m->link, why);
	if (m->connected || !m->told)
		log_warning(
			"broker %s:%d: %s; trying again", m->config->mqtt.host, (int)m->config->mqtt.port, why);
	else
		log_info("broker %s:%d: %s", m->config->mqtt.host, (int)m->config->mqtt.port, why);
	m->told = true;
	drop_client(m);
	if (!m->stopping)
		connect_later(m);
}

/* After each call of the library. */
static void after(struct mqtt *m, int rc)
{
	if (m->client == NULL)
		return;
	if (rc != MOSQ_ERR_SUCCESS || m->broken) {
		bool system = rc == MOSQ_ERR_ERRNO;
		lost(m, rc == MOSQ_ERR_SUCCESS ? "connection lost"
			: system               ? strerror(errno)
					       : mosquitto_strerror(rc));
		return;
	}
	watch(m);
}

/* What has come: a call of the library may read one packet only, and leaves EAGAIN when there are no more. */
static int read_all(struct mqtt *m)
{
	int rc = MOSQ_ERR_SUCCESS;
	errno = 0;
	for (int i = 0; i < READ_BURST && rc == MOSQ_ERR_SUCCESS && !m->broken && errno != EAGAIN; i++)
		rc = mosquitto_loop_read(m->client, 1);
	return rc;
}

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
	(void)loop;
	struct mqtt *m = io->data;
	int rc = MOSQ_ERR_SUCCESS;
	if (events & EV_READ)
		rc = read_all(m);
	if (rc == MOSQ_ERR_SUCCESS && !m->broken && (events & EV_WRITE))
		rc = mosquitto_loop_write(m->client, 1);
	after(m, rc);
}

static void on_misc(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct mqtt *m = timer->data;
	after(m, mosquitto_loop_misc(m->client));
}

static void on_attempt_ended(struct ev_loop *loop, ev_async *async, int events)
{
	(void)loop;
	(void)events;
	struct mqtt *m = async->data;
	int rc, error;
	struct link *link = m->attempt != NULL ? attempt_result(m->attempt, &rc, &error) : NULL;
	if (link == NULL)
		return;
	m->attempt = NULL;
	m->link = link;
	m->client = link->client;
	if (rc != MOSQ_ERR_SUCCESS) {
		lost(m, rc == MOSQ_ERR_ERRNO ? strerror(error) : mosquitto_strerror(rc));
		return;
	}
	ev_timer_start(m->loop, &m->misc);
	after(m, MOSQ_ERR_SUCCESS);
}

static void on_timeout(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct mqtt *m = timer->data;
	attempt_abandon(m->attempt);
	m->attempt = NULL;
	lost(m, "no answer in time");
}

/* --- what the library tells --- */

static void on_connect(struct mosquitto *client, void *ctx, int rc, int flags, const mosquitto_property *props)
{
	struct mqtt *m = ((struct link *)ctx)->mqtt;
	(void)flags;
	if (rc != 0) {
		log_error("broker %s:%d refuses: %s", m->config->mqtt.host, (int)m->config->mqtt.port,
			m->config->mqtt.version == 5 ? mosquitto_reason_string(rc)
						     : mosquitto_connack_string(rc));
		m->broken = true;
		return;
	}
	uint16_t receive_maximum = UINT16_MAX;
	mosquitto_property_read_int16(props, MQTT_PROP_RECEIVE_MAXIMUM, &receive_maximum, false);
	unsigned most = (unsigned)m->config->mqtt.inflight;
	window_open(&m->window, receive_maximum < most ? receive_maximum : most);
	mosquitto_log_callback_set(client, NULL); /* with it, the library formats a line for each message */
	m->connected = true;
	m->told = false;
	m->backoff = BACKOFF_FIRST;
	ev_timer_stop(m->loop, &m->timeout);
	stats_add(m->stats, STAT_MQTT_CONNECTS, 1);
	log_notice("connected to broker %s:%d, window %u", m->config->mqtt.host, (int)m->config->mqtt.port,
		m->window.most);
	for (size_t i = 0; i < SUBSCRIBE_MOST && m->subscribe[i] != NULL; i++)
		mosquitto_subscribe_v5(client, NULL, m->subscribe[i], 1, MQTT_SUB_OPT_RETAIN_AS_PUBLISHED,
			NULL); /* a retained command must be told from others */
	mosquitto_publish_v5(client, NULL, m->status_topic, 6, "online", 1, true, NULL);
}

static void on_disconnect(struct mosquitto *client, void *ctx, int rc, const mosquitto_property *props)
{
	struct mqtt *m = ((struct link *)ctx)->mqtt;
	(void)client;
	(void)rc;
	(void)props;
	m->broken = true; /* the socket is closed already; the caller of the library cleans up */
}

static void on_publish(
	struct mosquitto *client, void *ctx, int mid, int reason, const mosquitto_property *props)
{
	struct mqtt *m = ((struct link *)ctx)->mqtt;
	(void)client;
	(void)props;
	uint64_t seqnum = m->by_mid[mid & 0xffff];
	if (seqnum == 0)
		return;
	if (reason >= 0x80)
		log_error("the broker refuses a message: %s", mosquitto_reason_string(reason));
	m->by_mid[mid & 0xffff] = 0;
	window_acknowledged(&m->window, clock_steady_us());
	stats_set(m->stats, STAT_MQTT_INFLIGHT, --m->inflight);
	stats_add(m->stats, STAT_PUBLISHED, 1);
	outbox_done(m->outbox, seqnum);
}

static void on_message(struct mosquitto *client, void *ctx, const struct mosquitto_message *msg,
	const mosquitto_property *props)
{
	struct mqtt *m = ((struct link *)ctx)->mqtt;
	char *response = NULL;
	void *correlation = NULL;
	uint16_t correlation_len = 0;
	uint32_t expiry = 0;
	(void)client;
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
}

void mqtt_set_callbacks(struct mosquitto *client)
{
	mosquitto_connect_v5_callback_set(client, on_connect);
	mosquitto_disconnect_v5_callback_set(client, on_disconnect);
	mosquitto_publish_v5_callback_set(client, on_publish);
	mosquitto_message_v5_callback_set(client, on_message);
}

/* --- connecting --- */

static void on_retry(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct mqtt *m = timer->data;
	m->attempt = attempt_start(m, m->config, m->status_topic, m->loop, &m->attempt_ended);
	if (m->attempt == NULL) {
		lost(m, "cannot begin a connection");
		return;
	}
	ev_timer_set(&m->timeout, (double)m->config->mqtt.connect_timeout / 1000.0, 0.);
	ev_timer_start(m->loop, &m->timeout);
}

static void connect_later(struct mqtt *m)
{
	double jitter = 0.8 + 0.4 * ((double)random() / (double)RAND_MAX);
	ev_timer_set(&m->retry, m->backoff * jitter, 0.);
	ev_timer_start(m->loop, &m->retry);
	m->backoff = m->backoff * 2 < BACKOFF_MOST ? m->backoff * 2 : BACKOFF_MOST;
}

struct mqtt *mqtt_open(struct ev_loop *loop, const struct config *config, const struct mqtt_ops *ops,
	const char *const *subscribe, const char *status_topic, struct outbox *outbox, struct stats *stats)
{
	struct mqtt *m = calloc(1, sizeof(*m));
	if (m == NULL)
		return NULL;
	mosquitto_lib_init();
	m->loop = loop;
	m->config = config;
	m->ops = *ops;
	m->outbox = outbox;
	m->stats = stats;
	m->backoff = BACKOFF_FIRST;
	m->away_since = ev_now(loop);
	for (size_t i = 0; i < SUBSCRIBE_MOST && subscribe[i] != NULL; i++)
		m->subscribe[i] = strdup(subscribe[i]);
	m->status_topic = strdup(status_topic);
	if (config->mqtt.version == 5) {
		for (size_t i = 0; i < 2; i++)
			mosquitto_property_add_string(
				&m->content[i], MQTT_PROP_CONTENT_TYPE, formats[i]->content_type);
	}
	ev_async_init(&m->attempt_ended, on_attempt_ended);
	ev_init(&m->io, on_io);
	ev_init(&m->retry, on_retry);
	ev_init(&m->timeout, on_timeout);
	ev_timer_init(&m->misc, on_misc, 1., 1.);
	m->attempt_ended.data = m->io.data = m->retry.data = m->timeout.data = m->misc.data = m;
	ev_async_start(loop, &m->attempt_ended);
	return m;
}

void mqtt_start(struct mqtt *m)
{
	ev_timer_set(&m->retry, 0., 0.);
	ev_timer_start(m->loop, &m->retry);
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

/* False: the connection is no longer good. */
static bool publish(struct mqtt *m, const struct outbox_message *msg)
{
	char topic[256];
	int mid = 0;
	size_t n = msg->topic.len < sizeof(topic) ? msg->topic.len : sizeof(topic) - 1;
	memcpy(topic, msg->topic.ptr, n);
	topic[n] = '\0';
	mosquitto_property *own = with_correlation(m, msg);
	int rc = mosquitto_publish_v5(m->client, &mid, topic, (int)msg->payload.len, msg->payload.ptr, 1,
		msg->retain, own ? own : m->content[msg->content]);
	mosquitto_property_free_all(&own);
	if (rc == MOSQ_ERR_PAYLOAD_SIZE || rc == MOSQ_ERR_OVERSIZE_PACKET || rc == MOSQ_ERR_INVAL ||
		rc == MOSQ_ERR_MALFORMED_UTF8) {
		log_error("message %llu for %s can never be published and is dropped: %s",
			(unsigned long long)msg->seqnum, topic, mosquitto_strerror(rc));
		outbox_done(m->outbox, msg->seqnum);
		return true;
	}
	if (rc != MOSQ_ERR_SUCCESS) {
		after(m, rc);
		return false;
	}
	m->by_mid[mid & 0xffff] = msg->seqnum;
	stats_set(m->stats, STAT_MQTT_INFLIGHT, ++m->inflight);
	return true;
}

static bool can_publish(struct mqtt *m)
{
	return m->connected && !m->broken && window_room(&m->window, m->inflight);
}

/* The library writes each message by itself; this makes full segments of those of one turn. */
static void cork(struct mqtt *m, int on)
{
	int fd = m->client != NULL ? mosquitto_socket(m->client) : -1;
	if (fd >= 0)
		setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
}

void mqtt_kick(struct mqtt *m)
{
	struct outbox_message msg;
	bool corked = false, good = true;
	while (good && can_publish(m) && outbox_next(m->outbox, &msg)) {
		if (!corked)
			cork(m, 1);
		corked = true;
		good = publish(m, &msg);
	}
	if (corked)
		cork(m, 0);
	if (good && m->connected)
		after(m, MOSQ_ERR_SUCCESS);
}

bool mqtt_hurries(const struct mqtt *m)
{
	return mqtt_connected(m) && window_tight(&m->window);
}

void mqtt_publish_now(struct mqtt *m, const char *topic, struct span payload, bool retain)
{
	if (!m->connected || m->broken)
		return;
	after(m, mosquitto_publish_v5(m->client, NULL, topic, (int)payload.len, payload.ptr, 0, retain,
			 m->content[CONTENT_JSON]));
}

double mqtt_away_seconds(const struct mqtt *m)
{
	return mqtt_connected(m) ? 0 : ev_now(m->loop) - m->away_since;
}

bool mqtt_connected(const struct mqtt *m)
{
	return m->connected && !m->broken;
}

void mqtt_stop(struct mqtt *m)
{
	m->stopping = true;
	ev_timer_stop(m->loop, &m->retry);
	attempt_abandon(m->attempt);
	m->attempt = NULL;
	if (mqtt_connected(m)) {
		mosquitto_publish_v5(m->client, NULL, m->status_topic, 7, "offline", 1, true, NULL);
		mosquitto_disconnect_v5(m->client, 0, NULL);
		for (int i = 0; i < 100 && mosquitto_want_write(m->client); i++)
			if (mosquitto_loop_write(m->client, 1) != MOSQ_ERR_SUCCESS)
				break;
	}
	drop_client(m);
}

void mqtt_free(struct mqtt *m)
{
	mqtt_stop(m);
	ev_async_stop(m->loop, &m->attempt_ended);
	for (size_t i = 0; i < 2; i++)
		mosquitto_property_free_all(&m->content[i]);
	for (size_t i = 0; i < SUBSCRIBE_MOST; i++)
		free(m->subscribe[i]);
	free(m->status_topic);
	free(m);
	mosquitto_lib_cleanup();
}
