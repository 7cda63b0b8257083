// SPDX-License-Identifier: MIT
/* notebook: what is known of each trusted unit is kept beside the outbox, as a note with what all listeners know of it.
 * Uses: bridge/base, bridge/outbox, bridge/settings, bridge/units.
 * Not: know what stands in a note.
 *
 * Notes are written in the transaction of the turn: at once when the unit comes or goes, or an alarm of it begins or ends; at most once in
 * [publish] state_interval for what changes with every record, and together with a state that is published. So a crash may lose what the
 * records of the last interval said of a state that was not published yet; the records themselves are in the outbox. */
#ifndef T2M_NOTEBOOK_H
#define T2M_NOTEBOOK_H

#include "bridge/outbox/outbox.h"
#include "bridge/settings/config.h"
#include "bridge/units/session.h"

struct notebook;

/* Before the first unit; all three must live longer. NULL: no memory. */
struct notebook *notebook_open(const struct config *config, struct outbox *outbox, struct sessions *sessions);
void notebook_free(struct notebook *notebook);
/* To be registered before all others that know something of a unit: with its note the unit is forgotten. */
const struct unit_listener *notebook_listener(struct notebook *notebook);

/* What is known of the unit has changed; `at_once`: it is kept with this turn. Nothing is kept of a unit that is not trusted. */
void notebook_change(struct notebook *notebook, struct session *session, bool at_once, struct moment now);
/* What has changed of it by now is told to others, so it is kept with this turn, before they are told; nothing changes otherwise. */
void notebook_hurry(struct notebook *notebook, struct session *session);
/* Gives the outbox the notes that are due: once in a turn, before the outbox is stored. `last`: all that have changed. */
void notebook_turn(struct notebook *notebook, bool last, struct moment now);

/* What belongs to no unit, such as a table that notes refer to: kept under a name that begins with #, which no ident does. */
bool notebook_keep(struct notebook *notebook, const char *name, struct span value);
/* Gives `each` what an earlier run kept: names that begin with # first, then units. Before the first input. `each` may not use the
 * notebook. */
void notebook_read(
	struct notebook *notebook, void (*each)(void *ctx, struct span name, struct span value), void *ctx);

#endif
