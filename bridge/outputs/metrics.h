/* metrics: /metrics and /healthz over HTTP, for Prometheus and for whoever watches the process.
 * May use: libmicrohttpd (metrics.c only), libev, stats. May not: know units or MQTT.
 *
 * At most 16 connections: see metrics.c for who has to go when more come. */
#ifndef T2M_METRICS_H
#define T2M_METRICS_H

#include "bridge/base/address.h"
#include "bridge/base/stats.h"

#include <ev.h>

struct metrics;

struct metrics_ops {
	void *ctx;
	/* Brings the gauges up to date. */
	void (*refresh)(void *ctx);
	/* NULL: healthy; else why not, as a sentence. */
	const char *(*trouble)(void *ctx);
};

/* Listens on this address. NULL: `why`. */
struct metrics *metrics_open(struct ev_loop *loop, const union address *listen, const struct stats *stats,
	const struct metrics_ops *ops, char *why, size_t size);
void metrics_free(struct metrics *metrics);

#endif
