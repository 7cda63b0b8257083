// SPDX-License-Identifier: MIT
/* owntracks: a record as an OwnTracks location.
 * Uses: codecs/record.
 * Not: know any protocol or topic.
 * Source: owntracks/booklet, docs/tech/json.md. */
#ifndef T2M_OWNTRACKS_H
#define T2M_OWNTRACKS_H

#include "codecs/record/telemetry.h"

/* Does the record have what a location needs: a fix and a time that the unit itself gave? */
bool owntracks_can(const struct telemetry *t);

/* Writes the record, for which owntracks_can says yes, as one map. `tid`: the two characters that OwnTracks shows on its map. */
void owntracks_emit(const struct telemetry *t, struct span tid, struct emitter *e);

#endif
