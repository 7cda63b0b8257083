/* mqtt_private: what mqtt.c and mqtt_link.c share; nobody else includes it. */
#ifndef T2M_MQTT_PRIVATE_H
#define T2M_MQTT_PRIVATE_H

#include "mqtt.h"
#include "tls.h"

#include <mosquitto.h>

/* One client of the library, for one connection, and what is told of it. The callbacks' context. */
struct link {
	struct mqtt *mqtt;
	struct mosquitto *client;
	struct tls_client *tls; /* NULL: plain */
	char said[200];         /* the last error that the library logged */
};

void link_free(struct link *link); /* may be NULL */
/* What is wrong with the broker's certificate or ours, if that is why; else `why`. */
const char *link_reason(const struct link *link, const char *why);

/* One try to connect, in a thread of its own: while it runs, the client is the thread's alone. */
struct attempt;

/* Sends `ended` when the thread is through. NULL: it cannot begin, and the log says why. */
struct attempt *attempt_start(struct mqtt *mqtt, const struct config *config, const char *status_topic,
	struct ev_loop *loop, ev_async *ended);
/* NULL: it still runs. Else the link is the caller's, and the attempt is gone: what the library returned, and errno. */
struct link *attempt_result(struct attempt *attempt, int *rc, int *error);
/* May be NULL. The thread cleans up, whenever it ends. */
void attempt_abandon(struct attempt *attempt);

/* mqtt.c */
void mqtt_set_callbacks(struct mosquitto *client);

#endif
