/* uplink: what units say -> topic and payload -> outbox.
 * May use: session (reading), outbox, topic, emit. May not: know sockets or MQTT. */
#ifndef T2M_UPLINK_H
#define T2M_UPLINK_H

#include "bridge/settings/config.h"
#include "bridge/outbox/outbox.h"
#include "bridge/units/session.h"
#include "bridge/base/topic.h"

struct uplink;

struct uplink *uplink_open(const struct config *config, struct outbox *outbox, struct stats *stats);
void uplink_free(struct uplink *uplink);

/* The session_ops of the same names; ctx is the uplink. */
bool uplink_room(void *ctx);
enum codec_room uplink_batch(void *ctx, size_t records);
bool uplink_share(void *ctx, const struct conn *conn);
bool uplink_record(
	void *ctx, struct session *session, struct conn *conn, struct telemetry *t, struct moment now);
bool uplink_status(void *ctx, struct session *session, struct moment now);
bool uplink_forgotten(void *ctx, struct session *session, struct moment now);
bool uplink_cleared(void *ctx, const char *ident, const char *name, struct moment now);
void uplink_frame(void *ctx, const struct session *session, bool in, struct span frame, const char *error);
void uplink_unknown(void *ctx, const struct conn *conn, struct span head, struct moment now);

/* A message of our own about a unit, in order with what it says. False: no room. */
bool uplink_publish(struct uplink *uplink, const char *ident, const struct topic *topic, struct span payload,
	bool retain, int64_t now_ms);

/* What became of a command: to <prefix>/<name>/cmd/reply and, when the request named one, to its MQTT 5 response
 * topic with its correlation data. False: no room. */
bool uplink_reply(struct uplink *uplink, const char *ident, const char *name, struct span json,
	struct span response_topic, struct span correlation, int64_t now_ms);

#endif
