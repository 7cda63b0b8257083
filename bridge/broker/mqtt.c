/* mqtt: see mqtt.h. The connection; what goes over it is in mqtt_session.c and mqtt_publish.c. */
#include "bridge/broker/mqtt_private.h"

#include "bridge/base/guard.h"
#include "bridge/base/log.h"

#include <errno.h>
#include <mqtt_protocol.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#define READ_BURST 64
#define BACKOFF_FIRST 0.5
#define BACKOFF_PROGRESS 2.0 /* at most, while each connection gets something done */
#define BACKOFF_AWAY 10.0    /* while nobody answers */
#define BACKOFF_MOST 30.0    /* while the broker answers, and nothing comes of it */
#define SETTLED 5.0          /* a connection that lived so long is a good one */

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
	ev_timer_stop(m->loop, &m->timeout);
	ev_timer_stop(m->loop, &m->more);
	link_free(m->link);
	m->link = NULL;
	m->client = NULL;
	m->connected = m->broken = m->silent = m->answered_connect = false;
	m->status_sent = m->status_answered = false;
	m->why[0] = '\0';
	m->unparsed = 0;
	for (size_t i = 0; i < m->subscriptions; i++) {
		m->subscription[i].answered = false;
		m->subscription[i].mid = 0;
	}
	publish_begin(m);
	outbox_rewind(m->outbox); /* what was on its way goes out again */
}

/* How long to wait before the next try grows, unless the connection was a good one. */
static void grow_backoff(struct mqtt *m)
{
	bool settled = m->connected && session_answered(m) && ev_now(m->loop) - m->connected_at >= SETTLED;
	bool progress =
		m->taken > 0 || (m->suspects.row < SUSPECT_ROW && m->suspects.open > 0 && m->answered > 0);
	double most = progress ? BACKOFF_PROGRESS : m->answered_connect ? BACKOFF_MOST : BACKOFF_AWAY;
	if (settled || m->hurry)
		m->backoff = BACKOFF_FIRST;
	m->hurry = false;
	m->wait = m->backoff < most ? m->backoff : most;
	m->backoff = m->backoff * 2 < BACKOFF_MOST ? m->backoff * 2 : BACKOFF_MOST;
}

static void lost(struct mqtt *m, const char *why)
{
	char said[sizeof(m->told_why)];
	snprintf(said, sizeof(said), "%s", *m->why ? m->why : link_reason(m->link, why));
	bool news = m->connected || strcmp(said, m->told_why) != 0;
	snprintf(m->told_why, sizeof(m->told_why), "%s", said);
	if (m->connected) {
		session_broke(m);
		publish_broke(m);
	}
	grow_backoff(m);
	if (news)
		log_warning("broker %s:%d: %s; trying again", m->config->mqtt.host, (int)m->config->mqtt.port,
			said);
	else
		log_info("broker %s:%d: %s", m->config->mqtt.host, (int)m->config->mqtt.port, said);
	drop_client(m);
	if (!m->stopping)
		connect_later(m);
}

void mqtt_give_up(struct mqtt *m, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	if (!m->broken)
		vsnprintf(m->why, sizeof(m->why), format, args);
	va_end(args);
	m->broken = true;
}

/* What the library returned, in words. */
static const char *in_words(int rc, int error)
{
	switch (rc) {
	case MOSQ_ERR_SUCCESS:
	case MOSQ_ERR_CONN_LOST:
	case MOSQ_ERR_NO_CONN:
		return "the broker closed the connection";
	case MOSQ_ERR_PROTOCOL:
	case MOSQ_ERR_MALFORMED_PACKET:
	case MOSQ_ERR_MALFORMED_UTF8:
	case MOSQ_ERR_DUPLICATE_PROPERTY:
	case MOSQ_ERR_INVAL:
		return "what the broker sent is not the MQTT that was expected";
	case MOSQ_ERR_KEEPALIVE:
		return "the broker does not answer";
	case MOSQ_ERR_ERRNO:
		return error != 0 && error != EAGAIN ? strerror(error) : "the connection broke";
	default:
		return mosquitto_strerror(rc);
	}
}

void mqtt_after(struct mqtt *m, int rc)
{
	if (m->client == NULL)
		return;
	if (rc != MOSQ_ERR_SUCCESS || m->broken) {
		int error = errno;
		bool closed = rc == MOSQ_ERR_SUCCESS || rc == MOSQ_ERR_CONN_LOST || rc == MOSQ_ERR_ERRNO;
		if (!m->connected && !m->answered_connect && closed)
			session_unanswered(m);
		lost(m, in_words(rc, error));
		return;
	}
	watch(m);
}

