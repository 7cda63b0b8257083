// SPDX-License-Identifier: MIT
/* source: see source.h. */
#include "bridge/peers/source.h"

#include "bridge/base/log.h"

#include <stdlib.h>
#include <utlist.h>

#define IDLE_MAX 65536 /* addresses without a connection that are remembered */
#define TELL_EVERY_MS 60000
#define LINES_A_MINUTE 20
#define SILENT_A_MINUTE 6 /* of one address, about connections that say nothing */
#define SILENT_IN_ALL 60  /* of all */
#define HOUR_MS (60 * 60000LL)

/* Lines a minute of all addresses together: over TCP, and over UDP, where a flood of forged ones must not use up what the others
 * need. */
static const unsigned lines_in_all[2] = {600, 30};

struct sources {
	struct source *by_key; /* hash */
	struct source *idle;
	size_t idle_count;
	struct source crowd; /* of all that find no memory */
	struct source udp;   /* of all strangers over UDP */
	struct shares fresh, conns, units;
	struct log_limit refusals[2], lines[2]; /* over TCP and UDP; lines: all other ones about an address */
	struct log_limit silent;
	uint32_t explained; /* reasons of refusals, a bit for each, of which it was told what they mean */
	struct stats *stats;
};

static bool is_over(const struct bucket *b, int64_t period_ms, int64_t now_ms)
{
	return now_ms < b->since_ms || now_ms - b->since_ms >= period_ms;
}

bool bucket_empty(const struct bucket *b, int64_t rate, int64_t period_ms, int64_t now_ms)
{
	return rate > 0 && b->spent >= rate && !is_over(b, period_ms, now_ms);
}

void bucket_spend(struct bucket *b, int64_t amount, int64_t period_ms, int64_t now_ms)
{
	if (b->spent == 0 || is_over(b, period_ms, now_ms))
		*b = (struct bucket){.since_ms = now_ms};
	b->spent += amount;
}

struct sources *sources_open(struct stats *stats)
{
	struct sources *s = calloc(1, sizeof(*s));
	if (s != NULL)
		s->stats = stats;
	return s;
}

void sources_free(struct sources *s)
{
	struct source *source, *next;
	HASH_ITER(hh, s->by_key, source, next) {
		HASH_DEL(s->by_key, source);
		free(source);
	}
	free(s);
}

static void join_idle(struct sources *s, struct source *source)
{
	DL_APPEND(s->idle, source);
	s->idle_count++;
}

static void leave_idle(struct sources *s, struct source *source)
{
	DL_DELETE(s->idle, source);
	s->idle_count--;
}

struct source *source_find(struct sources *s, const union address *address)
{
	struct source *source = NULL;
	uint8_t key[16];
	address_bytes(address, key);
	if (address->any.sa_family == AF_INET6)
		memset(key + 8, 0, 8);
	HASH_FIND(hh, s->by_key, key, sizeof(key), source);
	if (source != NULL)
		return source;
	if (s->idle_count >= IDLE_MAX) {
		struct source *oldest = s->idle;
		leave_idle(s, oldest);
		HASH_DEL(s->by_key, oldest);
		free(oldest);
	}
	source = calloc(1, sizeof(*source));
	if (source == NULL)
		return &s->crowd;
	memcpy(source->key, key, sizeof(key));
	HASH_ADD(hh, s->by_key, key, sizeof(source->key), source);
	join_idle(s, source);
	return source;
}

static bool is_idle(const struct source *source)
{
	return source->side[false].connections == 0 && source->side[true].connections == 0;
}

void source_hold(struct sources *s, struct source *source, bool udp)
{
	if (is_idle(source) && source != &s->crowd)
		leave_idle(s, source);
	source->side[udp].connections++;
}

void source_release(struct sources *s, struct source *source, bool udp)
{
	source->side[udp].connections--;
	if (is_idle(source) && source != &s->crowd)
		join_idle(s, source);
}

struct shares *sources_fresh(struct sources *s)
{
	return &s->fresh;
}

struct shares *sources_conns(struct sources *s)
{
	return &s->conns;
}

struct shares *sources_units(struct sources *s)
{
	return &s->units;
}

struct source *sources_udp(struct sources *s)
{
	return &s->udp;
}

/* What a reason means and what to do: once. */
static void explain(struct sources *s, enum counter reason)
{
	_Static_assert(STAT_COUNT - STAT_REFUSED_CONNECTIONS <= 32, "sources.explained has a bit for each");
	uint32_t bit = (uint32_t)1 << (reason - STAT_REFUSED_CONNECTIONS);
	if (s->explained & bit)
		return;
	s->explained |= bit;
	log_info("why %s: %s", stat_reason(reason), stat_table[reason].help);
}

void source_refused(struct sources *s, struct source *source, const union address *address, bool udp,
	enum counter reason, int64_t now_ms)
{
	char text[ADDRESS_TEXT_MAX];
	struct source_side *side = &source->side[udp];
	stats_add(s->stats, reason, 1);
	side->refused++;
	if (side->told_ms != 0 && now_ms - side->told_ms < TELL_EVERY_MS)
		return;
	if (!log_limit_take(&s->refusals[udp], lines_in_all[udp], now_ms))
		return;
	address_text(address, text);
	log_notice("refused %s%s: %s (%llu since the last line)", udp ? "udp " : "", text, stat_reason(reason),
		(unsigned long long)side->refused);
	side->refused = 0;
	side->told_ms = now_ms;
	explain(s, reason);
}

/* One of `most` in this period, and one that the limit of all addresses allows. */
static bool take(struct bucket *bucket, int64_t most, int64_t period_ms, struct log_limit *limit,
	unsigned in_all, int64_t now_ms)
{
	if (bucket_empty(bucket, most, period_ms, now_ms) || !log_limit_take(limit, in_all, now_ms))
		return false;
	bucket_spend(bucket, 1, period_ms, now_ms);
	return true;
}

bool source_take_line(struct sources *s, struct source *source, bool udp, int64_t now_ms)
{
	return take(&source->side[udp].lines, LINES_A_MINUTE, BUCKET_MINUTE, &s->lines[udp], lines_in_all[udp],
		now_ms);
}

bool source_take_silent(struct sources *s, struct source *source, int64_t now_ms)
{
	return take(
		&source->side[false].silent, SILENT_A_MINUTE, BUCKET_MINUTE, &s->silent, SILENT_IN_ALL, now_ms);
}

bool source_take_wordless(struct sources *s, struct source *source, int64_t now_ms)
{
	return take(&source->side[false].wordless, 1, HOUR_MS, &s->silent, SILENT_IN_ALL, now_ms);
}

void sources_tick(struct sources *s, int64_t now_ms)
{
	uint64_t refusals = 0, lines = log_limit_rest(&s->silent, now_ms);
	for (size_t udp = 0; udp < 2; udp++) {
		refusals += log_limit_rest(&s->refusals[udp], now_ms);
		lines += log_limit_rest(&s->lines[udp], now_ms);
	}
	if (refusals + lines > 0)
		log_notice("many addresses at once: %llu refusals and %llu other lines were left out in the "
			   "last minute",
			(unsigned long long)refusals, (unsigned long long)lines);
}
