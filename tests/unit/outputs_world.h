// SPDX-License-Identifier: MIT
/* outputs_world: what stands around the outputs in their tests: the real outbox in memory, the real sessions, units that a test moves
 * by hand, connections that are only names, a clock.
 * May use: outputs, session_private.h, outbox, cmocka, cJSON. May not: be part of the program.
 *
 * The linker leads the outputs' questions about a connection, and outbox_put, to here. */
#ifndef T2M_OUTPUTS_WORLD_H
#define T2M_OUTPUTS_WORLD_H

#include "harness.h"

#include "bridge/base/log.h"
#include "bridge/outputs/publish.h"
#include "bridge/units/session_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define IDENT "9170503816"
#define HOUR (3600 * 1000LL)
#define DAY (24 * HOUR)
#define NOW_MS 1800000000000LL
#define CONNS 3

static struct config config;
static struct stats stats;
static struct outbox *outbox;
static struct sessions *sessions;
static struct events events; /* the same listeners as the sessions have */
static struct publish *publish;
static struct telemetry t; /* the record at hand */
static struct moment now;
static struct units *files[16]; /* units files, the last one in force */
static size_t file_count;

/* --- connections --- */

static char conns[CONNS]; /* a conn is an address, and nobody looks there */
static struct source accounts[CONNS];
static bool conn_known[CONNS]; /* a unit of the units file speaks there */

static inline struct conn *conn_at(size_t i)
{
	return (struct conn *)(void *)&conns[i];
}

static inline size_t index_of(const struct conn *conn)
{
	return (size_t)((const char *)(const void *)conn - conns);
}

void __wrap_conn_peer(const struct conn *conn, char buf[CONN_PEER_MAX]);
void __wrap_conn_peer(const struct conn *conn, char buf[CONN_PEER_MAX])
{
	snprintf(buf, CONN_PEER_MAX, "203.0.113.%zu:50112", index_of(conn));
}

const char *__wrap_conn_transport(const struct conn *conn);
const char *__wrap_conn_transport(const struct conn *conn)
{
	return index_of(conn) == 1 ? "udp" : "tcp";
}

struct source *__wrap_conn_account(const struct conn *conn);
struct source *__wrap_conn_account(const struct conn *conn)
{
	return &accounts[index_of(conn)];
}

bool __wrap_conn_is_known(const struct conn *conn);
bool __wrap_conn_is_known(const struct conn *conn)
{
	return conn_known[index_of(conn)];
}

static bool no_lines; /* no line about an address is left */
static unsigned lines_taken;

bool __wrap_conn_take_line(const struct conn *conn);
bool __wrap_conn_take_line(const struct conn *conn)
{
	(void)conn;
	lines_taken += !no_lines;
	return !no_lines;
}

void __wrap_conn_unit_changes(struct conn *conn, bool known);
void __wrap_conn_unit_changes(struct conn *conn, bool known)
{
	(void)conn;
	(void)known;
}

/* --- the outbox --- */

static uint64_t refuse; /* bit i: message i from here on finds no room */

uint64_t __real_outbox_put(struct outbox *o, const struct outbox_message *m);
uint64_t __wrap_outbox_put(struct outbox *o, const struct outbox_message *m);
uint64_t __wrap_outbox_put(struct outbox *o, const struct outbox_message *m)
{
	bool no = refuse & 1;
	refuse >>= 1;
	return no ? 0 : __real_outbox_put(o, m);
}

static struct {
	char topic[300], text[40000];
	size_t len;
	bool retain;
	enum content content;
	uint64_t seqnum;
} got; /* the last message taken */

/* The next message that waits, into got; false: there is none. */
static inline bool next(void)
{
	struct outbox_message m;
	outbox_sync(outbox);
	if (!outbox_next(outbox, &m))
		return false;
	assert_true(m.payload.len < sizeof(got.text) && m.topic.len < sizeof(got.topic));
	snprintf(got.topic, sizeof(got.topic), "%.*s", (int)m.topic.len, (const char *)m.topic.ptr);
	if (m.payload.len > 0)
		memcpy(got.text, m.payload.ptr, m.payload.len);
	got.text[got.len = m.payload.len] = '\0';
	got.retain = m.retain;
	got.content = m.content;
	got.seqnum = m.seqnum;
	outbox_done(outbox, m.seqnum);
	return true;
}

static inline void expect(const char *topic, bool retain)
{
	if (!next())
		fail_msg("no message; expected one on %s", topic);
	assert_string_equal(got.topic, topic);
	assert_int_equal(got.retain, retain);
}

static inline void expect_empty(const char *topic)
{
	expect(topic, true);
	assert_int_equal(got.len, 0);
}

static inline void expect_nothing(void)
{
	if (next())
		fail_msg("nothing was expected, but %s: %s", got.topic, got.text);
}

static inline unsigned take_all(void)
{
	unsigned n = 0;
	while (next())
		n++;
	return n;
}

static inline bool says(const char *part)
{
	return strstr(got.text, part) != NULL;
}

