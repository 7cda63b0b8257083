// SPDX-License-Identifier: MIT
/* sentinel: see sentinel.h. */
#include "bridge/cluster/sentinel.h"

#include "bridge/base/clock.h"
#include "bridge/base/log.h"
#include "bridge/base/lookup.h"

#include <stdlib.h>

#define LOOK_SECONDS 1.
#define ALL_MS 300 /* those that have not answered by then are not waited for */
#define OLD_MS                                                                                                 \
	10000 /* then what all say counts, although it is older than what was known: somebody has set up the Sentinels anew */
#define WORDS_MOST 100

/* One of them, and what it has said last. */
struct watcher {
	struct sentinel *owner;
	struct registry *registry;
	char address[REGISTRY_SERVER_MOST + 16];
	bool asked;
	bool fresh; /* it was asked since the master did not serve, and has answered */
	char server[REGISTRY_SERVER_MOST], host[REGISTRY_SERVER_MOST];
	int64_t epoch;
};

struct sentinel {
	struct ev_loop *loop;
	const char *master;
	struct sentinel_ops ops;
	struct watcher watcher[REGISTRY_ADDRESSES_MOST];
	unsigned count;
	bool known;
	char server[REGISTRY_SERVER_MOST], host[REGISTRY_SERVER_MOST];
	int64_t epoch;    /* the highest that was heard of; -1: none */
	int64_t asked_ms; /* steady time: all were asked */
	int64_t began_ms; /* … for the first time since the master did not serve */
	int64_t lost_ms;  /* … since there is none that serves */
	ev_timer look;
};

/* --- what they say --- */

/* The value behind a word in a list of words and values. */
static struct span value_of(const struct redisReply *reply, const char *word)
{
	for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i + 1 < reply->elements && i < WORDS_MOST;
		i += 2)
		if (span_is(registry_text(reply, i), word))
			return registry_text(reply, i + 1);
	return span_of(NULL, 0);
}

/* -1: it says none. */
static int64_t read_epoch(const struct redisReply *reply)
{
	char text[24], *end;
	struct span number = value_of(reply, "config-epoch");
	span_copy(number, text, sizeof(text));
	int64_t epoch = strtoll(text, &end, 10);
	return number.len == 0 || number.len > 18 || *end != '\0' ? -1 : epoch;
}

/* False: it names no server. */
static bool read_server(struct watcher *w, struct span host, struct span port)
{
	if (host.len == 0 || host.len > 180 || port.len == 0 || port.len > 5)
		return false;
	bool six = memchr(host.ptr, ':', host.len) != NULL;
	span_copy(host, w->host, sizeof(w->host));
	snprintf(w->server, sizeof(w->server), six ? "[%s]:%.*s" : "%s:%.*s", w->host, (int)port.len,
		(const char *)port.ptr);
	return strlen(w->host) == host.len && lookup_allowed(w->server);
}

static void use(struct sentinel *s, const struct watcher *w)
{
	if (strcmp(w->server, s->server) != 0)
		log_notice("registry: the master is %s, says sentinel %s", log_bytes(span_text(w->server)).text,
			registry_server(w->registry));
	memcpy(s->server, w->server, sizeof(s->server));
	memcpy(s->host, w->host, sizeof(s->host));
	s->epoch = w->epoch;
	s->known = true;
}

static void on_epoch(void *ctx, const struct redisReply *reply, int64_t number, const char *subject)
{
	struct watcher *w = ctx;
	(void)number;
	(void)subject;
	w->epoch = reply != NULL ? read_epoch(reply) : -1;
}

static void on_address(void *ctx, const struct redisReply *reply, int64_t number, const char *subject)
{
	struct watcher *w = ctx;
	struct sentinel *s = w->owner;
	(void)number;
	(void)subject;
	w->asked = false;
	w->fresh = w->epoch >= 0 && read_server(w, registry_text(reply, 0), registry_text(reply, 1));
	if (!w->fresh || !s->known || w->epoch <= s->epoch)
		return;
	bool moved = strcmp(w->server, s->server) != 0;
	use(s, w);
	if (moved)
		s->ops.moved(s->ops.ctx);
}

/* --- asking --- */

/* The address in the first answer is the one before, for a moment after the epoch has changed. */
static void ask_all(struct sentinel *s)
{
	const struct span epoch[] = {span_text("SENTINEL"), span_text("MASTER"), span_text(s->master)};
	const struct span address[] = {
		span_text("SENTINEL"), span_text("GET-MASTER-ADDR-BY-NAME"), span_text(s->master)};
	s->asked_ms = clock_steady_ms();
	for (unsigned i = 0; i < s->count; i++) {
		struct watcher *w = &s->watcher[i];
		if (!w->asked && registry_call(w->registry, 3, epoch, on_epoch, w, 0, ""))
			w->asked = registry_call(w->registry, 3, address, on_address, w, 0, "");
	}
}

