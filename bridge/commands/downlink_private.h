// SPDX-License-Identifier: MIT
/* downlink_private: what the files downlink*.c share; nobody else includes it.
 * Uses: bridge/base.
 *
 *   downlink         a request, from the message to its end
 *   downlink_cluster an end, or a hold, that the registry of the cluster has to allow */
#ifndef T2M_DOWNLINK_PRIVATE_H
#define T2M_DOWNLINK_PRIVATE_H

#include "bridge/base/log.h"
#include "bridge/commands/downlink.h"
#include "bridge/commands/ended.h"
#include "bridge/commands/outcome.h"
#include "bridge/commands/settling.h"
#include "bridge/commands/waiting.h"

struct downlink;

/* What downlink_cluster.c does with a request that has a ticket. */
struct downlink_cluster {
	/* Asks the registry whether this end counts. */
	void (*settle)(struct downlink *d, struct waiting *w, const struct outcome *outcome, struct moment now);
	/* Asks the registry to hold the request. */
	void (*hold)(struct downlink *d, struct waiting *w, int64_t hold_ms, struct moment now);
};

struct downlink {
	const struct config *config;
	struct sessions *sessions;
	struct outbox *outbox; /* NULL: nothing is kept */
	struct unit_listener listener;
	struct outcomes outcomes;
	struct waiting_list waiting;
	struct ended ended;
	int64_t due_ms; /* no stage ends before this; steady time */
	bool stopping;
	struct moment restored_at; /* during downlink_restore */
	struct log_limit no_ident;
	struct downlink_registry registry;
	downlink_answer *answer; /* NULL: this bridge is alone */
	void *answer_ctx;
	const struct downlink_cluster *cluster; /* NULL: this bridge is alone */
};

/* --- downlink.c --- */

/* The request has ended: tells its outcome (NULL: another bridge has told one) and frees it. False: it is not told, for want of room. */
bool downlink_tell_end(struct downlink *d, struct waiting *w, const struct outcome *outcome, struct moment now);
/* The request ends so, unless the unit has sent a receipt: then that is its answer. */
void downlink_ends_with(struct downlink *d, struct waiting *w, enum outcome_status status, const char *reason,
	struct moment now);
/* What became of the request meanwhile. */
bool downlink_tell(struct downlink *d, const struct waiting *w, struct outcome o, struct moment now);
/* What outcome_write and outcome_tell want to know of the request. */
struct outcome_subject downlink_subject(const struct waiting *w, struct outcome o, struct moment now);

#endif
