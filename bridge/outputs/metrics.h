// SPDX-License-Identifier: MIT
/* metrics: /metrics and /healthz, for Prometheus and for whoever watches the process.
 * Uses: bridge/base.
 * Not: know sockets, units or MQTT. */
#ifndef T2M_METRICS_H
#define T2M_METRICS_H

#include "bridge/base/http.h"
#include "bridge/base/stats.h"

struct metrics;

struct metrics_ops {
	void *ctx;
	/* Brings the gauges up to date. */
	void (*refresh)(void *ctx);
	/* NULL: healthy; else why not, as a sentence that is valid until the next call. */
	const char *(*trouble)(void *ctx);
	/* Lines that /healthz shows beside it, valid until the next call; "": none. */
	const char *(*remark)(void *ctx);
};

/* Adds both paths to the server. `stats` lives longer, `ops` is copied. NULL: no memory, or one of the paths is taken. */
struct metrics *metrics_open(struct http *http, const struct stats *stats, const struct metrics_ops *ops);
/* After http_free: the server still leads to it. */
void metrics_free(struct metrics *metrics);

#endif
