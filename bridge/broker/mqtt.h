/* mqtt: libmosquitto on the libev loop: connect, back off, publish from the outbox, done when the broker took it, subscribe.
 * May use: libmosquitto, libev, outbox. May not: know units or frames.
 *
 * Connecting (name resolution, TCP) runs in a short-lived thread, so the loop never waits. Each attempt has a
 * client of its own: what was on its way when a connection broke is published again from the outbox. */
#ifndef T2M_MQTT_H
#define T2M_MQTT_H

#include "bridge/settings/config.h"
#include "bridge/outbox/outbox.h"
#include "bridge/base/stats.h"

#include <ev.h>

struct mqtt;

struct mqtt_message {
	struct span topic, payload;
	bool retain;
	struct span response_topic, correlation; /* MQTT 5; empty when there are none */
	int64_t expiry_s;                        /* -1: none */
};

struct mqtt_ops {
	void *ctx;
	void (*message)(void *ctx, const struct mqtt_message *message);
};

/* `subscribe`: topics, at most four, NULL at the end. `status_topic`: online and offline, retained, and the will. All are copied. */
struct mqtt *mqtt_open(struct ev_loop *loop, const struct config *config, const struct mqtt_ops *ops,
	const char *const *subscribe, const char *status_topic, struct outbox *outbox, struct stats *stats);
void mqtt_start(struct mqtt *mqtt);

/* Publishes what fits into the window. Once per turn of the loop. */
void mqtt_kick(struct mqtt *mqtt);
/* Does the next message wait for an acknowledgement that is due at once? */
bool mqtt_hurries(const struct mqtt *mqtt);
/* QoS 0, only while connected; left out when it is larger than the broker takes. */
void mqtt_publish_now(struct mqtt *mqtt, const char *topic, struct span payload, bool retain);
/* For how long there has been no connection; 0 while there is one. */
double mqtt_away_seconds(const struct mqtt *mqtt);
bool mqtt_connected(const struct mqtt *mqtt);
/* What the broker does not take, in words that are valid until the next call; NULL: nothing. */
const char *mqtt_trouble(struct mqtt *mqtt);

/* Says `offline` and disconnects. */
void mqtt_stop(struct mqtt *mqtt);
void mqtt_free(struct mqtt *mqtt);

#endif
