/* relay: the frames of units go on to the maker's platform as well, so that its app keeps working.
 * May use: libev, address. May not: parse frames, know MQTT.
 *
 * Each unit has a connection of its own there, as the platform expects. What the platform does, or that it is away, never holds up
 * the bridge: a bounded number of bytes waits for each unit, and beyond that the oldest frames are left out and counted. */
#ifndef T2M_RELAY_H
#define T2M_RELAY_H

#include "codecs/record/bytes.h"
#include "bridge/settings/config.h"
#include "bridge/base/stats.h"

#include <ev.h>

struct relay;

struct relay_ops {
	void *ctx;
	/* What the platform says to this unit. */
	void (*reply)(void *ctx, const char *ident, struct span bytes);
};

/* NULL: no memory. The name of the server is looked up in a thread, again and again until there is an answer. */
struct relay *relay_open(
	struct ev_loop *loop, const struct config *config, struct stats *stats, const struct relay_ops *ops);
void relay_free(struct relay *relay);

/* A frame of this unit. */
void relay_frame(struct relay *relay, const char *ident, struct span frame);
/* The unit is off line: its connection ends when all is sent. */
void relay_offline(struct relay *relay, const char *ident);

#endif
