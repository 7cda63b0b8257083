// SPDX-License-Identifier: MIT
/* mqtt: see mqtt.h. The connection: begun, read, written, dropped. mqtt_private.h says where the rest is. */
#include "bridge/broker/mqtt_private.h"

#include "bridge/base/guard.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#define READ_BURST 64

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
	m->connected = m->broken = m->silent = m->answered_connect = m->unread = false;
	m->begun = m->busy = m->taken_over = m->quiet = false;
	m->status_sent = m->status_answered = false;
	m->why[0] = '\0';
	m->unparsed = 0;
	routes_reset(m);
	mqtt_publish_begin(m);
	outbox_rewind(m->outbox); /* what was not acknowledged is published again */
}

/* The broker does not publish the will, as it would if the connection just broke. */
static void say_goodbye(struct mqtt *m)
{
	mosquitto_disconnect_v5(m->client, 0, NULL);
	for (int i = 0; i < 100 && mosquitto_want_write(m->client); i++)
		if (mosquitto_loop_write(m->client, 1) != MOSQ_ERR_SUCCESS)
			break;
}

static void lost(struct mqtt *m, struct mqtt_failure f)
{
	lost_note(m, &f);
	if (m->quiet && m->client != NULL)
		say_goodbye(m);
	drop_client(m);
	if (!m->stopping)
		lost_tell(m, connect_later);
}

/* After each call of the library: drops a connection that is of no use, and watches the socket of a good one. `rc`: what the call returned.
 * Inside a handler the library is still at work, so the connection is dropped when it returns. */
static void after(struct mqtt *m, int rc)
{
	if (m->client == NULL)
		return;
	if (m->routes.delivering) {
		if (rc != MOSQ_ERR_SUCCESS)
			mqtt_give_up(m, "%s", mqtt_words(rc, errno));
		return;
	}
	int error = errno;
	if (m->connected && !m->begun) {
		m->begun = true;
		lost_begin(m);
	}
	if (rc != MOSQ_ERR_SUCCESS || m->broken) {
		bool closed = rc == MOSQ_ERR_SUCCESS || rc == MOSQ_ERR_CONN_LOST || rc == MOSQ_ERR_ERRNO;
		lost(m, (struct mqtt_failure){.rc = rc, .error = error, .closed = closed});
		return;
	}
	watch(m);
}

/* Reads all packets that have arrived: one call of the library may read one packet only, and sets EAGAIN when there are no more. */
static int read_all(void *ctx)
{
	struct mqtt *m = ctx;
	int rc = MOSQ_ERR_SUCCESS;
	errno = 0;
	for (int i = 0; i < READ_BURST && rc == MOSQ_ERR_SUCCESS && !m->broken && errno != EAGAIN; i++)
		rc = mosquitto_loop_read(m->client, 1);
	m->unread = rc == MOSQ_ERR_SUCCESS && !m->broken && link_has_unread(m->link);
	return rc;
}

/* The library would read a packet of any size into memory: this counts the bytes that it gets until its next callback. */
static void count_unparsed(struct mqtt *m)
{
	int waiting = 0;
	if (ioctl(m->io.fd, FIONREAD, &waiting) == 0 && waiting > 0)
		m->unparsed += (size_t)waiting;
}

static int read_guarded(struct mqtt *m)
{
	char what[100];
	int rc = MOSQ_ERR_SUCCESS;
	count_unparsed(m);
	if (!m->answered_connect)
		link_look(m->link);
	if (!m->answered_connect && m->link->tls == NULL && !link_may_be_mqtt(m->link))
		m->broken = true; /* the library would wait for the rest of what it takes for a packet */
	else if (m->unparsed > 4 * (size_t)MQTT_PACKET_MOST)
		mqtt_give_up(m, "the broker sends packets of more than %d bytes", MQTT_PACKET_MOST);
	else if (!guard_call(read_all, m, &rc, what, sizeof(what)))
		mqtt_give_up(m, "libmosquitto does not know what the broker sent (%s)", what);
	return rc;
}

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
	(void)loop;
	struct mqtt *m = io->data;
	m->stirred = true;
	int rc = events & EV_READ ? read_guarded(m) : MOSQ_ERR_SUCCESS;
	if (rc == MOSQ_ERR_SUCCESS && !m->broken && !m->connected && (events & EV_WRITE))
		rc = mosquitto_loop_write(m->client, 1); /* later packets: see mqtt_kick */
	after(m, rc);
	if (m->connected && m->window.full) /* at once: the rest of this turn of the loop may take long */
		mqtt_kick(m);
}

static void on_misc(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct mqtt *m = timer->data;
	m->stirred = true;
	session_tick(m);
	lost_tick(m);
	mqtt_publish_tick(m);
	tell_tick(m);
	if (m->client != NULL)
		after(m, m->broken ? MOSQ_ERR_SUCCESS : mosquitto_loop_misc(m->client));
}

/* It causes a turn of the loop, and with it mqtt_kick; and goes on reading. */
static void on_more(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)events;
	struct mqtt *m = timer->data;
	m->stirred = true;
	if (m->unread)
		on_io(loop, &m->io, EV_READ);
}

static void on_attempt_ended(void *owner, struct link *link, int rc, int error)
{
	struct mqtt *m = owner;
	m->attempt = NULL;
	m->stirred = true;
	m->link = link;
	m->client = link->client;
	if (rc != MOSQ_ERR_SUCCESS)
		lost(m, (struct mqtt_failure){.rc = rc, .error = error, .closed = link_is_closed(rc, error)});
	else
		after(m, MOSQ_ERR_SUCCESS);
}

