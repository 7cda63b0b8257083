// SPDX-License-Identifier: MIT
/* fuzz_path_check: what must hold after each turn, when all is quiet, and at the end.
 *
 * What is retained is in fuzz_path_retained.c, what is counted in fuzz_path_walk.c. */
#include "fuzz_path.h"

#include "bridge/base/log.h"

#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#define REQUESTS 512
#define MEMORY_MOST (12u << 20) /* of a run; most of it are the rooms' own buffers */

/* Requests with the same id, or the same correlation data. */
struct request_count {
	char key[32];
	unsigned asked, held, sent, ended;
};

static struct request_count requests[REQUESTS];
static size_t request_count;

/* --- failing --- */

static bool is_listed(const char *list, const char *name, const char *circumstance)
{
	char whole[80];
	size_t n = (size_t)snprintf(whole, sizeof(whole), "%s%s", name, circumstance);
	for (const char *at = list; at != NULL && (at = strstr(at, whole)) != NULL; at += n)
		if ((at == list || at[-1] == ',') && (at[n] == ',' || at[n] == '\0'))
			return true;
	return false;
}

void must(const char *name, bool holds, const char *format, ...)
{
	char text[400];
	if (holds)
		return;
	const char *list = getenv("FUZZ_PATH_SKIP");
	if (is_listed(list, "all", "") || is_listed(list, name, "") ||
		(world.jumped && is_listed(list, name, "@clock")) ||
		(world.deaf && is_listed(list, name, "@deaf")))
		return;
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	dprintf(STDERR_FILENO, "fuzz_path: %s%s%s: %s\n", name, world.jumped ? "@clock" : "",
		world.deaf ? "@deaf" : "", text);
	abort();
}

void check_reset(void)
{
	request_count = 0;
	retained_reset();
	walk_reset();
	parts_reset();
}

/* --- log: what reaches it is one line, whatever came from outside --- */

static ssize_t see_line(void *cookie, const char *bytes, size_t len)
{
	(void)cookie;
	const char *end = memchr(bytes, '\n', len);
	must("log", end == bytes + len - 1, "not one line: %s", log_bytes(span_of(bytes, len)).text);
	for (size_t i = 0; i + 1 < len; i++)
		must("log", (uint8_t)bytes[i] >= 0x20 && bytes[i] != 0x7f, "a log line has the byte %02x: %s",
			(uint8_t)bytes[i], log_bytes(span_of(bytes, len)).text);
	if (getenv("FUZZ_PATH_LOG") != NULL && write(STDERR_FILENO, bytes, len) < 0)
		abort();
	return (ssize_t)len;
}

FILE *check_log(void)
{
	FILE *log = fopencookie(NULL, "w", (cookie_io_functions_t){.write = see_line});
	if (log != NULL)
		setvbuf(log, NULL, _IOLBF, 8192);
	return log;
}

/* --- what is put --- */

static bool ends_with(struct span s, const char *end)
{
	size_t n = strlen(end);
	return s.len >= n && memcmp(s.ptr + s.len - n, end, n) == 0;
}

static bool has(struct span s, const char *text)
{
	return memmem(s.ptr, s.len, text, strlen(text)) != NULL;
}

static struct request_count *count_of(struct span key, bool make)
{
	for (size_t i = 0; i < request_count; i++)
		if (span_is(key, requests[i].key))
			return &requests[i];
	if (!make || request_count == REQUESTS || key.len >= sizeof(requests[0].key))
		return NULL;
	struct request_count *r = &requests[request_count++];
	memset(r, 0, sizeof(*r));
	memcpy(r->key, key.ptr, key.len);
	return r;
}

/* "id":"x" in a reply. */
static struct span id_of(struct span json)
{
	static const char name[] = "\"id\":\"";
	const uint8_t *at = memmem(json.ptr, json.len, name, sizeof(name) - 1);
	if (at == NULL)
		return span_of(NULL, 0);
	at += sizeof(name) - 1;
	const uint8_t *end = memchr(at, '"', (size_t)(json.ptr + json.len - at));
	return span_of(at, end != NULL ? (size_t)(end - at) : 0);
}