static void on_look(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	ask_all(timer->data);
}

/* Has each of them answered, or had the time to? */
static bool is_settled(const struct sentinel *s, int64_t now_ms)
{
	for (unsigned i = 0; i < s->count; i++)
		if (!s->watcher[i].fresh && now_ms - s->began_ms < ALL_MS)
			return false;
	return true;
}

/* What has the highest number of what they have said since they were asked; NULL: nothing yet, or others may still say more. */
static const struct watcher *newest(const struct sentinel *s, int64_t now_ms)
{
	const struct watcher *best = NULL;
	if (!is_settled(s, now_ms))
		return NULL;
	for (unsigned i = 0; i < s->count; i++) {
		const struct watcher *w = &s->watcher[i];
		if (w->fresh && (best == NULL || w->epoch > best->epoch))
			best = w;
	}
	return best;
}

static bool find(void *ctx, char server[REGISTRY_SERVER_MOST], char host[REGISTRY_SERVER_MOST])
{
	struct sentinel *s = ctx;
	int64_t now_ms = clock_steady_ms();
	const struct watcher *best = s->known ? NULL : newest(s, now_ms);
	if (best != NULL && (best->epoch >= s->epoch || now_ms - s->lost_ms > OLD_MS))
		use(s, best);
	if (!s->known && now_ms - s->asked_ms >= ALL_MS)
		ask_all(s);
	if (!s->known)
		return false;
	memcpy(server, s->server, REGISTRY_SERVER_MOST);
	memcpy(host, s->host, REGISTRY_SERVER_MOST);
	return true;
}

void sentinel_check(struct sentinel *s)
{
	for (unsigned i = 0; i < s->count; i++)
		s->watcher[i].fresh = false;
	ask_all(s);
	s->began_ms = s->asked_ms;
}

static void wrong(void *ctx)
{
	struct sentinel *s = ctx;
	if (s->known)
		s->lost_ms = clock_steady_ms();
	s->known = false;
	sentinel_check(s);
}

bool sentinel_is_checked(const struct sentinel *s)
{
	return is_settled(s, clock_steady_ms());
}

struct registry_finder sentinel_finder(struct sentinel *s)
{
	return (struct registry_finder){s, find, wrong};
}

/* --- */

/* One is on line: it may be the first that knows. */
static void up(void *ctx)
{
	ask_all(((struct watcher *)ctx)->owner);
}

static void down(void *ctx)
{
	struct watcher *w = ctx;
	w->asked = w->fresh = false;
}

static bool open_watcher(
	struct sentinel *s, const struct registry_options *options, const struct registry_address *address)
{
	struct watcher *w = &s->watcher[s->count];
	struct registry_options one = *options;
	const struct registry_ops ops = {w, up, down};
	snprintf(w->address, sizeof(w->address), "redis%s://%.*s", address->tls ? "s" : "",
		REGISTRY_SERVER_MOST - 1, address->server);
	one.addresses = w->address;
	w->owner = s;
	w->registry = registry_open(s->loop, &one, &ops);
	s->count += w->registry != NULL;
	return w->registry != NULL;
}

struct sentinel *sentinel_open(struct ev_loop *loop, const struct registry_options *options, const char *master,
	const struct sentinel_ops *ops)
{
	struct sentinel *s = calloc(1, sizeof(*s));
	struct registry_address address[REGISTRY_ADDRESSES_MOST];
	char why[300];
	if (s == NULL)
		return NULL;
	s->loop = loop;
	s->master = master;
	s->ops = *ops;
	s->epoch = -1;
	ev_timer_init(&s->look, on_look, LOOK_SECONDS, LOOK_SECONDS);
	s->look.data = s;
	unsigned count =
		registry_addresses(options->addresses, REGISTRY_SENTINEL_PORT, address, why, sizeof(why));
	for (unsigned i = 0; i < count; i++) {
		if (!open_watcher(s, options, &address[i])) {
			sentinel_free(s);
			return NULL;
		}
	}
	return s;
}

void sentinel_start(struct sentinel *s)
{
	for (unsigned i = 0; i < s->count; i++)
		registry_start(s->watcher[i].registry);
	ev_timer_start(s->loop, &s->look);
	s->began_ms = s->lost_ms = clock_steady_ms();
}

void sentinel_free(struct sentinel *s)
{
	ev_timer_stop(s->loop, &s->look);
	for (unsigned i = 0; i < s->count; i++)
		registry_free(s->watcher[i].registry);
	free(s);
}
