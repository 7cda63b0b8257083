/* homeassistant: tells Home Assistant of each unit, by MQTT discovery: one device with what this unit really sends.
 * May use: session (reading), uplink, emit. May not: know sockets or MQTT.
 * Source: home-assistant.io, integrations mqtt and device_tracker.mqtt (device discovery). */
#ifndef T2M_HOMEASSISTANT_H
#define T2M_HOMEASSISTANT_H

#include "bridge/outputs/uplink.h"

struct homeassistant;

struct homeassistant *homeassistant_open(const struct config *config, struct uplink *uplink);
void homeassistant_free(struct homeassistant *h);

/* The topic on which Home Assistant says that it has started. */
struct topic homeassistant_birth_topic(const struct config *config);
/* Tells it of this unit, if there is something to tell. False: no room. */
bool homeassistant_tell(struct homeassistant *h, const struct session *session, int64_t now_ms);

/* A record of this unit, after it was published: is there something new in it that is to be told? */
bool homeassistant_record(struct session *session, const struct telemetry *t);
/* The unit is no longer known. False: no room. */
bool homeassistant_remove(struct homeassistant *h, const char *ident, int64_t now_ms);

#endif
