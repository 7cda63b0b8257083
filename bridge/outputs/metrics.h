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

/* `stats` lives longer, `ops` is copied. NULL: no memory. */
struct metrics *metrics_open(const struct stats *stats, const struct metrics_ops *ops);
/* Adds both paths to a server, which is freed before the metrics are. False: one of the paths is taken. */
bool metrics_route(void *metrics, struct http *http);
void metrics_free(struct metrics *metrics);

#endif
