// SPDX-License-Identifier: MIT
/* mqtt_link: see mqtt_link.h. */
#include "bridge/broker/mqtt_link.h"

#include "bridge/base/errand.h"
#include "bridge/base/log.h"
#include "bridge/broker/mqtt.h"
#include "bridge/broker/port.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

struct attempt {
	struct link *link;
	struct errand *errand;
	const struct attempt_ops *ops;
	struct target target;
	int keepalive, rc, error;
	mosquitto_property *properties;
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

struct span link_head(const struct link *link)
{
	if (link == NULL)
		return span_of(NULL, 0);
	return link->tls != NULL ? tls_client_head(link->tls) : span_of(link->head, link->head_len);
}

bool link_has_unread(const struct link *link)
{
	return link->tls != NULL && tls_ssl_has_unread(mosquitto_ssl_get(link->client));
}

bool link_is_closed(int rc, int error)
{
	return rc == MOSQ_ERR_CONN_LOST || rc == MOSQ_ERR_NO_CONN ||
	       (rc == MOSQ_ERR_ERRNO && (error == ECONNRESET || error == EPIPE));
}

bool link_may_be_mqtt(const struct link *link)
{
	struct span head = link_head(link);
	if (link->tls == NULL)
		return port_may_be_mqtt(head);
	return *tls_client_reason(link->tls) == '\0' && port_kind(head) == port_of_tls();
}

bool link_speaks_3(const struct link *link)
{
	struct span head = link_head(link);
	return link->tls == NULL && link->version == 5 && head.len >= 4 && head.ptr[0] == 0x20 &&
	       head.ptr[1] == 2;
}

void link_look(struct link *link)
{
	if (link->tls != NULL || link->head_len > 0)
		return;
	ssize_t n =
		recv(mosquitto_socket(link->client), link->head, sizeof(link->head), MSG_PEEK | MSG_DONTWAIT);
	link->head_len = n > 0 ? (size_t)n : 0;
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

static struct tls_client *tls_to(const struct config *c, const struct host *host, char why[TLS_WHY_MAX])
{
	const struct tls_client_options options = {
		c->mqtt.tls_ca_file, c->mqtt.tls_cert_file, c->mqtt.tls_key_file, host->name};
	return tls_client_open(&options, why);
}

bool mqtt_check(const struct config *c, char why[TLS_WHY_MAX])
{
	struct hosts hosts;
	snprintf(why, TLS_WHY_MAX, "[mqtt] host names no host");
	bool ok = hosts_read(c->mqtt.host, (int)c->mqtt.port, &hosts);
	for (unsigned i = 0; ok && c->mqtt.tls && i < hosts.count; i++) {
		struct tls_client *tls = tls_to(c, &hosts.item[i], why);
		ok = tls != NULL;
		if (ok)
			tls_client_free(tls);
	}
	return ok;
}

static bool use_tls(struct link *link, const struct config *c, const struct host *host)
{
	char why[TLS_WHY_MAX];
	link->tls = tls_to(c, host, why);
	if (link->tls == NULL)
		return false;
	tls_client_read_ahead(link->tls);
	/* our own context instead of mosquitto_tls_set: it says why a certificate is refused, and it also checks IP addresses */
	mosquitto_int_option(link->client, MOSQ_OPT_SSL_CTX_WITH_DEFAULTS, 0);
	return mosquitto_void_option(link->client, MOSQ_OPT_SSL_CTX, tls_client_context(link->tls)) ==
	       MOSQ_ERR_SUCCESS;
}

static struct link *link_open(
	const struct config *c, const struct target *to, const struct attempt_ops *ops, void *owner)
{
	char id[CONFIG_CLIENT_ID_MAX];
	struct link *link = calloc(1, sizeof(*link));
	/* under 3.1.1 the flag says as well whether the broker keeps the session when the connection ends */
	bool clean = to->version == 5 ? !to->resume : c->mqtt.session == 0;
	if (link == NULL)
		return NULL;
	struct mosquitto *client = mosquitto_new(config_client_id(c, id), clean, link);
	link->owner = owner;
	link->client = client;
	link->version = to->version;
	if (client == NULL || (c->mqtt.tls && !use_tls(link, c, &to->host))) {
		link_free(link);
		return NULL;
	}
	mosquitto_int_option(
		client, MOSQ_OPT_PROTOCOL_VERSION, to->version == 5 ? MQTT_PROTOCOL_V5 : MQTT_PROTOCOL_V311);
	mosquitto_int_option(client, MOSQ_OPT_SEND_MAXIMUM, (int)c->mqtt.inflight);
	mosquitto_int_option(client, MOSQ_OPT_TCP_NODELAY, 1);
	mosquitto_threaded_set(
		client, true); /* packets, acknowledgements among them, leave in mosquitto_loop_write alone */
	if (*c->mqtt.username)
		mosquitto_username_pw_set(
			client, c->mqtt.username, *c->mqtt.password ? c->mqtt.password : NULL);
	mosquitto_log_callback_set(client, on_log);
	ops->prepare(owner, client);
	return link;
}

/* --- attempt --- */

static void free_attempt(void *arg)
{
	struct attempt *a = arg;
	link_free(a->link);
	mosquitto_property_free_all(&a->properties);
	free(a);
}

static void connect_client(void *arg)
{
	struct attempt *a = arg;
	const struct host *host = &a->target.host;
	a->rc = mosquitto_connect_bind_v5(
		a->link->client, host->name, host->port, a->keepalive, NULL, a->properties);
	a->error = errno;
}

static void connected(void *arg)
{
	struct attempt *a = arg;
	const struct attempt_ops *ops = a->ops;
	struct link *link = a->link;
	int rc = a->rc, error = a->error, fd = mosquitto_socket(link->client);
	socklen_t len = sizeof(link->peer);
	if (fd < 0 || getpeername(fd, &link->peer.any, &len) != 0)
		memset(&link->peer, 0, sizeof(link->peer));
	link->reached = rc == MOSQ_ERR_SUCCESS || rc == MOSQ_ERR_TLS || link_is_closed(rc, error);
	a->link = NULL;
	free_attempt(a);
	ops->ended(link->owner, link, rc, error);
}

struct attempt *attempt_start(struct ev_loop *loop, const struct config *config, const struct target *target,
	const struct attempt_ops *ops, void *owner)
{
	static const struct errand_work work = {connect_client, connected, free_attempt};
	struct attempt *a = calloc(1, sizeof(*a));
	if (a == NULL)
		return NULL;
	a->ops = ops;
	a->target = *target;
	a->keepalive = (int)(config->mqtt.keepalive / 1000);
	a->link = link_open(config, target, ops, owner);
	if (target->version == 5)
		mosquitto_property_add_int32(&a->properties, MQTT_PROP_MAXIMUM_PACKET_SIZE, MQTT_PACKET_MOST);
	if (target->version == 5 && config->mqtt.session > 0)
		mosquitto_property_add_int32(&a->properties, MQTT_PROP_SESSION_EXPIRY_INTERVAL,
			(uint32_t)((config->mqtt.session + 999) / 1000));
	if (a->link != NULL)
		a->errand = errand_start(loop, &work, a);
	if (a->errand != NULL)
		return a;
	free_attempt(a);
	return NULL;
}

void attempt_abandon(struct attempt *a)
{
	if (a != NULL)
		errand_abandon(a->errand);
}
