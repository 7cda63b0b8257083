// SPDX-License-Identifier: MIT
/* publish: a message of ours, in order with what its unit says, into the outbox; and how much of the outbox an address may fill.
 * Uses: bridge/base, bridge/outbox, bridge/settings, bridge/units, codecs/record.
 * Not: know what a message says, sockets or MQTT.
 *
 * All outputs publish through it, and none knows another one. */
#ifndef T2M_PUBLISH_H
#define T2M_PUBLISH_H

#include "bridge/settings/config.h"
#include "bridge/outbox/outbox.h"
#include "bridge/outputs/notebook.h"
#include "bridge/units/session.h"
#include "bridge/base/topic.h"
#include "codecs/record/emit.h"

struct publish;

/* Before the first unit: it reserves room in the sessions. `config` and `outbox` must outlive it. NULL: no memory. */
struct publish *publish_open(const struct config *config, struct outbox *outbox, struct sessions *sessions);
void publish_free(struct publish *publish);
/* Says whether there is room. To be registered first. */
const struct unit_listener *publish_listener(struct publish *publish);

/* Where what is known of units is kept; to be registered right behind. */
struct notebook *publish_notebook(struct publish *publish);

/* A message for this topic, in order with what the unit `ident` says; the other members are the caller's. `topic` must last as long
 * as the message. */
struct outbox_message publish_message(
	const struct publish *publish, const char *ident, const struct topic *topic, int64_t now_ms);
/* The number that the next message will get. */
uint64_t publish_next_seqnum(const struct publish *publish);
/* Where the payload of one message is written; publish_put is done with it. */
struct writer publish_writer(struct publish *publish);
/* Writes a record there, in the configured format, which the message then names. */
struct writer publish_record(
	struct publish *publish, const struct telemetry *record, struct outbox_message *message);
/* Puts the message with what was written; `payload` NULL: an empty one. `from`: what its bytes are to be counted for; NULL: for
 * nobody. False: no room; or it is too long, which is logged, and it is lost. */
bool publish_put(struct publish *publish, struct outbox_message *message, const struct writer *payload,
	const struct conn *from, struct moment now);

/* In a cluster: who knows whether more of a unit is to come from another bridge. `asks` is kept. Before the first unit. */
typedef bool publish_asks(void *ctx, const struct session *session);
void publish_use_cluster(struct publish *publish, publish_asks *asks, void *ctx);
/* Is it still to come? Then what sums up the unit waits until its listener is told to tell, or a while. */
bool publish_is_asking(const struct publish *publish, const struct session *session);

/* What is kept beside the outbox and belongs to no unit's note: see outbox_keep and outbox_kept. */
bool publish_keep(struct publish *publish, struct span key, struct span value);
void publish_kept(
	struct publish *publish, void (*each)(void *ctx, struct span key, struct span value), void *ctx);

/* Time of the unit's newest dated position, Unix time; 0: none is known. It lasts as long as something is retained of the unit. */
int64_t publish_newest_ms(const struct publish *publish, struct session *session);
void publish_note_newest(struct publish *publish, struct session *session, int64_t newest_ms);
/* The message is retained, and that is remembered over restarts with the time of the unit's newest position, in one transaction:
 * so it can be cleared when the unit is forgotten. */
void publish_retain(struct outbox_message *message, const struct session *session, int64_t newest_ms);
/* Clears what is retained in one of the unit's topics. `forget`: nothing is remembered of it any more; for the last one, so that what
 * is not cleared yet when the process ends is cleared after the next start. False: no room. */
bool publish_clear(struct publish *publish, const char *ident, const char *name, const char *leaf, bool forget,
	struct moment now);

/* What became of a command: to <prefix>/<name>/cmd/reply and, when the request named one, to its MQTT 5 response
 * topic with its correlation data. False: no room. */
bool publish_reply(struct publish *publish, const char *ident, const char *name, struct span json,
	struct span response_topic, struct span correlation, int64_t now_ms);

#endif
