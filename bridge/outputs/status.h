// SPDX-License-Identifier: MIT
/* status: whether a unit is on line, since when, where and why not -> its status topic, retained of trusted units.
 * Uses: nothing else.
 * Not: know sockets, MQTT or other outputs. */
#ifndef T2M_STATUS_H
#define T2M_STATUS_H

#include "bridge/outputs/publish.h"

struct status;

/* NULL: no memory. */
struct status *status_open(const struct config *config, struct publish *publish);
void status_free(struct status *status);
/* To be registered before all others that retain something of a unit: with its status the unit is forgotten. */
const struct unit_listener *status_listener(struct status *status);

/* In a cluster: who knows whether a unit is this bridge's. */
struct status_gate {
	void *ctx;
	/* Its status is to be told: now, or (false) when the one who knows wants it: that is noted. */
	bool (*begin)(void *ctx, struct session *session);
	/* What its status says as `session`. */
	int64_t (*number)(void *ctx, const struct session *session);
};
/* `gate` is copied. */
void status_use_gate(struct status *status, const struct status_gate *gate);
/* A unit of a bridge that is gone. */
struct status_gone {
	const char *instance, *reason;
};
/* Its status: off line. Valid until something else is published. */
struct span status_of_gone(struct status *status, const struct status_gone *gone, struct moment now);

#endif
