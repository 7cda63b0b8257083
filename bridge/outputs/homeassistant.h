// SPDX-License-Identifier: MIT
/* homeassistant: tells Home Assistant of each unit, by MQTT discovery: one device with what this unit really sends.
 * Uses: bridge/base.
 * Not: know sockets, MQTT or other outputs.
 * Source: home-assistant.io, integration mqtt (device discovery).
 *
 * Told are units of the units file, and others only where [homeassistant] unknown allows it. Who is not meant any more is removed
 * there. Everything that was told is told again when Home Assistant starts. */
#ifndef T2M_HOMEASSISTANT_H
#define T2M_HOMEASSISTANT_H

#include "bridge/base/route.h"
#include "bridge/outputs/leftover.h"

struct homeassistant;

/* What it leaves behind when discovery is switched off: the devices of units go from Home Assistant. */
extern const struct leftover_kind homeassistant_leftover;

/* Before the first unit; all three must live longer. NULL: no memory. */
struct homeassistant *homeassistant_open(
	const struct config *config, struct publish *publish, struct sessions *sessions);
void homeassistant_free(struct homeassistant *h);
/* To be registered behind who completes the record, and behind who publishes it. */
const struct unit_listener *homeassistant_listener(struct homeassistant *h);

/* The topic on which Home Assistant says that it has started. */
struct topic homeassistant_birth_topic(const struct config *config);
/* A message on that topic, a route_handler whose ctx is the struct homeassistant. `online`: every unit that is meant is told again. */
void homeassistant_birth(void *h, const struct route_message *message, struct moment now);
/* The configuration or the units file has changed, and is in force: what was told is told again as it is now, or removed. */
void homeassistant_reload(struct homeassistant *h);

#endif
