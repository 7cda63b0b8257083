/* fuzz_path_check: what must hold after each turn, when all is quiet, and at the end.
 *
 * The linker leads the bridge's calls of outbox_put, outbox_sync and log_line to here. */
#include "fuzz_path.h"

#include "log.h"

#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#define TOPICS 512
#define REQUESTS 512
#define MEMORY_MOST (12u << 20) /* of a run; most of it are the rooms' own buffers */

/* What is retained of a unit. */
enum said { SAID_NOTHING = 0, SAID_ONLINE, SAID_OFFLINE };
struct status {
	char topic[128];
	enum said said;
	bool lost; /* the last one found no room */
};

/* Requests with the same id, or the same correlation data. */
struct request_count {
	char key[32];
	unsigned asked, held, sent, ended;
};

static struct status statuses[TOPICS];
static size_t status_count;
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
	status_count = request_count = 0;
}

/* --- log: nothing from outside reaches it as it is --- */

void __wrap_log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
void __wrap_log_line(enum log_level level, const char *format, ...)
{
	char line[1400];
	va_list args;
	if (!log_wants(level))
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	for (const char *c = line; *c != '\0'; c++)
		must("log", (uint8_t)*c >= 0x20 && *c != 0x7f, "a log line has the byte %02x: %s", (uint8_t)*c,
			line);
	if (getenv("FUZZ_PATH_LOG") != NULL)
		dprintf(STDERR_FILENO, "%lld: %s\n", (long long)clocks_steady_ms(), line);
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

static struct status *status_of(const char *topic, size_t len, bool make)
{
	for (size_t i = 0; i < status_count; i++)
		if (strlen(statuses[i].topic) == len && memcmp(statuses[i].topic, topic, len) == 0)
			return &statuses[i];
	if (!make || status_count == TOPICS || len >= sizeof(statuses[0].topic))
		return NULL;
	struct status *s = &statuses[status_count++];
	memset(s, 0, sizeof(*s));
	memcpy(s->topic, topic, len);
	return s;
}

static void see_status(const struct outbox_message *m, bool taken)
{
	struct status *s = status_of((const char *)m->topic.ptr, m->topic.len, true);
	if (s == NULL || !m->retain)
		return;
	s->lost = !taken;
	if (!taken)
		return;
	s->said = SAID_OFFLINE;
	if (m->payload.len == 0)
		s->said = SAID_NOTHING;
	else if (has(m->payload, "\"online\""))
		s->said = SAID_ONLINE;
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
	if (record && !taken)
		wire_record_refused();
	if (ends_with(m->topic, "/status"))
		see_status(m, taken);
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
	more(&world.most_input, c->limits.input);
	more(&world.most_output, c->limits.output);
	if (c->commands.gap < world.least_gap)
		world.least_gap = c->commands.gap;
}

struct seen {
	size_t online, remembered;
};

static void see_conn(const struct session *session)
{
	const struct conn *conn = session->conn;
	const struct session *other;
	bool here = false, speaker = conn->stream.link.unit == NULL;
	uint32_t units = 0;
	for (other = conn->sessions; other != NULL && units < 100000; other = other->next_here, units++) {
		here |= other == session;
		speaker |= conn->stream.link.unit == &other->unit;
		must("unit-conn", other->conn == conn, "unit %s is listed at a connection that is not its own",
			other->unit.ident);
	}
	must("unit-conn", here, "unit %s is not listed at its connection", session->unit.ident);
	must("conn-units", units == conn->units, "%u units listed, %u counted", units, conn->units);
	must("conn-unit", speaker, "a connection keeps a pointer to a unit that it does not have");
	must("output", conn->out_len <= world.most_output, "%u bytes wait for a unit", conn->out_len);
	size_t most = conn->udp ? 65536 : (size_t)world.most_input + 2 * conn->stream.codec->max_frame;
	must("input", conn->in_len <= most, "%u bytes of a unit are kept", conn->in_len);
}

static void see_session(void *ctx, struct session *session)
{
	struct seen *seen = ctx;
	seen->online += session->conn != NULL;
	seen->remembered += session->conn == NULL;
	if (session->conn != NULL)
		see_conn(session);
}

void check_turn(void)
{
	const struct bridge *b = &world.bridge;
	struct seen seen = {0};
	sessions_each(b->sessions, see_session, &seen);
	must("units-count", seen.online == b->stats.count[STAT_UNITS], "%zu units on line, %llu counted",
		seen.online, (unsigned long long)b->stats.count[STAT_UNITS]);
	must("units-most", seen.online <= (size_t)world.most_units, "%zu units on line", seen.online);
	must("remembered", seen.remembered <= (size_t)world.most_connections, "%zu units remembered",
		seen.remembered);
	must("conns-count", conns_count(b->conns) == b->stats.count[STAT_CONNECTIONS],
		"%zu connections, %llu counted", conns_count(b->conns),
		(unsigned long long)b->stats.count[STAT_CONNECTIONS]);
	must("conns-most", conns_count(b->conns) <= (size_t)world.most_connections, "%zu connections",
		conns_count(b->conns));
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

static void say_online(void *ctx, struct session *session)
{
	struct topic topic = topic_unit(world.bridge.config.publish.prefix, session_topic(session), "status");
	struct status *s = status_of(topic.text, topic.len, false);
	(void)ctx;
	if (session->conn == NULL)
		return;
	must(s != NULL && s->lost ? "status-lost" : "status", s != NULL && s->said == SAID_ONLINE,
		"%s: the unit is on line, and that is not said", topic.text);
	if (s != NULL)
		s->said = SAID_NOTHING; /* seen; put back below */
}

static void check_statuses(void)
{
	enum said before[TOPICS];
	for (size_t i = 0; i < status_count; i++)
		before[i] = statuses[i].said;
	sessions_each(world.bridge.sessions, say_online, NULL);
	for (size_t i = 0; i < status_count; i++) {
		must(statuses[i].lost ? "status-lost" : "status-stale", statuses[i].said != SAID_ONLINE,
			"%s says online of a unit that is not", statuses[i].topic);
		statuses[i].said = before[i];
	}
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
	check_statuses();
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
	must("request-end", waiting_requests() == 0, "%llu requests have not ended",
		(unsigned long long)waiting_requests());
	for (size_t i = 0; i < request_count; i++)
		must("request-end", requests[i].asked == requests[i].ended, "%s: %u asked, %u ended",
			requests[i].key, requests[i].asked, requests[i].ended);
	check_statuses();
}