static void on_timeout(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct mqtt *m = timer->data;
	attempt_abandon(m->attempt);
	m->attempt = NULL;
	lost(m, (struct mqtt_failure){.rc = MOSQ_ERR_ERRNO, .error = ETIMEDOUT, .late = true});
}

/* --- connecting --- */

static void on_retry(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	static const struct attempt_ops ops = {session_prepare, on_attempt_ended};
	struct mqtt *m = timer->data;
	session_choose(m);
	const struct target to = {*mqtt_host(m), mqtt_version(m), resume_wanted(m)};
	m->attempt = attempt_start(m->loop, m->config, &to, &ops, m);
	if (m->attempt == NULL) {
		char why[TLS_WHY_MAX];
		bool usable = mqtt_check(m->config, why);
		mqtt_give_up(m, "%s", usable ? "cannot begin a connection" : why);
		lost(m, (struct mqtt_failure){.rc = MOSQ_ERR_NOMEM});
		return;
	}
	ev_timer_set(&m->timeout, (double)m->config->mqtt.connect_timeout / 1000.0, 0.);
	ev_timer_start(m->loop, &m->timeout);
}

static void connect_later(struct mqtt *m)
{
	ev_timer_set(&m->retry, m->wait, 0.);
	ev_timer_start(m->loop, &m->retry);
}

struct mqtt *mqtt_open(struct ev_loop *loop, const struct config *config, const char *status_topic,
	struct outbox *outbox, struct stats *stats)
{
	struct mqtt *m = calloc(1, sizeof(*m));
	if (m == NULL || (status_topic != NULL && (m->status_topic = strdup(status_topic)) == NULL)) {
		free(m);
		return NULL;
	}
	mosquitto_lib_init();
	m->loop = loop;
	m->config = config;
	m->outbox = outbox;
	m->stats = stats;
	m->away_since = ev_now(loop);
	ev_init(&m->io, on_io);
	ev_init(&m->retry, on_retry);
	ev_init(&m->timeout, on_timeout);
	ev_init(&m->more, on_more);
	ev_timer_init(&m->misc, on_misc, 1., 1.);
	m->io.data = m->retry.data = m->timeout.data = m->misc.data = m->more.data = m;
	resume_open(m);
	if (lost_open(m) && mqtt_publish_open(m))
		return m;
	mqtt_free(m);
	return NULL;
}

void mqtt_assume_session(struct mqtt *m)
{
	m->resume.known = m->resume.shared = true;
	m->resume.noted = m->routes.number;
}

void mqtt_start(struct mqtt *m)
{
	ev_timer_set(&m->retry, 0., 0.);
	ev_timer_start(m->loop, &m->retry);
	ev_timer_start(m->loop, &m->misc);
}

/* An acknowledgement tells the broker to forget the message, so it leaves when what became of the message is stored: this turn has stored
 * what came before, and what is read here waits for the next one. */
void mqtt_kick(struct mqtt *m)
{
	m->received = resume_filters_changed(m);
	m->stirred = false;
	if (m->window.full && mqtt_connected(m)) /* what was acknowledged in this turn makes room */
		after(m, read_guarded(m));
	int rc = mqtt_publish_waiting(m, session_answered(m));
	if (rc == MOSQ_ERR_SUCCESS && m->connected && mqtt_mid_is_taken(m))
		mqtt_give_up(m, "the broker forgot to acknowledge a message");
	if (rc == MOSQ_ERR_SUCCESS && mqtt_connected(m) && !m->received)
		rc = mqtt_write(m);
	after(m, rc);
	outbox_settle(m->outbox);
	bool more = m->connected && (outbox_more(m->outbox) || m->received);
	if ((more || m->unread) && !ev_is_active(&m->more)) {
		ev_timer_set(&m->more, m->unread ? 0. : 0.002, 0.);
		ev_timer_start(m->loop, &m->more);
	}
}

bool mqtt_resumed(const struct mqtt *m)
{
	return m->resume.present;
}

bool mqtt_stirs(const struct mqtt *m)
{
	return m->stirred;
}

bool mqtt_hurries(const struct mqtt *m)
{
	return mqtt_connected(m) && window_tight(&m->window);
}

void mqtt_publish_now(struct mqtt *m, const char *topic, struct span payload, bool retain)
{
	if (mqtt_connected(m))
		after(m, mqtt_publish_at_once(m, topic, payload, retain));
}

void mqtt_stop(struct mqtt *m)
{
	m->stopping = true;
	ev_timer_stop(m->loop, &m->retry);
	ev_timer_stop(m->loop, &m->misc);
	attempt_abandon(m->attempt);
	m->attempt = NULL;
	lost_stop(m);
	if (mqtt_connected(m) && (m->status_answered || m->status_sent) && m->status_topic != NULL && !m->mute)
		mqtt_publish_status(m, "offline");
	if (mqtt_connected(m) && !m->mute)
		say_goodbye(m);
	drop_client(m);
}

void mqtt_use_gate(struct mqtt *m, mqtt_gate *gate, mqtt_pause *pause, void *ctx)
{
	m->gate = gate;
	m->pause = pause;
	m->gate_ctx = ctx;
}

void mqtt_abandon(struct mqtt *m)
{
	m->mute = true;
	mqtt_free(m);
}

void mqtt_free(struct mqtt *m)
{
	mqtt_stop(m);
	routes_free(m);
	resume_close(m);
	mqtt_publish_close(m);
	m->stats->broker = NULL;
	free(m->status_topic);
	free(m);
	mosquitto_lib_cleanup();
}
