// SPDX-License-Identifier: MIT
/* mqtt: libmosquitto on the libev loop: connects, backs off, subscribes, publishes from the outbox.
 * Uses: bridge/base, bridge/outbox, bridge/settings; <ev.h>.
 * Not: know units or frames.
 *
 * A message leaves the outbox when the broker has acknowledged it, never before. Each attempt to connect has a client of its own and runs in
 * a thread, because resolving a name and connecting can take long. What was not acknowledged on a connection that broke is published
 * again on the next one. */
#ifndef T2M_MQTT_H
#define T2M_MQTT_H

#include "bridge/base/route.h"
#include "bridge/base/stats.h"
#include "bridge/base/tls.h"
#include "bridge/outbox/outbox.h"
#include "bridge/settings/config.h"

#include <ev.h>

struct mqtt;

/* Can TLS be spoken with the brokers as the configuration says? False: `why` names the file and what is wrong. */
bool mqtt_check(const struct config *config, char why[TLS_WHY_MAX]);

/* `status_topic`: carries `online` and `offline`, retained, and is the topic of the will; it is copied; NULL: neither. `loop`, `config`, `outbox` and
 * `stats` are kept and must live longer. NULL: no memory. */
struct mqtt *mqtt_open(struct ev_loop *loop, const struct config *config, const char *status_topic,
	struct outbox *outbox, struct stats *stats);
/* The session that the broker keeps under this client id is that of a fleet: it has no filter but those that are routed now, another process may
 * have subscribed them. What the broker delivers again is given to the handlers again. */
void mqtt_assume_session(struct mqtt *mqtt);
/* Begins to connect. */
void mqtt_start(struct mqtt *mqtt);

/* Routes messages: subscribes to `filter` on each connection, at once if there is one, and gives each message whose topic matches the
 * filter to `handler`. May be called at any time, also by a handler; the number of routes is limited by memory alone. A handler may
 * call mqtt_route, mqtt_unroute, mqtt_publish_now and the questions below, nothing else of this header.
 *
 * A message is given once to each route that matches, in no particular order; a route that a handler adds does not get the message that is
 * being handled. Where the filters of several routes overlap, a broker may send one publication once for each subscription: each
 * of these copies is given to each matching route, so a handler has to accept copies.
 *
 * A subscription that the broker refuses is logged with the broker's reason, counted, named by mqtt_trouble and requested again: at
 * QoS 0 at once, where the QoS may be the reason, and in any case after five minutes. `without` ends the log line: what does not work meanwhile, as a clause ("no command arrives"). It lives as long as the
 * route. `filter` is copied.
 *
 * False, and nothing has changed: the filter is not valid in MQTT, it is a shared subscription ($share/), it has a route already, or
 * there is no memory. */
bool mqtt_route(struct mqtt *mqtt, const char *filter, route_handler *handler, void *ctx, const char *without);
/* Removes the route with exactly this filter and unsubscribes; its handler is not called again, also not for a message that is being
 * handled. False: there is no such route. */
bool mqtt_unroute(struct mqtt *mqtt, const char *filter);

/* Asked before each message of the outbox is published: may it be published as it is, unretained, or not at all? */
enum mqtt_pass { MQTT_PASS_RETAINED = 0, MQTT_PASS_PLAIN, MQTT_PASS_NEVER };
typedef enum mqtt_pass mqtt_gate(void *ctx, const struct outbox_message *message);
/* Asked before messages are published: true: not in this turn of the loop. */
typedef bool mqtt_pause(void *ctx);
void mqtt_use_gate(struct mqtt *mqtt, mqtt_gate *gate, mqtt_pause *pause, void *ctx);

/* Publishes as many messages of the outbox as fit into the window. Once per turn of the loop. */
void mqtt_kick(struct mqtt *mqtt);
/* Has anything come, or is anything due, since the last mqtt_kick? Without messages in the outbox mqtt_kick has nothing to do otherwise. */
bool mqtt_stirs(const struct mqtt *mqtt);
/* Is the window full, and so small that the next acknowledgement must not wait? */
bool mqtt_hurries(const struct mqtt *mqtt);
/* Publishes at QoS 0, and only while connected. A payload larger than the broker accepts is dropped; that is logged once. */
void mqtt_publish_now(struct mqtt *mqtt, const char *topic, struct span payload, bool retain);
/* For how many seconds there has been no connection; 0 while there is one. */
double mqtt_away_seconds(const struct mqtt *mqtt);
bool mqtt_connected(const struct mqtt *mqtt);
/* For how many seconds there has been one; 0 while there is none. */
double mqtt_connected_seconds(const struct mqtt *mqtt);
/* Does the broker allow packets of so many bytes, as far as it has said? */
bool mqtt_takes(const struct mqtt *mqtt, size_t bytes);
/* The version of MQTT that is spoken: 5, or 4 for 3.1.1. */
int mqtt_version(const struct mqtt *mqtt);
/* The place in the list of hosts, from 0, of the one that is connected or tried. */
unsigned mqtt_host_number(const struct mqtt *mqtt);
/* Has the broker kept the session of the connection before? */
bool mqtt_resumed(const struct mqtt *mqtt);
/* May what comes now have come on an earlier connection? A broker delivers again when it resumes a session, some of them only seconds later. */
bool mqtt_may_repeat(const struct mqtt *mqtt);
/* What the broker refuses, as a sentence that is valid until the next call; NULL: nothing. */
const char *mqtt_trouble(struct mqtt *mqtt);
/* What is worth knowing beside it, as lines that are valid until the next call: which broker of several is in use, which subscription is refused
 * or has QoS 0 only; "": nothing. */
const char *mqtt_remark(struct mqtt *mqtt);

/* Publishes `offline` and disconnects; messages that are not acknowledged stay in the outbox. */
void mqtt_stop(struct mqtt *mqtt);
/* Closes the connection without a word, so that what was received and not acknowledged is delivered again, and frees. Not from a handler. */
void mqtt_abandon(struct mqtt *mqtt);
/* Stops and frees. Not from a handler. */
void mqtt_free(struct mqtt *mqtt);

#endif
