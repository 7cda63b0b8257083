/* downlink: a request comes from MQTT, is checked, and its command is sent to the unit; what became of it goes to cmd/reply.
 * May use: session, request, allowed, outcome, topic. May not: know frame bytes, MQTT; ask for the time: `now` is an
 * argument. Waiting times are measured by its steady clock, so that setting the system's clock changes none of them; its
 * Unix time is only written down.
 *
 * Each request ends exactly once: answered, timeout, offline, expired or rejected. Before that it may be held (the unit is
 * not connected) and sent. A unit's answer is never called success, for what it means is the unit's affair. The timeout of a
 * request begins when the command is queued, and once more when it is sent. A request that has ended is never sent
 * afterwards. */
#ifndef T2M_DOWNLINK_H
#define T2M_DOWNLINK_H

#include "bridge/base/clock.h"
#include "bridge/settings/config.h"
#include "bridge/units/session.h"
#include "bridge/outputs/uplink.h"

struct downlink;

/* All four are kept, and must live longer; a reload may change the values in `config`. NULL: no memory. */
struct downlink *downlink_open(
	const struct config *config, struct sessions *sessions, struct uplink *uplink, struct stats *stats);
/* Requests that still wait are dropped without a reply: see downlink_stop. */
void downlink_free(struct downlink *downlink);

struct downlink_request {
	struct span topic, payload;
	bool retained;
	struct span response_topic, correlation; /* MQTT 5; with a NULL pointer when the message has none */
	int64_t expiry_s;                        /* MQTT 5 message expiry; -1: none */
};

/* A message on <prefix>/<name or ident>/cmd; other topics are ignored. `request` and its spans are used during the call only. */
void downlink_message(struct downlink *downlink, const struct downlink_request *request, struct moment now);

/* A unit came online: what is held for it is sent. What was sent on its connection before ends. */
void downlink_online(struct downlink *downlink, struct session *session, struct moment now);
/* A unit went offline: what it has not answered ends. `reason` is used during the call only. */
void downlink_offline(
	struct downlink *downlink, struct session *session, const char *reason, struct moment now);
/* A unit answered a command: the oldest of those that the answer fits best ends. `reply` is used during the call only. */
void downlink_reply(struct downlink *downlink, struct session *session, const struct command_reply *reply,
	struct moment now);
/* Time passes: timeouts and expiries. */
void downlink_tick(struct downlink *downlink, struct moment now);
/* The bridge stops: all requests that wait end as offline. */
void downlink_stop(struct downlink *downlink, struct moment now);

#endif
