// SPDX-License-Identifier: MIT
/* stats: named counters, counted where things happen, published as one JSON map.
 * Uses: codecs.
 * Not: know where the numbers come from. */
#ifndef T2M_STATS_H
#define T2M_STATS_H

#include "codecs/codec.h"

#include <stdio.h>

enum counter {
	STAT_UPTIME = 0, /* gauge: seconds */
	STAT_ACCEPTED,
	STAT_CONNECTIONS, /* gauge */
	STAT_UNITS,       /* gauge: units on line */
	STAT_TAKEOVERS,
	STAT_FLAPPING,
	STAT_BYTES_IN,
	STAT_BYTES_OUT,
	STAT_NOISE,
	STAT_UNKNOWN,
	STAT_FRAMES,
	STAT_RECORDS,
	STAT_MISDATED,
	STAT_ALARMS,
	STAT_ACKS,
	STAT_COMMANDS,
	STAT_COMMANDS_SENT,
	STAT_COMMANDS_OFFLINE,
	STAT_COMMANDS_REJECTED,
	STAT_COMMANDS_ANSWERED,
	STAT_COMMANDS_TIMEOUT,
	STAT_COMMANDS_EXPIRED,
	STAT_COMMANDS_UNTOLD,
	STAT_PENDING, /* gauge: messages in the outbox */
	STAT_PENDING_BYTES,
	STAT_STALLED, /* gauge: 1 while reading from units pauses */
	STAT_PUBLISHED,
	STAT_NOT_TAKEN,
	STAT_WAITING, /* gauge */
	STAT_ASIDE,
	STAT_NOT_SUBSCRIBED,
	STAT_MQTT_CONNECTS,
	STAT_MQTT_INFLIGHT, /* gauge */
	STAT_RELAYED,
	STAT_RELAY_DROPPED,
	STAT_VIEWERS,             /* gauge */
	STAT_REFUSED_CONNECTIONS, /* from here on: what was refused, by reason; see source.h */
	STAT_REFUSED_PER_ADDRESS,
	STAT_REFUSED_UNIDENTIFIED,
	STAT_REFUSED_NO_FRAME,
	STAT_REFUSED_UNKNOWN_PROTOCOL,
	STAT_REFUSED_PROXY_FROM,
	STAT_REFUSED_PROXY_HEADER,
	STAT_REFUSED_TLS,
	STAT_REFUSED_UNITS_PER_CONNECTION,
	STAT_REFUSED_UNITS,
	STAT_REFUSED_ARRIVALS_PER_ADDRESS,
	STAT_REFUSED_UDP_ARRIVALS,
	STAT_REFUSED_FRAMES_PER_UNIT,
	STAT_REFUSED_FRAMES_PER_ADDRESS,
	STAT_REFUSED_NOT_ADMITTED,
	STAT_REFUSED_TAKEOVER,
	STAT_REFUSED_UDP_ANSWER,
	STAT_REFUSED_OUTPUT,
	STAT_REFUSED_OUTBOX_SHARE,
	/* must stay last */
	STAT_COUNT
};

enum stat_kind { STAT_IS_COUNTER = 0, STAT_IS_GAUGE };

struct stat_info {
	const char *name; /* in the stats message */
	const char *
		metric; /* for Prometheus, without prefix and _total; NULL: refused_total with the reason as its label */
	enum stat_kind kind;
	const char *help; /* a sentence; of what was refused: why, and what to do */
};

extern const struct stat_info stat_table[STAT_COUNT];

struct stats {
	uint64_t count[STAT_COUNT];
	uint64_t rejected[CODEC_STATUS_COUNT]; /* frames, by reason */
	const char *broker; /* which of several brokers is in use, as host:port; NULL: there is one only */
};

static inline void stats_add(struct stats *stats, enum counter counter, uint64_t n)
{
	stats->count[counter] += n;
}

static inline void stats_set(struct stats *stats, enum counter counter, uint64_t n)
{
	stats->count[counter] = n;
}

/* The reason of a STAT_REFUSED_... counter: its name without `refused.`. */
const char *stat_reason(enum counter counter);
/* One flat map of all counters, and `mqtt.broker` where there are several. */
void stats_emit(const struct stats *stats, struct emitter *e);
/* A line a counter, for people: name, counter or gauge, meaning. */
void stats_print(FILE *out);
/* The same in Prometheus' text format. */
void stats_write_metrics(const struct stats *stats, struct writer *w);

#endif
