// SPDX-License-Identifier: MIT
/* turn: the turn of the loop: what all that came in it leads to, once.
 * Uses: nothing else.
 * Not: hold any logic of its own. */
#ifndef T2M_TURN_H
#define T2M_TURN_H

#include "bridge/parts.h"

/* From now on each turn of the loop ends so. */
void turn_start(struct bridge *bridge);

#endif
