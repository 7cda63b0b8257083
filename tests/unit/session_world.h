// SPDX-License-Identifier: MIT
/* session_world: what stands around the sessions in their tests: connections, a listener, the clock. No bytes move and nobody waits.
 * May use: session.h, the codecs. May not: be part of the program. */
#ifndef T2M_SESSION_WORLD_H
#define T2M_SESSION_WORLD_H

#include "harness.h"

#include "bridge/base/log.h"
#include "bridge/units/session.h"

#include <stdlib.h>
#include <unistd.h>

#define HOME 0 /* addresses */
#define ELSEWHERE 1

/* --- connections --- */

struct conn {
	uint64_t owner[64];
	struct source *source;
	bool udp;
	uint32_t units, known;
	const char *closed, *last_words;
	int64_t spoke_ms;
	char answers[2048]; /* one behind the other */
	size_t answers_len;
	unsigned refused[STAT_COUNT], forgotten, commands;
};

static struct {
	struct config config;
	struct stats stats;
	struct sessions *sessions;
	struct units *units;
	struct conn_ops ops;
	char told[800]; /* of the last stranger: what it looks like, why it is not admitted */
	struct source addresses[4];
	struct moment now;
	enum counter places; /* what conn_take_places says */
	unsigned places_asked;
	/* what the listener heard */
	bool full, no_share, no_store;
	unsigned records, replies, ready, offline, unknown, frames_in, frames_out, errors, forgotten;
	char ident[CODEC_IDENT_MAX + 1]; /* of the last record */
	struct codec_unit unit;          /* as the codec saw it then */
	const char *reason;              /* of the last that went off line */
} world;

void *conn_owner(struct conn *conn)
{
	return conn->owner;
}

bool conn_is_udp(const struct conn *conn)
{
	return conn->udp;
}

const char *conn_transport(const struct conn *conn)
{
	return conn->udp ? "udp" : "tcp";
}

void conn_peer(const struct conn *conn, char buf[CONN_PEER_MAX])
{
	snprintf(buf, CONN_PEER_MAX, "192.0.2.%d:1", (int)(conn->source - world.addresses));
}

struct source *conn_source(const struct conn *conn)
{
	return conn->source;
}

struct source *conn_account(const struct conn *conn)
{
	return conn->source;
}

uint32_t conn_units(const struct conn *conn)
{
	return conn->units;
}

bool conn_is_known(const struct conn *conn)
{
	return conn->known > 0;
}

bool conn_is_closed(const struct conn *conn)
{
	return conn->closed != NULL;
}

bool conn_has_last_words(const struct conn *conn)
{
	return conn->last_words != NULL;
}

bool conn_is_going(const struct conn *conn)
{
	return conn->closed != NULL || conn->last_words != NULL;
}

bool conn_spoke_within(const struct conn *conn, int64_t ms)
{
	return world.now.steady_ms - conn->spoke_ms < ms;
}

size_t conn_answer(struct conn *conn, struct span frame, bool echo)
{
	size_t at = conn->answers_len;
	(void)echo;
	assert_true(at + frame.len < sizeof(conn->answers));
	memcpy(conn->answers + at, frame.ptr, frame.len);
	conn->answers_len += frame.len;
	return at;
}

struct span conn_answered(const struct conn *conn, size_t at, size_t len)
{
	assert_true(at + len <= conn->answers_len);
	return span_of(conn->answers + at, len);
}

bool conn_command(
	struct conn *conn, const void *whose, struct span frame, conn_sent *sent, void *ctx, uint64_t id)
{
	(void)whose;
	(void)frame;
	(void)sent;
	(void)ctx;
	(void)id;
	conn->commands++;
	return true;
}

void conn_take_back(struct conn *conn, uint64_t id)
{
	(void)id;
	conn->commands--;
}

void conn_forget(struct conn *conn, const void *whose)
{
	assert_non_null(whose);
	conn->forgotten++;
}

void conn_whole(struct conn *conn, size_t bytes)
{
	(void)conn;
	assert_true(bytes > 0);
}

void conn_close(struct conn *conn, const char *reason)
{
	conn->closed = reason;
}

void conn_close_after_last_words(struct conn *conn, const char *reason)
{
	conn->last_words = reason;
}

void conn_keep_guest(struct conn *conn)
{
	(void)conn;
}

void conn_unit_came(struct conn *conn, bool known)
{
	conn->units++;
	conn->known += known;
}

void conn_unit_left(struct conn *conn, bool known)
{
	assert_true(conn->units > 0 && conn->known >= known);
	conn->units--;
	conn->known -= known;
}

void conn_unit_changes(struct conn *conn, bool known)
{
	conn->known = known ? conn->known + 1 : conn->known - 1;
}

enum counter conn_take_places(struct conn *conn)
{
	(void)conn;
	world.places_asked++;
	return world.places;
}

void conn_refused(struct conn *conn, enum counter reason)
{
	conn->refused[reason]++;
}

bool conn_take_line(const struct conn *conn)
{
	(void)conn;
	return false;
}

/* --- the listener --- */

static bool on_room(void *ctx)
{
	(void)ctx;
	return !world.full;
}

static bool on_share(void *ctx, const struct conn *conn, struct moment now)
{
	(void)ctx;
	(void)conn;
	(void)now;
	return !world.no_share;
}

