// SPDX-License-Identifier: MIT
/* leftover: what an earlier configuration had retained of units, and this one does not publish any more, is cleared, once.
 * Uses: nothing else.
 * Not: know what stands in a note, or on the topic.
 *
 * It takes the place of the output that is switched off. Where the unit's note says that something is left, it is cleared, and the note
 * is written anew in the same turn, without that part. */
#ifndef T2M_LEFTOVER_H
#define T2M_LEFTOVER_H

#include "bridge/outputs/publish.h"

struct leftover;

/* What an output that is switched off leaves behind. */
struct leftover_kind {
	char letter; /* of its part of a note */
	/* Does this part, which is not empty, say that something is retained? */
	bool (*is_left)(struct span part);
	/* Clears it. False: no room. */
	bool (*clear)(const struct config *config, struct publish *publish, const struct session *session,
		struct moment now);
};

/* Before the first unit; all must live longer. NULL: no memory. */
struct leftover *leftover_open(const struct config *config, struct publish *publish, struct sessions *sessions,
	const struct leftover_kind *kind);
void leftover_free(struct leftover *leftover);
/* To be registered where the output would be. */
const struct unit_listener *leftover_listener(struct leftover *leftover);

#endif
