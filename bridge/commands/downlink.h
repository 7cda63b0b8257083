/* downlink: a command from MQTT -> checked -> sent to its unit; what became of it -> cmd/reply.
 * May use: session, request, allowed, outcome, topic. May not: know frame bytes, MQTT; ask for the time: `now` is an
 * argument. Waits go by its steady clock, so that setting the clock changes nothing; the other one is only written down.
 *
 * Each request ends exactly once: answered, timeout, offline, expired or rejected; before that it may be held (the unit
 * is absent) and sent. A unit's answer is never called success. A request has its timeout twice at most: to be sent to a
 * unit that is there, and then for the answer. What has ended is never sent afterwards. */
#ifndef T2M_DOWNLINK_H
#define T2M_DOWNLINK_H

#include "bridge/base/clock.h"
#include "bridge/settings/config.h"
#include "bridge/units/session.h"
#include "bridge/outputs/uplink.h"

struct downlink;

struct downlink *downlink_open(
	const struct config *config, struct sessions *sessions, struct uplink *uplink, struct stats *stats);
void downlink_free(struct downlink *downlink);

struct downlink_request {
	struct span topic, payload;
	bool retained;
	struct span response_topic, correlation; /* MQTT 5; with a NULL pointer when there are none */
	int64_t expiry_s;                        /* MQTT 5 message expiry; -1: none */
};

/* A message on <prefix>/<ident>/cmd; other topics are ignored. */
void downlink_message(struct downlink *downlink, const struct downlink_request *request, struct moment now);

/* A unit has come: what is held for it is sent. */
void downlink_online(struct downlink *downlink, struct session *session, struct moment now);
/* A unit has gone: what it has not answered ends. */
void downlink_offline(
	struct downlink *downlink, struct session *session, const char *reason, struct moment now);
/* A unit has answered something. */
void downlink_reply(struct downlink *downlink, struct session *session, const struct command_reply *reply,
	struct moment now);
/* Time passes: timeouts and expiries. */
void downlink_tick(struct downlink *downlink, struct moment now);
/* The bridge stops: everything that waits ends. */
void downlink_stop(struct downlink *downlink, struct moment now);

#endif
