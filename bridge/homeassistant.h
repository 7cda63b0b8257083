/* homeassistant: tells Home Assistant of each unit, by MQTT discovery: one device with what this unit really sends.
 * May use: session (reading), uplink, emit. May not: know sockets or MQTT.
 * Source: home-assistant.io, integrations mqtt and device_tracker.mqtt (device discovery). */
#ifndef T2M_HOMEASSISTANT_H
#define T2M_HOMEASSISTANT_H

#include "uplink.h"

struct homeassistant;

struct homeassistant *homeassistant_open(
	const struct config *config, struct sessions *sessions, struct uplink *uplink);
void homeassistant_free(struct homeassistant *h);

/* The topic on which Home Assistant says that it has started. */
struct topic homeassistant_birth_topic(const struct config *config);
/* It has: all known units once more. */
void homeassistant_birth(struct homeassistant *h, int64_t now_ms);

/* A record of this unit, after it was published; what is new in it is told. */
void homeassistant_record(
	struct homeassistant *h, struct session *session, const struct telemetry *t, int64_t now_ms);
/* The unit is no longer in the units file. */
void homeassistant_remove(struct homeassistant *h, const char *ident, int64_t now_ms);

#endif
