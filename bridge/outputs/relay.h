// SPDX-License-Identifier: MIT
/* relay: the frames of units go on to the maker's platform as well, so that its app keeps working.
 * Uses: bridge/base, bridge/settings, bridge/units; <ev.h>.
 * Not: parse frames, know MQTT or other outputs.
 *
 * Each unit has a connection of its own there, as the platform expects. What the platform does, or that it is away, never holds up
 * the bridge: a bounded number of bytes waits for each unit, and beyond that the oldest frames are left out and counted. */
#ifndef T2M_RELAY_H
#define T2M_RELAY_H

#include "bridge/settings/config.h"
#include "bridge/units/session.h"

#include <ev.h>

struct relay;

/* NULL: no memory. The name of the server is looked up in a thread, again and again until there is an answer. */
struct relay *relay_open(
	struct ev_loop *loop, const struct config *config, struct sessions *sessions, struct stats *stats);
void relay_free(struct relay *relay);
/* Hears the frames of units that it relays; and when a unit goes off line, its connection ends once all is sent. */
const struct unit_listener *relay_listener(struct relay *relay);

#endif
