/* source: see source.h. */
#include "source.h"

#include "log.h"

#include <stdlib.h>
#include <utlist.h>

#define IDLE_MAX 65536 /* addresses without a connection that are remembered */
#define TELL_EVERY_MS 60000
#define LINES_A_MINUTE 20

struct sources {
	struct source *by_key; /* hash */
	struct source *idle;
	size_t idle_count;
	struct source crowd; /* of all that find no memory */
	struct stats *stats;
};

bool bucket_empty(struct bucket *b, int64_t rate, int64_t now_ms)
{
	if (b->spent == 0 || now_ms < b->since_ms || now_ms - b->since_ms >= 1000)
		*b = (struct bucket){.since_ms = now_ms};
	return rate > 0 && b->spent >= rate;
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

void source_hold(struct sources *s, struct source *source)
{
	if (source->connections++ == 0 && source != &s->crowd)
		leave_idle(s, source);
}

void source_release(struct sources *s, struct source *source)
{
	if (--source->connections == 0 && source != &s->crowd)
		join_idle(s, source);
}

void source_refused(struct sources *s, struct source *source, const union address *address, enum counter reason,
	int64_t now_ms)
{
	char text[ADDRESS_TEXT_MAX];
	stats_add(s->stats, reason, 1);
	source->refused++;
	if (source->told_ms != 0 && now_ms >= source->told_ms && now_ms - source->told_ms < TELL_EVERY_MS)
		return;
	address_text(address, text);
	log_notice("refused %s: %s (%llu since the last line)", text, stat_reason(reason),
		(unsigned long long)source->refused);
	source->refused = 0;
	source->told_ms = now_ms;
}

bool source_may_log(struct source *source, int64_t now_ms)
{
	if (bucket_empty(&source->lines, LINES_A_MINUTE, now_ms / 60))
		return false;
	source->lines.spent++;
	return true;
}
