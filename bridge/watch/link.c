// SPDX-License-Identifier: MIT
/* link: see link.h. */
#include "bridge/watch/link.h"

#include <errno.h>
#include <mosquitto.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ANSWER_SECONDS 15 /* for the broker to accept us */

struct link {
	const struct watch_options *options;
	const struct link_events *events;
	struct mosquitto *client;
	bool connecting, up, refused;
	time_t since;    /* of the connecting */
	char error[200]; /* the last that the library, or OpenSSL, has told */
	char why[LINK_WHY_MAX];
};

static void on_log(struct mosquitto *client, void *ctx, int level, const char *text)
{
	struct link *link = ctx;
	(void)client;
	if (level == MOSQ_LOG_ERR && link->error[0] == '\0') /* the first tells most */
		snprintf(link->error, sizeof(link->error), "%s", text);
}

static void on_connect(struct mosquitto *client, void *ctx, int code)
{
	struct link *link = ctx;
	const struct watch_options *o = link->options;
	if (code == 0) {
		link->up = true;
		int rc = mosquitto_subscribe_multiple(client, NULL, (int)o->topic_count, o->topics, 1, 0, NULL);
		if (rc != MOSQ_ERR_SUCCESS) {
			snprintf(link->why, sizeof(link->why), "cannot subscribe: %s", mosquitto_strerror(rc));
			link->refused = true;
		}
		return;
	}
	bool login = code == 4 || code == 5 || code == 0x86 || code == 0x87,
	     version = code == 1 || code == 0x84;
	snprintf(link->why, sizeof(link->why), "the broker refuses: %s%s",
		code < 0x80 ? mosquitto_connack_string(code) : mosquitto_reason_string(code),
		version               ? " (another one: -V mqttv5, -V mqttv311)"
		: !login              ? ""
		: o->username == NULL ? " (it wants a name and a password: -u NAME --password-file FILE)"
				      : " (are name and password right, and may this name connect?)");
	link->refused = true;
}

static void on_subscribe(struct mosquitto *client, void *ctx, int id, int count, const int *granted)
{
	struct link *link = ctx;
	char text[LINK_WHY_MAX];
	(void)client;
	(void)id;
	for (int i = 0; i < count && (size_t)i < link->options->topic_count; i++) {
		if (granted[i] < 0x80)
			continue;
		snprintf(
			text, sizeof(text), "the broker does not let us read %.300s", link->options->topics[i]);
		link->events->said(link->events->ctx, text);
	}
	snprintf(text, sizeof(text), "connected to %.200s:%d", link->options->host, link->options->port);
	link->events->said(link->events->ctx, text);
}

static void on_message(struct mosquitto *client, void *ctx, const struct mosquitto_message *m)
{
	struct link *link = ctx;
	(void)client;
	struct span payload =
		span_of(m->payloadlen > 0 ? m->payload : NULL, m->payloadlen > 0 ? (size_t)m->payloadlen : 0);
	link->events->message(link->events->ctx, span_text(m->topic), payload, m->retain);
}

static bool use_tls(struct link *link, char why[LINK_WHY_MAX])
{
	const struct watch_options *o = link->options;
	const char *files[] = {o->cafile, o->cert, o->key};
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		FILE *f = files[i] != NULL ? fopen(files[i], "r") : NULL;
		if (files[i] != NULL && f == NULL) {
			snprintf(why, LINK_WHY_MAX, "%.300s: %s", files[i], strerror(errno));
			return false;
		}
		if (f != NULL)
			fclose(f);
	}
	int rc = MOSQ_ERR_SUCCESS;
	if (o->cafile != NULL || o->capath != NULL)
		rc = mosquitto_tls_set(link->client, o->cafile, o->capath, o->cert, o->key, NULL);
	else if ((rc = mosquitto_int_option(link->client, MOSQ_OPT_TLS_USE_OS_CERTS, 1)) == MOSQ_ERR_SUCCESS &&
		 o->cert != NULL)
		rc = mosquitto_tls_set(link->client, NULL, "/etc/ssl/certs", o->cert, o->key, NULL);
	if (rc == MOSQ_ERR_SUCCESS && o->insecure)
		rc = mosquitto_tls_insecure_set(link->client, true);
	snprintf(why, LINK_WHY_MAX, "TLS: %s", mosquitto_strerror(rc));
	return rc == MOSQ_ERR_SUCCESS;
}

