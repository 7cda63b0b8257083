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

#endif
