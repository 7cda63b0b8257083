// SPDX-License-Identifier: MIT
/* raw: each frame as it was -> the unit's raw topic, when the configuration wants that; and who comes and
 * is no unit, by the first bytes, or is a unit that is not admitted -> the log and the bridge's unknown topic.
 * Uses: bridge/base.
 * Not: look inside a frame; know MQTT or other outputs. */
#ifndef T2M_RAW_H
#define T2M_RAW_H

#include "bridge/outputs/publish.h"

struct raw;

/* NULL: no memory. */
struct raw *raw_open(const struct config *config, struct publish *publish);
void raw_free(struct raw *raw);
const struct unit_listener *raw_listener(struct raw *raw);
/* The configuration was read again: it listens to frames only with [publish] raw. It is to be registered again. */
void raw_use_config(struct raw *raw);

#endif