static void see_reply(struct span key, struct span json)
{
	struct request_count *r = count_of(key, false);
	if (r == NULL)
		return;
	bool held = has(json, "\"status\":\"held\""), sent = has(json, "\"status\":\"sent\"");
	r->held += held;
	r->sent += sent;
	r->ended += !held && !sent;
	must("request-once", r->ended <= r->asked && r->sent <= r->asked && r->held <= r->asked,
		"%s: %u asked, %u held, %u sent, %u ended", r->key, r->asked, r->held, r->sent, r->ended);
	must("request-order", r->asked > 1 || r->ended == 0 || (!held && !sent), "%s: told behind its end",
		r->key);
}

void check_request(const char *key, uint64_t counted_before)
{
	/* it may have ended while it was taken: it is counted before, and taken back when it was none */
	struct request_count *r = count_of(span_text(key), counted_before == UINT64_MAX);
	if (r == NULL)
		return;
	if (counted_before == UINT64_MAX)
		r->asked++;
	else
		r->asked -= world.bridge.stats.count[STAT_COMMANDS] == counted_before;
}

/* The bridge puts a message; also when it finds no room. */
void check_put(const struct outbox_message *m, bool taken)
{
	bool record = ends_with(m->topic, "/position") || ends_with(m->topic, "/telemetry") ||
		      ends_with(m->topic, "/alarm");
	must("topic",
		m->topic.len > 0 && memchr(m->topic.ptr, '+', m->topic.len) == NULL &&
			memchr(m->topic.ptr, '#', m->topic.len) == NULL,
		"a topic with a wildcard, or none");
	if (record)
		parts_record(taken);
	check_retained(m, taken);
	if (ends_with(m->topic, "/cmd/reply"))
		see_reply(id_of(m->payload), m->payload);
	if (m->correlation.len > 0)
		see_reply(m->correlation, m->payload);
}

/* --- after each turn --- */

static void more(int64_t *most, int64_t now)
{
	*most = now > *most ? now : *most;
}

void check_limits(void)
{
	const struct config *c = &world.bridge.config;
	more(&world.most_connections, c->listen.max_connections);
	more(&world.most_units, c->limits.units);
	more(&world.most_unidentified, c->limits.unidentified);
	more(&world.most_input, c->limits.input);
	more(&world.most_output, c->limits.output);
	if (c->commands.gap < world.least_gap)
		world.least_gap = c->commands.gap;
}

/* --- when all is quiet --- */

static uint64_t waiting_requests(void)
{
	static const enum counter ends[] = {STAT_COMMANDS_OFFLINE, STAT_COMMANDS_REJECTED,
		STAT_COMMANDS_ANSWERED, STAT_COMMANDS_TIMEOUT, STAT_COMMANDS_EXPIRED};
	uint64_t waiting = world.bridge.stats.count[STAT_COMMANDS];
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		waiting -= world.bridge.stats.count[ends[i]];
	return waiting;
}

size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

size_t heap_bytes(void)
{
	return __sanitizer_get_current_allocated_bytes != NULL ? __sanitizer_get_current_allocated_bytes() : 0;
}

void check_settled(void)
{
	for (size_t i = 0; i < CLIENTS; i++) {
		struct line *line = wire_of_fd(world.servers[i]);
		must("answer-late", world.clients[i] < 0 || !wire_owes(line) || line->deaf,
			"connection %zu waits for an answer that is stored", i);
	}
	must("request-late", waiting_requests() == 0, "%llu requests have not ended though their time is over",
		(unsigned long long)waiting_requests());
	walk_settled();
	check_statuses(false);
	must("outbox-count", outbox_count(world.bridge.outbox) == broker_undone(),
		"the outbox counts %zu messages, %zu are not acknowledged", outbox_count(world.bridge.outbox),
		broker_undone());
	size_t heap = heap_bytes();
	must("memory", heap < world.heap_before + MEMORY_MOST, "%zu bytes more than before",
		heap - world.heap_before);
}

void check_stopped(void)
{
	const struct bridge *b = &world.bridge;
	must("stop", b->stats.count[STAT_UNITS] == 0 && conns_count(b->conns) == 0,
		"%zu connections are left behind the stop", conns_count(b->conns));
	bool kept = outbox_keeps(b->outbox); /* they go on when the bridge is back */
	must("request-end", kept || waiting_requests() == 0, "%llu requests have not ended",
		(unsigned long long)waiting_requests());
	for (size_t i = 0; i < request_count; i++)
		must("request-end",
			kept ? requests[i].asked >= requests[i].ended : requests[i].asked == requests[i].ended,
			"%s: %u asked, %u ended", requests[i].key, requests[i].asked, requests[i].ended);
	check_statuses(true);
}
