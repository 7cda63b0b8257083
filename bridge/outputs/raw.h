// SPDX-License-Identifier: MIT
/* raw: frames as they were -> the unit's raw topic, when the configuration, the units file or a request wants them; and who comes and
 * is no unit, by the first bytes, or is a unit that is not admitted -> the log and the bridge's unknown topic.
 * Uses: bridge/base.
 * Not: look inside a frame; know MQTT or other outputs.
 *
 * A request goes to <prefix>/<ident>/raw/set: a duration from 0 to 1h. For so long, from now on, every frame of this unit is published; 0
 * ends that. Any ident is taken, for the unit may come later, and with several bridges to any of them. Each request is answered on the
 * unit's raw topic, with "direction":"none", and until when that lasts (Unix time in seconds; 0: no longer), or with an error. */
#ifndef T2M_RAW_H
#define T2M_RAW_H

#include "bridge/base/route.h"
#include "bridge/outputs/publish.h"

struct raw;

/* NULL: no memory. */
struct raw *raw_open(const struct config *config, struct publish *publish, struct sessions *sessions);
void raw_free(struct raw *raw);
const struct unit_listener *raw_listener(struct raw *raw);
/* A message on <prefix>/<name or ident>/raw/set; other topics are ignored. A route_handler whose ctx is the struct raw. */
void raw_message(void *raw, const struct route_message *message, struct moment now);

#endif
