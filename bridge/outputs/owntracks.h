// SPDX-License-Identifier: MIT
/* owntracks: each fix in OwnTracks' form as well, to a topic of its own.
 * Uses: codecs/formats.
 * Not: know sockets, MQTT or other outputs. */
#ifndef T2M_OUTPUTS_OWNTRACKS_H
#define T2M_OUTPUTS_OWNTRACKS_H

#include "bridge/outputs/publish.h"

struct owntracks;

/* NULL: no memory. */
struct owntracks *owntracks_open(const struct config *config, struct publish *publish);
void owntracks_free(struct owntracks *owntracks);
/* To be registered behind who completes the record. */
const struct unit_listener *owntracks_listener(struct owntracks *owntracks);

#endif
