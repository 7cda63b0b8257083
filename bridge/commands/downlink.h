// SPDX-License-Identifier: MIT
/* downlink: a request comes from MQTT, is checked, and its command is sent to the unit; what became of it goes to cmd/reply.
 * Uses: bridge/base, bridge/outbox, bridge/outputs, bridge/settings, bridge/units.
 * Not: know frame bytes, MQTT; ask for the time: `now` is an argument. Waiting times are measured by its
 * steady clock, so that setting the system's clock changes none of them; its Unix time is only written
 * down.
 *
 * Each request ends exactly once: answered, timeout, offline, expired or rejected. Before that it may be held (the unit is
 * not connected) and sent. A unit's answer is never called success, for what it means is the unit's affair. The timeout of a
 * request begins when the command is queued, and once more when it is sent. A request that has ended is never sent
 * afterwards.
 *
 * An outbox with a store keeps the requests that wait: they go on after a restart, for the rest of their time. Whatever had been queued
 * may have been sent, so it is not sent again: it ends as answered or timeout. */
#ifndef T2M_DOWNLINK_H
#define T2M_DOWNLINK_H

#include "bridge/base/route.h"
#include "bridge/commands/ticket.h"
#include "bridge/settings/config.h"
#include "bridge/units/session.h"
#include "bridge/outputs/publish.h"
#include "bridge/outbox/outbox.h"

struct downlink;

/* All are held on to, and must live longer; a reload may change the values in `config`. `outbox` keeps the requests that wait; NULL:
 * nobody does. NULL: no memory. */
struct downlink *downlink_open(const struct config *config, struct sessions *sessions, struct publish *publish,
	struct outbox *outbox, struct stats *stats);
/* The requests that the run before has kept wait on: once, before the first unit. Not without an outbox. */
void downlink_restore(struct downlink *downlink, struct moment now);
/* Requests that still wait are dropped without a reply: see downlink_stop. */
void downlink_free(struct downlink *downlink);
/* A unit that can be sent something gets what is held for it; when it answers, or goes off line, the request that waits ends. */
const struct unit_listener *downlink_listener(struct downlink *downlink);

/* A message on <prefix>/<name or ident>/cmd; other topics are ignored. A route_handler whose ctx is the struct downlink; the
 * message and its spans are used during the call only. */
void downlink_message(void *downlink, const struct route_message *message, struct moment now);

/* --- in a cluster: see cluster/cluster.h. A request has a ticket there, its number in the registry --- */

/* The same as downlink_message for a request with a ticket; "": none. A request with a ticket ends, or is held, when the registry allows it. */
void downlink_take(
	struct downlink *downlink, const struct route_message *message, const char *ticket, struct moment now);

struct downlink_registry {
	void *ctx;
	/* Does an end that this bridge gives the request count? downlink_finished is called later, not before this returns. What the end is: see
	 * downlink_ending. */
	void (*finish)(void *ctx, uint64_t number, const char *ticket);
	/* The request is to be held for so long, for whichever bridge its unit comes to. `id`: of the request, "" when it has none. downlink_held is
	 * called later. */
	void (*hold)(void *ctx, uint64_t number, const char *ticket, const char *id, int64_t hold_ms);
};
/* `registry` is copied. Before the first request. */
void downlink_use_registry(struct downlink *downlink, const struct downlink_registry *registry);
/* The end of a request that waits for downlink_finished; its spans are valid until the next call. False: none does under this number. */
struct downlink_ending {
	struct span reply; /* JSON */
	struct span response_topic, correlation;
};
bool downlink_ending(const struct downlink *downlink, uint64_t number, struct downlink_ending *out);
/* `counts` false: another bridge has ended it, and nothing is told. False: its end is not told, for want of room. */
bool downlink_finished(struct downlink *downlink, uint64_t number, bool counts);
/* Publishes an end that another bridge, or an earlier run, has noted and not published. False: no room. */
bool downlink_tell_for(
	struct downlink *downlink, const char *ident, const struct downlink_ending *end, struct moment now);
enum downlink_hold { DOWNLINK_HELD = 0, DOWNLINK_ELSEWHERE, DOWNLINK_CROWDED, DOWNLINK_SAME_ID };
void downlink_held(struct downlink *downlink, uint64_t number, enum downlink_hold hold, struct moment now);

/* The unit has gone to another bridge, and may answer through that one what it was sent: this ends as answered or timeout. */
void downlink_answers_elsewhere(struct downlink *downlink, const char *ident);
/* A unit has answered what no request here waits for: `answer` is told, and gives it to the bridge that sent
 * the command, which calls downlink_answered. */
typedef void downlink_answer(void *ctx, struct session *session, const struct command_reply *reply);
void downlink_use_answers(struct downlink *downlink, downlink_answer *answer, void *ctx);
void downlink_answered(
	struct downlink *downlink, struct span ident, const struct command_reply *reply, struct moment now);

/* Ends a request that no unit of this bridge was sent. `reason`: a sentence for the user. */
enum downlink_why { DOWNLINK_REFUSED = 0, DOWNLINK_GONE, DOWNLINK_EXPIRED };
void downlink_end(struct downlink *downlink, const struct route_message *message, const char *ticket,
	enum downlink_why why, const char *reason, struct moment now);
/* Does a request with this ticket wait here? */
bool downlink_has(const struct downlink *downlink, const char *ticket);
/* What is queued and has not left does not leave: it ends as offline. */
void downlink_take_back(struct downlink *downlink, const char *reason, struct moment now);

/* Time passes: timeouts and expiries. */
void downlink_tick(struct downlink *downlink, struct moment now);
/* The bridge stops: the requests that wait, and that the outbox does not keep, end as offline. */
void downlink_stop(struct downlink *downlink, struct moment now);

#endif
