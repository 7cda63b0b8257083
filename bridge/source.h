/* source: what is remembered of an address from which units or strangers come: how many connections, how fast, what was
 * refused.
 * May use: address, stats, log. May not: know sockets or sessions.
 *
 * IPv6 counts by /64: that is what one customer has. A refusal is counted each time and logged at most once a minute
 * for an address, with a line that stays as it is: `refused ADDRESS: REASON (N since the last line)`. */
#ifndef T2M_SOURCE_H
#define T2M_SOURCE_H

#include "address.h"
#include "config.h"
#include "hash.h"
#include "stats.h"

/* What was spent in the second that began at since_ms. All zero at first. */
struct bucket {
	int64_t spent, since_ms;
};

/* Is so much spent in this second? `rate` 0: no limit. */
bool bucket_empty(struct bucket *bucket, int64_t rate, int64_t now_ms);

struct source {
	uint8_t key[16];
	uint32_t connections;
	struct bucket frames, arrivals, lines; /* arrivals: units that came on line */
	uint64_t refused;                      /* since the last line */
	int64_t told_ms;                       /* of the last line; 0: none yet */
	struct source *prev, *next;            /* those without connections, the longest first */
	UT_hash_handle hh;
};

struct sources;

struct sources *sources_open(struct stats *stats);
void sources_free(struct sources *sources);

/* Never NULL; when memory is short many addresses share one. Valid until the next call without source_hold. */
struct source *source_find(struct sources *sources, const union address *address);
/* For each connection of the address, while it lasts. */
void source_hold(struct sources *sources, struct source *source);
void source_release(struct sources *sources, struct source *source);

/* Counts what was refused to this address, under one of the STAT_REFUSED_... counters, and logs it now and then. */
void source_refused(struct sources *sources, struct source *source, const union address *address,
	enum counter reason, int64_t now_ms);
/* May one more line about this address be logged? A few a minute. */
bool source_may_log(struct source *source, int64_t now_ms);

#endif