struct link *link_open(
	const struct watch_options *options, const struct link_events *events, char why[LINK_WHY_MAX])
{
	struct link *link = calloc(1, sizeof(*link));
	snprintf(why, LINK_WHY_MAX, "no memory");
	if (link == NULL)
		return NULL;
	link->options = options;
	link->events = events;
	mosquitto_lib_init();
	link->client = mosquitto_new(options->client_id, true, link);
	if (link->client == NULL) {
		link_free(link);
		return NULL;
	}
	mosquitto_log_callback_set(link->client, on_log);
	mosquitto_connect_callback_set(link->client, on_connect);
	mosquitto_subscribe_callback_set(link->client, on_subscribe);
	mosquitto_message_callback_set(link->client, on_message);
	mosquitto_int_option(link->client, MOSQ_OPT_PROTOCOL_VERSION,
		options->version == 5     ? MQTT_PROTOCOL_V5
		: options->version == 311 ? MQTT_PROTOCOL_V311
					  : MQTT_PROTOCOL_V31);
	int rc = mosquitto_username_pw_set(link->client, options->username, options->password);
	snprintf(why, LINK_WHY_MAX, "name and password: %s", mosquitto_strerror(rc));
	if (rc == MOSQ_ERR_SUCCESS && (!options->tls || use_tls(link, why)))
		return link;
	link_free(link);
	return NULL;
}

void link_free(struct link *link)
{
	if (link->client != NULL) {
		if (link->up)
			mosquitto_disconnect(link->client);
		mosquitto_destroy(link->client);
	}
	mosquitto_lib_cleanup();
	free(link);
}

/* Says why a call failed. */
static bool failed(struct link *link, int rc, int error)
{
	const struct watch_options *o = link->options;
	const char *cure = "";
	if (link->refused)
		return false; /* it is said */
	if (rc == MOSQ_ERR_EAI)
		cure = " (is the name of the host spelt right?)";
	else if (o->tls && !link->up &&
		 (rc == MOSQ_ERR_TLS || rc == MOSQ_ERR_ERRNO || rc == MOSQ_ERR_CONN_LOST) &&
		 error != ECONNREFUSED)
		cure = link->error[0] != '\0' ? " (is this a TLS port, and is its authority in --cafile?)"
					      : " (is this a TLS port?)";
	else if (!link->up && (rc == MOSQ_ERR_CONN_LOST || rc == MOSQ_ERR_PROTOCOL))
		cure = " (it closed the connection before it answered: does this port want TLS, see --cafile, "
		       "or is it no MQTT port?)";
	const char *text = link->error[0] != '\0'               ? link->error
			   : rc == MOSQ_ERR_ERRNO && error != 0 ? strerror(error)
								: mosquitto_strerror(rc);
	size_t len = strlen(text);
	len -= len > 0 && text[len - 1] == '.';
	snprintf(link->why, sizeof(link->why), "%s %.200s:%d: %.*s%s",
		link->up ? "the broker is gone," : "no connection to", o->host, o->port, (int)len, text, cure);
	return false;
}

bool link_connect(struct link *link)
{
	link->up = link->refused = false;
	link->error[0] = '\0';
	errno = 0;
	int rc = mosquitto_connect(
		link->client, link->options->host, link->options->port, link->options->keepalive);
	int error = errno;
	link->since = time(NULL);
	return rc == MOSQ_ERR_SUCCESS || failed(link, rc, error);
}

bool link_step(struct link *link, int ms)
{
	errno = 0;
	int rc = mosquitto_loop(link->client, ms, 1), error = errno;
	if (link->refused || rc != MOSQ_ERR_SUCCESS) {
		failed(link, rc, error);
		mosquitto_disconnect(link->client);
		link->up = false;
		return false;
	}
	if (link->up || time(NULL) - link->since < ANSWER_SECONDS)
		return true;
	snprintf(link->why, sizeof(link->why),
		"%.200s:%d does not answer to MQTT (is it the port of a broker?)", link->options->host,
		link->options->port);
	mosquitto_disconnect(link->client);
	return false;
}

bool link_is_up(const struct link *link)
{
	return link->up;
}

const char *link_why(const struct link *link)
{
	return link->why;
}
