// SPDX-License-Identifier: MIT
/* parts_outbox: the outbox, and the disk that wakes the loop for it.
 * Uses: nothing else. */
#ifndef T2M_PARTS_OUTBOX_H
#define T2M_PARTS_OUTBOX_H

#include "bridge/parts.h"

/* With sync = always the disk works beside the loop. False: `why`; parts_outbox_close is still due. */
bool parts_outbox_open(struct bridge *bridge, char *why, size_t size);
void parts_outbox_close(struct bridge *bridge);

#endif
