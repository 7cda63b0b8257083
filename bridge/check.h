// SPDX-License-Identifier: MIT
/* check: what the configuration names outside of itself: commands, directories, certificates, the units file, address space.
 * Uses: bridge/base, bridge/broker, bridge/cluster, bridge/commands, bridge/outbox, bridge/settings,
 * bridge/units.
 * Not: start anything, make anything. */
#ifndef T2M_CHECK_H
#define T2M_CHECK_H

#include "bridge/settings/config.h"

/* How many faults there are, each told in a line to `errors`. `test`: also what a start would find by itself, or may go without. */
unsigned check_config(const struct config *config, bool test, FILE *errors);
/* The part of it that a reload does not find by itself. */
unsigned check_reload(const struct config *config, FILE *errors);

#endif
