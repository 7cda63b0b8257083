// SPDX-License-Identifier: MIT
/* homeassistant_device: the document that tells Home Assistant of one unit: the device, its entities and buttons.
 * Uses: bridge/base, bridge/settings, bridge/units, codecs/record.
 * Not: know when it is told, or publish it.
 * Source: home-assistant.io, integrations mqtt, device_tracker.mqtt, sensor.mqtt, binary_sensor.mqtt, button.mqtt (device discovery).
 *
 * Every entity listens to the unit's state topic, which has the newest value of every key, so that each template only looks a key
 * up. A key that is missing gives an empty text, which Home Assistant passes over; no place gives `{}`. */
#ifndef T2M_HOMEASSISTANT_DEVICE_H
#define T2M_HOMEASSISTANT_DEVICE_H

#include "bridge/settings/config.h"
#include "bridge/units/session.h"
#include "codecs/record/emit.h"

/* What is known of a unit for its document. All zero: nothing. */
struct homeassistant_unit {
	uint32_t seen;             /* entities whose fields its records have had: these are told */
	uint8_t offers;            /* buttons whose commands its codec has */
	bool told;                 /* Home Assistant has its document */
	bool retained;             /* and so has the broker */
	char maker[12], model[31]; /* as the unit says itself; "": it has not */
};

/* Notes what this record, which is complete, tells of its unit. True: something is new that the document has to say. */
bool homeassistant_note(
	struct homeassistant_unit *unit, const struct session *session, const struct telemetry *record);
/* Writes the document. What is not meant to be there, such as a button that the configuration does not allow any more, stands in it as
 * an entity without anything but its platform: so Home Assistant removes it. */
void homeassistant_document(const struct config *config, const struct session *session,
	const struct homeassistant_unit *unit, struct emitter *e);

/* What is to be kept of a unit over restarts; and what was kept. Bytes of another form are passed over. */
void homeassistant_unit_save(const struct homeassistant_unit *unit, struct writer *out);
void homeassistant_unit_recall(struct homeassistant_unit *unit, struct span saved);
/* What another bridge kept is added. True: that was news. */
bool homeassistant_unit_join(struct homeassistant_unit *unit, struct span saved);

#endif