static bool on_record(
	void *ctx, struct session *session, const struct conn *conn, struct telemetry *t, struct moment now)
{
	(void)ctx;
	(void)conn;
	(void)t;
	assert_int_equal(now.steady_ms, world.now.steady_ms);
	if (world.no_store)
		return false;
	world.records++;
	strcpy(world.ident, session->unit.ident);
	world.unit = session->unit;
	return true;
}

static void on_reply(void *ctx, struct session *session, const struct command_reply *reply, struct moment now)
{
	(void)ctx;
	(void)session;
	(void)now;
	world.replies += reply->token.time[0] != '\0'; /* a V1 is told, too: it may answer a D1 */
}

static void on_ready(void *ctx, struct session *session, struct moment now)
{
	(void)ctx;
	(void)now;
	assert_non_null(session->conn);
	world.ready++;
}

static void on_offline(void *ctx, struct session *session, const char *reason, struct moment now)
{
	(void)ctx;
	(void)now;
	assert_null(session->conn);
	assert_string_equal(session->reason, reason);
	world.offline++;
	world.reason = reason;
}

static void on_frame(void *ctx, const struct session *session, bool in, struct span frame, const char *error,
	struct moment now)
{
	(void)ctx;
	(void)session;
	(void)now;
	assert_true(frame.len > 0);
	world.frames_in += in;
	world.frames_out += !in;
	world.errors += error != NULL;
}

static void on_unknown(void *ctx, const struct conn *conn, const struct stranger *stranger, struct moment now)
{
	(void)ctx;
	(void)conn;
	(void)now;
	assert_true(stranger->head.len > 0);
	world.unknown++;
	snprintf(world.told, sizeof(world.told), "%s %s",
		stranger->looks_like ? stranger->looks_like->name : "-", stranger->why ? stranger->why : "-");
}

static bool on_forgotten(void *ctx, struct session *session, struct moment now)
{
	(void)ctx;
	(void)now;
	assert_null(session->conn);
	assert_true(session->trusted);
	if (world.no_store)
		return false;
	world.forgotten++;
	strcpy(world.ident, session->unit.ident);
	return true;
}

static const struct unit_listener listener = {
	.room = on_room,
	.share = on_share,
	.record = on_record,
	.reply = on_reply,
	.ready = on_ready,
	.offline = on_offline,
	.frame = on_frame,
	.unknown = on_unknown,
	.forgotten = on_forgotten,
};

/* --- the beginning and the end --- */

/* From now on the units file is this one. */
static void use_units(const char *file, bool reject_unknown)
{
	char path[] = "/tmp/t2m-units-XXXXXX";
	int fd = mkstemp(path);
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
	assert_non_null(f);
	fputs(file, f);
	fclose(f);
	struct units *before = world.units;
	world.units = units_open(path, stderr);
	unlink(path);
	assert_non_null(world.units);
	units_use(world.units, world.config.codecs);
	sessions_use_units(world.sessions, world.units, reject_unknown);
	if (before != NULL)
		units_free(before);
}

static int set_up(void **state)
{
	(void)state;
	memset(&world, 0, sizeof(world));
	config_init(&world.config);
	log_open(LOG_LEVEL_ERROR);
	world.now = (struct moment){TEST_NOW_MS, 1000000};
	world.places = STAT_COUNT;
	world.sessions = sessions_open(&world.config, 1000, &world.stats);
	assert_non_null(world.sessions);
	assert_true(sessions_listen(world.sessions, &listener));
	world.ops = sessions_conn_ops(world.sessions);
	assert_true(world.ops.owner_size <= sizeof(((struct conn *)NULL)->owner));
	use_units("", false);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	sessions_free(world.sessions);
	units_free(world.units);
	config_free(&world.config);
	return 0;
}

static void pass(int64_t ms)
{
	world.now.unix_ms += ms;
	world.now.steady_ms += ms;
}

/* --- what connections do --- */

static struct conn connection(unsigned address, bool udp)
{
	struct conn conn = {.source = &world.addresses[address], .udp = udp};
	return conn;
}

static enum input_end gives(struct conn *conn, const char *bytes, size_t *used)
{
	enum input_end end = INPUT_DONE;
	*used = world.ops.input(world.ops.ctx, conn, span_text(bytes), 0, world.now, &end);
	return end;
}

/* Sends one position of this unit. */
static enum input_end says(struct conn *conn, const char *ident)
{
	char frame[160];
	size_t used;
	snprintf(frame, sizeof(frame),
		"*HQ,%s,V1,121300,A,2234.9273,N,11401.1234,E,010.00,090,010125,FFFFFBFF#", ident);
	enum input_end end = gives(conn, frame, &used);
	assert_int_equal(used, end == INPUT_DONE ? strlen(frame) : 0);
	if (end == INPUT_DONE)
		conn->spoke_ms = world.now.steady_ms;
	return end;
}

static void ends(struct conn *conn)
{
	world.ops.ended(
		world.ops.ctx, conn, conn->closed != NULL ? conn->closed : "test", span_of(NULL, 0), world.now);
	assert_int_equal(conn->units, 0);
}

/* Where it is on line; NULL: nowhere. */
static inline struct conn *place_of(const char *ident)
{
	struct session *session = session_find(world.sessions, span_text(ident));
	return session != NULL ? session->conn : NULL;
}

#endif
