// SPDX-License-Identifier: MIT
/* tunnel: from a browser's WebSocket to the broker, byte for byte.
 * Uses: bridge/base, bridge/settings.
 * Not: read MQTT but for the first packet, know the bridge's own connection.
 *
 * Who may see and who may command is the broker's matter: a viewer logs in with a user of the broker. The bridge's own name, password and
 * certificate are never used. The first packet must be a CONNECT, with a user name unless [web] anonymous = yes. A page of another origin
 * is refused, and who calls himself as the bridge does: the broker would end the bridge's own connection. Nothing is read from one side
 * while the other side does not take what was read. The broker's stream is gathered for some 30 ms; answers are not.
 *
 * Who has not logged in has ten seconds for it, and gives way when others come: so strangers keep no viewer out. */
#ifndef T2M_TUNNEL_H
#define T2M_TUNNEL_H

#include "bridge/base/http.h"
#include "bridge/base/stats.h"
#include "bridge/settings/config.h"

struct tunnel;

#define TUNNEL_LEAVING 32 /* connections beside max_viewers, that end to make room */

/* `config` and `stats` outlive it. NULL: `why` (of `size`). */
struct tunnel *tunnel_open(
	struct ev_loop *loop, const struct config *config, struct stats *stats, char *why, size_t size);
/* A http_handler; `tunnel` is the context. */
void tunnel_handler(void *tunnel, const struct http_request *request, struct http_answer *answer);
/* Browsers that come from now on reach this one of [mqtt] host, counted from 0. */
void tunnel_use(struct tunnel *tunnel, unsigned n);
/* Before the server is freed. */
void tunnel_end_all(struct tunnel *tunnel);
/* After tunnel_end_all. */
void tunnel_free(struct tunnel *tunnel);

#endif
