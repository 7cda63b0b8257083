/* downlink: a command from MQTT -> checked -> sent to its unit; what became of it -> cmd/reply.
 * May use: session, uplink (for replies), topic. May not: know frame bytes, MQTT, the clock. */
#ifndef T2M_DOWNLINK_H
#define T2M_DOWNLINK_H

#include "config.h"
#include "session.h"
#include "uplink.h"

struct downlink;

struct downlink *downlink_open(
	const struct config *config, struct sessions *sessions, struct uplink *uplink, struct stats *stats);
void downlink_free(struct downlink *downlink);

/* A message on <prefix>/<ident>/cmd; other topics are ignored. */
void downlink_message(
	struct downlink *downlink, struct span topic, struct span payload, bool retained, int64_t now_ms);

#endif
