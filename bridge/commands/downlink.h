/* downlink: a command from MQTT -> checked -> sent to its unit; what became of it -> cmd/reply.
 * May use: session, request, allowed, outcome, topic. May not: know frame bytes, MQTT; ask for the time: `now` is an
 * argument. Waits go by its steady clock, so that setting the clock changes nothing; the other one is only written down.
 *
 * Each request ends exactly once: answered, timeout, offline, expired or rejected; before that it may be held (the unit
 * is absent) and sent. A unit's answer is never called success. A request has its timeout twice at most: to be sent to a
 * unit that is there, and then for the answer. What has ended is never sent afterwards. */
#ifndef T2M_DOWNLINK_H
#define T2M_DOWNLINK_H

#include "bridge/base/route.h"
#include "bridge/settings/config.h"
#include "bridge/units/session.h"
#include "bridge/outputs/publish.h"

struct downlink;

struct downlink *downlink_open(
	const struct config *config, struct sessions *sessions, struct publish *publish, struct stats *stats);
void downlink_free(struct downlink *downlink);
/* A unit that can be sent something gets what is held for it; when it answers, or goes off line, the request that waits ends. */
const struct unit_listener *downlink_listener(struct downlink *downlink);

/* A message on <prefix>/<ident>/cmd, a route_handler whose ctx is the struct downlink; other topics are ignored. */
void downlink_message(void *downlink, const struct route_message *message, struct moment now);

/* Time passes: timeouts and expiries. */
void downlink_tick(struct downlink *downlink, struct moment now);
/* The bridge stops: everything that waits ends. */
void downlink_stop(struct downlink *downlink, struct moment now);

#endif
