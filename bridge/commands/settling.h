// SPDX-License-Identifier: MIT
/* settling: the end of a request, kept until the registry of the cluster says whose end counts.
 * Uses: nothing else.
 * Not: know the registry. */
#ifndef T2M_SETTLING_H
#define T2M_SETTLING_H

#include "bridge/commands/outcome.h"
#include "bridge/commands/waiting.h"

/* A copy of an outcome, and the stage in which it came. */
struct settling {
	struct outcome outcome;
	struct command_reply reply;
	enum request_stage before;
	struct moment at;
	char bytes[]; /* what the two point to */
};

/* Notes the outcome in the request, which enters STAGE_SETTLING. False: no memory. */
bool settling_note(struct waiting *w, const struct outcome *outcome, struct moment now);

#endif
