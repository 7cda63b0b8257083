// SPDX-License-Identifier: MIT
/* web: the page in the browser: its files, its settings, and the tunnel to the broker, over HTTP.
 * Uses: bridge/base, bridge/settings, codecs/record.
 * Not: know users, units or what the page shows. */
#ifndef T2M_WEB_H
#define T2M_WEB_H

#include "bridge/base/http.h"
#include "bridge/base/stats.h"
#include "bridge/settings/config.h"

struct web;

/* What else the page's address answers. */
struct web_more {
	void *ctx;
	bool (*route)(
		void *ctx, struct http *http); /* adds its paths to a server; NULL: there is nothing else */
};

/* Listens as [web] says. `config` and `stats` outlive it; `more` is copied. NULL: `why` (of `size`). */
struct web *web_open(struct ev_loop *loop, const struct config *config, struct stats *stats,
	const struct web_more *more, char *why, size_t size);
/* Reads the certificate again. When it has changed, all viewers are ended; their pages come back by themselves. False: `why`; a certificate with
 * faults leaves everything as it was. */
bool web_reload(struct web *web, char *why, size_t size);
/* Which of [mqtt] host browsers reach from now on, counted from 0. */
void web_use_broker(struct web *web, unsigned n);
void web_free(struct web *web);

#endif
