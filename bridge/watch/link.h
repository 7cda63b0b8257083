// SPDX-License-Identifier: MIT
/* link: the connection to the broker.
 * Uses: codecs/record; <mosquitto.h>. */
#ifndef T2M_WATCH_LINK_H
#define T2M_WATCH_LINK_H

#include "bridge/watch/watch_options.h"
#include "codecs/record/bytes.h"

struct link;

struct link_events {
	void *ctx;
	void (*message)(void *ctx, struct span topic, struct span payload, bool retained);
	void (*said)(void *ctx, const char *text); /* for people: subscribed, not allowed */
};

#define LINK_WHY_MAX 700

/* Options and events must outlive it. NULL: `why` says what is wrong with the options, or that there is no memory. */
struct link *link_open(
	const struct watch_options *options, const struct link_events *events, char why[LINK_WHY_MAX]);
/* Says goodbye when it is connected. */
void link_free(struct link *link);

/* Connects, which may take as long as the system lets it. False: link_why() says why not. */
bool link_connect(struct link *link);
/* Waits for up to `ms` for what comes. False: the connection has ended, link_why() says why. */
bool link_step(struct link *link, int ms);
/* Has the broker accepted this connection? */
bool link_is_up(const struct link *link);
/* In words, with what to do where that is known. */
const char *link_why(const struct link *link);

#endif