/* Fills the outbox with messages that are no unit's, up to where it takes no more. */
static inline void fill_outbox(void)
{
	static uint8_t bytes[1000];
	for (size_t len = sizeof(bytes); len >= 1; len /= 10) {
		const struct outbox_message m = {
			.topic = span_text("filler"), .payload = span_of(bytes, len), .put_ms = 1};
		while (__real_outbox_put(outbox, &m) != 0)
			;
	}
}

/* --- units --- */

static inline void find_by_ident(void *ctx, struct session *session)
{
	struct session **found = ctx;
	if (strcmp(session->unit.ident, (const char *)*found) == 0)
		*found = session;
}

/* A unit that was remembered, with this number; off line since 1 h. */
static inline struct session *remembered(const char *ident, int64_t value)
{
	struct session *found = (struct session *)(uintptr_t)ident;
	sessions_remember(sessions, span_text(ident), value, now.unix_ms - HOUR);
	sessions_each(sessions, find_by_ident, &found);
	assert_true((const char *)found != ident);
	return found;
}

static inline void comes_on_line(struct session *session, size_t conn)
{
	sessions_come_back(sessions, session);
	session->conn = conn_at(conn);
	session->codec = codec_find(span_text("h02"));
	session->since_ms = now.unix_ms;
	session->number = 7;
}

static inline struct session *on_line(const char *ident)
{
	struct session *session = remembered(ident, 0);
	comes_on_line(session, 0);
	return session;
}

static inline void goes_off_line(struct session *session, const char *reason)
{
	session->conn = NULL;
	session->reason = reason;
}

static inline void leaves_conn(void *ctx, struct session *session)
{
	(void)ctx;
	session->conn = NULL;
}

/* It has not behaved like a unit yet. */
static inline void distrust(struct session *session)
{
	sessions_come_back(sessions, session);
	session->trusted = false;
}

/* A record with a fix; `when` 0: without a date. */
static inline void fix(int64_t when)
{
	telemetry_reset(&t);
	telemetry_set(&t, TM_LATITUDE, 225000000);
	telemetry_set(&t, TM_LONGITUDE, 1139000000);
	telemetry_set(&t, TM_POSITION_VALID, 1);
	if (when != 0)
		telemetry_set(&t, TM_TIMESTAMP, when);
}

static inline bool give(struct session *session)
{
	return events_record(&events, session, session->conn != NULL ? session->conn : conn_at(0), &t, now);
}

static inline void pass(int64_t ms)
{
	now.unix_ms += ms;
	now.steady_ms += ms;
}

/* Until all is told, or there is no room. */
static inline void catch_up(void)
{
	while (sessions_catch_up(sessions, false, now))
		;
}

/* A units file with this text is in force. */
static inline void use_units_file(const char *text)
{
	char path[] = "/tmp/t2m-units.XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0 && file_count < sizeof(files) / sizeof(files[0]));
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	files[file_count] = units_open(path, stderr);
	unlink(path);
	assert_non_null(files[file_count]);
	sessions_use_units(sessions, files[file_count++], false);
}

/* --- begin, end --- */

static inline void use_text(char **option, const char *text)
{
	free(*option);
	*option = strdup(text);
	assert_non_null(*option);
}

static inline void listen_to(const struct unit_listener *listener)
{
	assert_true(events_listen(&events, listener));
	assert_true(sessions_listen(sessions, listener));
}

static const char *outbox_path = ""; /* in memory only */

/* `format`: of the records; see [publish] format. */
static inline void world_open_with(int64_t format)
{
	char why[400];
	config_init(&config);
	use_text(&config.publish.instance, "here");
	config.outbox.size = 1 << 20;
	config.publish.format = format;
	const struct outbox_options o = {
		.path = outbox_path, .size = (size_t)config.outbox.size, .sync = OUTBOX_SYNC_ALWAYS};
	memset(&stats, 0, sizeof(stats));
	memset(&events, 0, sizeof(events));
	memset(conn_known, 0, sizeof(conn_known));
	memset(accounts, 0, sizeof(accounts));
	for (size_t i = 0; i < CONNS; i++)
		accounts[i].key[0] = (uint8_t)(i + 1);
	refuse = 0;
	now = (struct moment){NOW_MS, 5000000};
	log_open(LOG_LEVEL_ERROR);
	outbox = outbox_open(&o, why, sizeof(why));
	sessions = sessions_open(&config, 1000, &stats);
	assert_true(outbox != NULL && sessions != NULL);
	publish = publish_open(&config, outbox, sessions);
	assert_non_null(publish);
	listen_to(publish_listener(publish));
}

static inline void world_open(void)
{
	world_open_with(PUBLISH_JSON);
}

/* The outputs go before it. */
static inline void world_close(void)
{
	sessions_each(sessions, leaves_conn, NULL);
	sessions_free(sessions);
	while (file_count > 0)
		units_free(files[--file_count]);
	publish_free(publish);
	outbox_close(outbox);
	config_free(&config);
}

#endif
