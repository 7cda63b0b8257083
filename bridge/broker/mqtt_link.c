/* mqtt_link: a client of libmosquitto as the configuration wants it, and the thread in which it connects.
 * May use: libmosquitto, tls. May not: publish, know the outbox. */
#include "bridge/broker/mqtt_private.h"

#include "bridge/base/log.h"

#include <errno.h>
#include <mqtt_protocol.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum attempt_state { ATTEMPT_RUNNING = 0, ATTEMPT_ENDED, ATTEMPT_ABANDONED };

/* Whoever comes second, the thread or the loop, frees it. */
struct attempt {
	struct link *link;
	struct ev_loop *loop;
	ev_async *ended;
	char *host;
	int port, keepalive, rc, error;
	mosquitto_property *properties;
	atomic_int state;
};

/* --- link --- */

void link_free(struct link *link)
{
	if (link == NULL)
		return;
	if (link->client != NULL)
		mosquitto_destroy(link->client);
	if (link->tls != NULL)
		tls_client_free(link->tls);
	free(link);
}

const char *link_reason(const struct link *link, const char *why)
{
	if (link == NULL || link->tls == NULL)
		return why;
	return *tls_client_reason(link->tls) ? tls_client_reason(link->tls) : *link->said ? link->said : why;
}

static void on_log(struct mosquitto *client, void *ctx, int level, const char *text)
{
	struct link *link = ctx;
	(void)client;
	if (level != MOSQ_LOG_ERR && level != MOSQ_LOG_WARNING)
		return;
	snprintf(link->said, sizeof(link->said), "%s", text);
	log_debug("libmosquitto: %s", text);
}

static bool use_tls(struct link *link, const struct config *c)
{
	char why[TLS_WHY_MAX];
	const struct tls_client_options options = {
		c->mqtt.tls_ca_file, c->mqtt.tls_cert_file, c->mqtt.tls_key_file, c->mqtt.host};
	link->tls = tls_client_open(&options, why);
	if (link->tls == NULL) {
		log_error("broker %s:%d: %s", c->mqtt.host, (int)c->mqtt.port, why);
		return false;
	}
	/* ours instead of mosquitto_tls_set: it says why a certificate is refused, and checks addresses, too */
	mosquitto_int_option(link->client, MOSQ_OPT_SSL_CTX_WITH_DEFAULTS, 0);
	return mosquitto_void_option(link->client, MOSQ_OPT_SSL_CTX, tls_client_context(link->tls)) ==
	       MOSQ_ERR_SUCCESS;
}

static struct link *link_open(struct mqtt *m)
{
	const struct config *c = m->config;
	char id[200];
	snprintf(id, sizeof(id), "tracker2mqtt-%s", c->publish.instance);
	struct link *link = calloc(1, sizeof(*link));
	if (link == NULL)
		return NULL;
	struct mosquitto *client = mosquitto_new(*c->mqtt.client_id ? c->mqtt.client_id : id, true, link);
	link->mqtt = m;
	link->client = client;
	if (client == NULL || (c->mqtt.tls && !use_tls(link, c))) {
		link_free(link);
		return NULL;
	}
	mosquitto_int_option(client, MOSQ_OPT_PROTOCOL_VERSION,
		c->mqtt.version == 5 ? MQTT_PROTOCOL_V5 : MQTT_PROTOCOL_V311);
	mosquitto_int_option(client, MOSQ_OPT_SEND_MAXIMUM, (int)c->mqtt.inflight);
	mosquitto_int_option(client, MOSQ_OPT_TCP_NODELAY, 1);
	mosquitto_will_set(client, m->status_topic, 7, "offline", m->will & WILL_NO_QOS ? 0 : 1,
		!(m->will & WILL_NO_RETAIN));
	if (*c->mqtt.username)
		mosquitto_username_pw_set(
			client, c->mqtt.username, *c->mqtt.password ? c->mqtt.password : NULL);
	mqtt_set_callbacks(client);
	mosquitto_log_callback_set(client, on_log);
	return link;
}

/* --- attempt --- */

static void free_attempt(struct attempt *a)
{
	link_free(a->link);
	mosquitto_property_free_all(&a->properties);
	free(a->host);
	free(a);
}

static void *run_attempt(void *arg)
{
	struct attempt *a = arg;
	a->rc = mosquitto_connect_bind_v5(a->link->client, a->host, a->port, a->keepalive, NULL, a->properties);
	a->error = errno;
	struct ev_loop *loop = a->loop;
	ev_async *ended = a->ended; /* lives as long as the loop */
	if (atomic_exchange(&a->state, ATTEMPT_ENDED) == ATTEMPT_ABANDONED)
		free_attempt(a);
	else
		ev_async_send(loop, ended);
	return NULL;
}

struct attempt *attempt_start(struct mqtt *mqtt, ev_async *ended)
{
	const struct config *config = mqtt->config;
	struct attempt *a = calloc(1, sizeof(*a));
	if (a == NULL)
		return NULL;
	a->loop = mqtt->loop;
	a->ended = ended;
	a->host = strdup(config->mqtt.host);
	a->port = (int)config->mqtt.port;
	a->keepalive = (int)(config->mqtt.keepalive / 1000);
	a->link = link_open(mqtt);
	if (config->mqtt.version == 5)
		mosquitto_property_add_int32(&a->properties, MQTT_PROP_MAXIMUM_PACKET_SIZE, MQTT_PACKET_MOST);
	pthread_t thread;
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	bool ok = a->host != NULL && a->link != NULL && pthread_create(&thread, &attr, run_attempt, a) == 0;
	pthread_attr_destroy(&attr);
	if (ok)
		return a;
	free_attempt(a);
	return NULL;
}

struct link *attempt_result(struct attempt *a, int *rc, int *error)
{
	if (atomic_load(&a->state) != ATTEMPT_ENDED)
		return NULL;
	struct link *link = a->link;
	*rc = a->rc;
	*error = a->error;
	a->link = NULL;
	free_attempt(a);
	return link;
}

void attempt_abandon(struct attempt *a)
{
	if (a != NULL && atomic_exchange(&a->state, ATTEMPT_ABANDONED) == ATTEMPT_ENDED)
		free_attempt(a);
}
