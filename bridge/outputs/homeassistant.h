/* homeassistant: tells Home Assistant of each unit, by MQTT discovery: one device with what this unit really sends.
 * Uses: bridge/base.
 * Not: know sockets, MQTT or other outputs.
 * Source: home-assistant.io, integrations mqtt and device_tracker.mqtt (device discovery). */
#ifndef T2M_HOMEASSISTANT_H
#define T2M_HOMEASSISTANT_H

#include "bridge/base/route.h"
#include "bridge/outputs/publish.h"

struct homeassistant;

/* Before the first unit; all three must live longer. NULL: no memory. */
struct homeassistant *homeassistant_open(
	const struct config *config, struct publish *publish, struct sessions *sessions);
void homeassistant_free(struct homeassistant *h);
/* To be registered behind who completes the record, and behind who publishes it. */
const struct unit_listener *homeassistant_listener(struct homeassistant *h);

/* The topic on which Home Assistant says that it has started. */
struct topic homeassistant_birth_topic(const struct config *config);
/* A message on that topic, a route_handler whose ctx is the struct homeassistant. `online`: every trusted unit is announced again. */
void homeassistant_birth(void *h, const struct route_message *message, struct moment now);
/* The unit is no longer known. False: no room. */
bool homeassistant_remove(struct homeassistant *h, const char *ident, struct moment now);

#endif
