// SPDX-License-Identifier: MIT
/* source: what is remembered of an address from which units or strangers come: how many connections, how fast, what was
 * refused.
 * Uses: bridge/base.
 * Not: know sockets or sessions.
 *
 * IPv6 counts by /64: that is what one customer has. A refusal is counted each time and logged at most once a minute for an
 * address, with a line that stays as it is: `refused ADDRESS: REASON (N since the last line)`. The address of a datagram can be
 * forged; its line is `refused udp ADDRESS: ...`, and nobody should be banned for it. Of all addresses together there are at most
 * 600 such lines a minute (30 over UDP); the rest is counted in one.
 *
 * Times are those of the steady clock. */
#ifndef T2M_SOURCE_H
#define T2M_SOURCE_H

#include "bridge/base/address.h"
#include "bridge/base/hash.h"
#include "bridge/peers/share.h"
#include "bridge/base/stats.h"

/* What was spent in the period that began at since_ms. All zero at first. */
struct bucket {
	int64_t spent, since_ms;
};

#define BUCKET_SECOND 1000
#define BUCKET_MINUTE 60000

/* Is so much spent in this period? `rate` 0: no limit. */
bool bucket_empty(const struct bucket *bucket, int64_t rate, int64_t period_ms, int64_t now_ms);
void bucket_spend(struct bucket *bucket, int64_t amount, int64_t period_ms, int64_t now_ms);

struct conn;

/* What an address may do over TCP, or over UDP: two accounts, for a forged datagram must not use up what is there for those who
 * connect. */
struct source_side {
	uint32_t connections;
	struct bucket frames, arrivals, lines; /* arrivals: units that came on line */
	struct bucket silent, wordless;        /* lines about connections that say nothing, or end so */
	uint64_t refused;                      /* since the last line */
	int64_t told_ms;                       /* of the last line; 0: none yet */
};

struct source {
	uint8_t key[16];
	struct source_side side[2]; /* over TCP, and over UDP */
	struct share fresh, conns,
		units;      /* connections without and with a unit, and units, that can give way */
	uint32_t strangers; /* all units that are not in the units file */
	struct conn *fresh_conns, *unit_conns; /* the same connections, the oldest first */
	struct bucket trusted;                 /* units that are trusted by now; over TCP */
	uint64_t stored, stored_epoch;         /* bytes that came into the outbox: see publish.c */
	struct source *prev, *next;            /* those without connections, the longest first */
	UT_hash_handle hh;
};

struct sources;

struct sources *sources_open(struct stats *stats);
void sources_free(struct sources *sources);

/* Never NULL; when memory is short many addresses share one. Valid until the next call without source_hold. */
struct source *source_find(struct sources *sources, const union address *address);
/* For each connection of the address, while it lasts. */
void source_hold(struct sources *sources, struct source *source, bool udp);
void source_release(struct sources *sources, struct source *source, bool udp);

/* Who holds most of fresh connections, connections with units, strangers' units. In them stands only what can give way. */
struct shares *sources_fresh(struct sources *sources);
struct shares *sources_conns(struct sources *sources);
struct shares *sources_units(struct sources *sources);
/* What all strangers over UDP hold together, for their addresses prove nothing: its units, its conns. */
struct source *sources_udp(struct sources *sources);

/* Counts what was refused to this address, under one of the STAT_REFUSED_... counters, and logs it now and then. */
void source_refused(struct sources *sources, struct source *source, const union address *address, bool udp,
	enum counter reason, int64_t now_ms);
/* May one more line about this address be logged? A few a minute; it counts as one. */
bool source_take_line(struct sources *sources, struct source *source, bool udp, int64_t now_ms);
/* May one more line be logged about a TCP connection of this address that says nothing? A few a minute. And about one that the peer has
 * closed so? One an hour, for health checks do that all the time. Each counts as one. */
bool source_take_silent(struct sources *sources, struct source *source, int64_t now_ms);
bool source_take_wordless(struct sources *sources, struct source *source, int64_t now_ms);
/* Time passes: what was left out of the log is told in one line. */
void sources_tick(struct sources *sources, int64_t now_ms);

#endif
