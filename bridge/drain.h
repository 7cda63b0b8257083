// SPDX-License-Identifier: MIT
/* drain: the bridge is to be empty: no new connections, units go at a rate, /healthz answers 503; then it stops as with SIGTERM.
 * Uses: bridge/base.
 * Not: choose which units go. */
#ifndef T2M_DRAIN_H
#define T2M_DRAIN_H

#include "bridge/parts.h"

/* From now on SIGUSR1 drains the bridge. */
void drain_open(struct bridge *bridge);
/* <prefix>/bridge/<instance>/drain: a route_handler whose ctx is the struct bridge. */
void drain_message(void *bridge, const struct route_message *message, struct moment now);
/* While it drains, for /healthz. Valid until the next call. */
const char *drain_trouble(struct bridge *bridge);
/* With parts_tick. */
void drain_tick(struct bridge *bridge);

#endif