/* What has come: a call of the library may read one packet only, and leaves EAGAIN when there are no more. */
static int read_all(void *ctx)
{
	struct mqtt *m = ctx;
	int rc = MOSQ_ERR_SUCCESS;
	errno = 0;
	for (int i = 0; i < READ_BURST && rc == MOSQ_ERR_SUCCESS && !m->broken && errno != EAGAIN; i++)
		rc = mosquitto_loop_read(m->client, 1);
	return rc;
}

/* The library takes packets of any size into memory; ours does not. */
static bool is_too_much(struct mqtt *m)
{
	int waiting = 0;
	if (ioctl(m->io.fd, FIONREAD, &waiting) == 0 && waiting > 0)
		m->unparsed += (size_t)waiting;
	return m->unparsed > 4 * (size_t)MQTT_PACKET_MOST;
}

static int take_all(struct mqtt *m)
{
	char what[100];
	int rc = MOSQ_ERR_SUCCESS;
	if (is_too_much(m))
		mqtt_give_up(m, "the broker sends packets of more than %d bytes", MQTT_PACKET_MOST);
	else if (!guard_call(read_all, m, &rc, what, sizeof(what)))
		mqtt_give_up(m, "libmosquitto does not know what the broker sent (%s)", what);
	return rc;
}

void mqtt_take(struct mqtt *m)
{
	if (m->client != NULL && m->connected && !m->broken)
		mqtt_after(m, take_all(m));
}

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
	(void)loop;
	struct mqtt *m = io->data;
	int rc = events & EV_READ ? take_all(m) : MOSQ_ERR_SUCCESS;
	if (rc == MOSQ_ERR_SUCCESS && !m->broken && (events & EV_WRITE))
		rc = mosquitto_loop_write(m->client, 1);
	mqtt_after(m, rc);
	if (m->connected && m->window.full) /* the turn may last: the broker need not wait for its end */
		mqtt_kick(m);
}

static void on_misc(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct mqtt *m = timer->data;
	session_tick(m);
	publish_tick(m);
	if (m->client != NULL)
		mqtt_after(m, m->broken ? MOSQ_ERR_SUCCESS : mosquitto_loop_misc(m->client));
}

/* The turn of the loop that it causes is all that is wanted. */
static void on_more(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)timer;
	(void)events;
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
		lost(m, in_words(rc, error));
		return;
	}
	mqtt_after(m, MOSQ_ERR_SUCCESS);
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

/* --- connecting --- */

static void on_retry(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct mqtt *m = timer->data;
	if (m->will != 0 && m->will_sure && ev_now(m->loop) > m->will_until) {
		m->will = m->will_works = m->cannot = 0;
		m->will_sure = false;
	}
	m->attempt = attempt_start(m, &m->attempt_ended);
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
	ev_timer_set(&m->retry, m->wait * jitter, 0.);
	ev_timer_start(m->loop, &m->retry);
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
	for (size_t i = 0; i < MQTT_SUBSCRIBE_MOST && subscribe[i] != NULL; i++)
		m->subscription[m->subscriptions++].topic = strdup(subscribe[i]);
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
	ev_init(&m->more, on_more);
	ev_timer_init(&m->misc, on_misc, 1., 1.);
	m->attempt_ended.data = m->io.data = m->retry.data = m->timeout.data = m->misc.data = m;
	ev_async_start(loop, &m->attempt_ended);
	return m;
}

void mqtt_start(struct mqtt *m)
{
	ev_timer_set(&m->retry, 0., 0.);
	ev_timer_start(m->loop, &m->retry);
	ev_timer_start(m->loop, &m->misc);
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
	ev_timer_stop(m->loop, &m->misc);
	attempt_abandon(m->attempt);
	m->attempt = NULL;
	if (mqtt_connected(m) && (m->status_answered || m->status_sent))
		publish_status(m, "offline");
	if (mqtt_connected(m)) {
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
	for (size_t i = 0; i < m->subscriptions; i++)
		free(m->subscription[i].topic);
	suspects_clear(&m->suspects);
	free(m->status_topic);
	free(m);
	mosquitto_lib_cleanup();
}
