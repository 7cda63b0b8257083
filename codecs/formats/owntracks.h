/* owntracks: a record as an OwnTracks location.
 * May use: telemetry, emit. May not: know any protocol or topic.
 * Source: owntracks/booklet, docs/tech/json.md. */
#ifndef T2M_OWNTRACKS_H
#define T2M_OWNTRACKS_H

#include "codecs/record/telemetry.h"

/* Has it what OwnTracks needs: a fix, with its time? */
bool owntracks_can(const struct telemetry *t);

/* Writes it as one map; `tid`: the two characters that a map shows. */
void owntracks_emit(const struct telemetry *t, struct span tid, struct emitter *e);

#endif
