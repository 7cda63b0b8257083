// SPDX-License-Identifier: MIT
/* line_private: the facts of a record, for line.
 * Uses: nothing else. */
#ifndef T2M_LINE_PRIVATE_H
#define T2M_LINE_PRIVATE_H

#include "bridge/watch/facts.h"
#include "bridge/watch/line.h"

/* The facts of position, telemetry and alarm; the sight has a document. */
void line_record(struct pen *pen, enum line_kind kind, const struct sight *sight);
void line_alarms(struct pen *pen, const struct sight *sight);

#endif
