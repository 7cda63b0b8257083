// SPDX-License-Identifier: MIT
/* relay: see relay.h. */
#include "bridge/outputs/relay.h"

#include "bridge/base/backoff.h"
#include "bridge/base/descriptors.h"
#include "bridge/base/frames.h"
#include "bridge/base/hash.h"
#include "bridge/base/lookup.h"
#include "bridge/base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define RETRY_FIRST 1.0
#define RETRY_MOST 60.0
#define LINKS_MOST 100000

/* One unit's connection to the platform. */
struct way {
	struct relay *relay;
	char ident[CODEC_IDENT_MAX + 1];
	int fd; /* -1: none */
	union address to;
	bool connected, leaving;
	struct backoff backoff;
	ev_io io;
	ev_timer timer;
	uint8_t *out;         /* frames: see frames.h */
	size_t out_len, gone; /* gone: bytes of the first frame that have left */
	UT_hash_handle hh;
};

struct relay {
	struct ev_loop *loop;
	const struct config *config;
	struct stats *stats;
	struct sessions *sessions;
	struct unit_listener listener;
	struct lookup *lookup;
	struct way *ways;
	bool told;
};

static void on_io(struct ev_loop *loop, ev_io *io, int events);
static void on_timer(struct ev_loop *loop, ev_timer *timer, int events);

/* --- one way --- */

static void watch(struct way *w)
{
	ev_io_stop(w->relay->loop, &w->io);
	if (w->fd < 0)
		return;
	ev_io_set(&w->io, w->fd, EV_READ | (!w->connected || w->out_len > 0 ? EV_WRITE : 0));
	ev_io_start(w->relay->loop, &w->io);
}

static void end(struct way *w)
{
	struct relay *r = w->relay;
	ev_io_stop(r->loop, &w->io);
	ev_timer_stop(r->loop, &w->timer);
	if (w->fd >= 0)
		close(w->fd);
	HASH_DEL(r->ways, w);
	free(w->out);
	free(w);
}

/* The connection is gone: once more, later. The frame that was on its way goes out whole. */
static void lost(struct way *w, const char *why)
{
	struct relay *r = w->relay;
	if (!r->told)
		log_warning("relay: unit %s: %s; trying again", w->ident, why);
	r->told = true;
	if (w->fd >= 0 && !w->connected)
		lookup_failed(r->lookup, &w->to);
	if (w->leaving) {
		end(w);
		return;
	}
	ev_io_stop(r->loop, &w->io);
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
	w->connected = false;
	w->gone = 0;
	ev_timer_set(&w->timer, backoff_wait(&w->backoff, RETRY_MOST, RETRY_MOST), 0.);
	ev_timer_start(r->loop, &w->timer);
}

static void connect_now(struct way *w)
{
	if (!lookup_address(w->relay->lookup, &w->to)) {
		lost(w, "the server's name is not known yet");
		return;
	}
	if (!descriptors_room()) {
		lost(w, "what descriptors are left are kept for the bridge itself");
		return;
	}
	w->fd = socket(w->to.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (w->fd < 0 || (connect(w->fd, &w->to.any, address_length(&w->to)) != 0 && errno != EINPROGRESS)) {
		lost(w, strerror(errno));
		return;
	}
	watch(w);
}

static void drop_frame(struct way *w)
{
	w->out_len = frames_drop(w->out, w->out_len);
	w->gone = 0;
}

/* False: the connection is gone, and perhaps the way, too. */
static bool flush(struct way *w)
{
	while (w->out_len > 0) {
		struct span rest = span_after(frames_first(w->out), w->gone);
		ssize_t n = send(w->fd, rest.ptr, rest.len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n < 0) {
			lost(w, strerror(errno));
			return false;
		}
		w->gone += (size_t)n;
		if ((size_t)n == rest.len) {
			drop_frame(w);
			stats_add(w->relay->stats, STAT_RELAYED, 1);
		}
	}
	if (w->leaving && w->out_len == 0) {
		end(w);
		return false;
	}
	watch(w);
	return true;
}

/* What the platform says to a unit. */
static void answer(struct relay *r, const char *ident, struct span bytes)
{
	struct session *session = session_find(r->sessions, span_text(ident));
	if (session != NULL)
		conn_answer(session->conn, bytes, false);
}

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
	(void)loop;
	struct way *w = io->data;
	struct relay *r = w->relay;
	uint8_t buf[4096];
	if (!w->connected) {
		int error = 0;
		socklen_t len = sizeof(error);
		getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &error, &len);
		if (error != 0) {
			lost(w, strerror(error));
			return;
		}
		w->connected = true;
		backoff_reset(&w->backoff, RETRY_FIRST);
		if (r->told)
			log_notice("relay: connected");
		r->told = false;
	}
	if ((events & EV_WRITE) && !flush(w))
		return;
	if (!(events & EV_READ))
		return;
	ssize_t n = recv(w->fd, buf, sizeof(buf), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		lost(w, n == 0 ? "closed by the server" : strerror(errno));
	else if (r->config->relay.replies == RELAY_REPLIES_RELAY)
		answer(r, w->ident, span_of(buf, (size_t)n));
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	connect_now(timer->data);
}

/* --- all of them --- */

static struct way *find(struct relay *r, const char *ident)
{
	struct way *w = NULL;
	HASH_FIND_STR(r->ways, ident, w);
	return w;
}

static struct way *new_way(struct relay *r, const char *ident)
{
	struct way *w = HASH_COUNT(r->ways) < LINKS_MOST ? calloc(1, sizeof(*w)) : NULL;
	if (w == NULL)
		return NULL;
	w->relay = r;
	w->out = malloc((size_t)r->config->relay.buffer);
	if (w->out == NULL) {
		free(w);
		return NULL;
	}
	snprintf(w->ident, sizeof(w->ident), "%s", ident);
	w->fd = -1;
	backoff_reset(&w->backoff, RETRY_FIRST);
	ev_init(&w->io, on_io);
	ev_init(&w->timer, on_timer);
	w->io.data = w->timer.data = w;
	HASH_ADD_STR(r->ways, ident, w);
	ev_timer_set(&w->timer, 0., 0.);
	ev_timer_start(r->loop, &w->timer);
	return w;
}

static void pass_on(struct relay *r, const char *ident, struct span frame)
{
	struct way *w = find(r, ident);
	size_t most = (size_t)r->config->relay.buffer, need = frames_need(frame.len);
	if (w == NULL)
		w = new_way(r, ident);
	if (w == NULL || need > most || frame.len > FRAMES_LONGEST) {
		stats_add(r->stats, STAT_RELAY_DROPPED, 1);
		return;
	}
	w->leaving = false;
	while (w->out_len + need > most) {
		if (w->gone > 0) { /* half of the oldest has left: the new one has to go */
			stats_add(r->stats, STAT_RELAY_DROPPED, 1);
			return;
		}
		drop_frame(w);
		stats_add(r->stats, STAT_RELAY_DROPPED, 1);
	}
	w->out_len = frames_put(w->out, w->out_len, frame);
	if (w->connected)
		watch(w);
}

/* --- units --- */

static bool is_relayed(const struct session *session)
{
	return session->conn != NULL && session->trusted && session->codec->relayed &&
	       (session->info == NULL || session->info->relay == UNIT_RELAY_YES);
}

static void on_frame(void *ctx, const struct session *session, bool in, struct span frame, const char *error,
	struct moment now)
{
	(void)error;
	(void)now;
	if (in && session != NULL && is_relayed(session))
		pass_on(ctx, session->unit.ident, frame);
}

static void on_offline(void *ctx, struct session *session, const char *reason, struct moment now)
{
	struct way *w = find(ctx, session->unit.ident);
	(void)reason;
	(void)now;
	if (w == NULL)
		return;
	w->leaving = true;
	if (w->out_len == 0 || !w->connected)
		end(w);
}

/* --- */

struct relay *relay_open(
	struct ev_loop *loop, const struct config *config, struct sessions *sessions, struct stats *stats)
{
	struct relay *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return NULL;
	r->loop = loop;
	r->config = config;
	r->sessions = sessions;
	r->stats = stats;
	r->listener = (struct unit_listener){.ctx = r, .offline = on_offline, .frame = on_frame};
	r->lookup = lookup_open(loop, config->relay.server);
	if (r->lookup == NULL) {
		free(r);
		return NULL;
	}
	return r;
}

void relay_free(struct relay *r)
{
	struct way *w, *next;
	HASH_ITER(hh, r->ways, w, next)
		end(w);
	lookup_free(r->lookup);
	free(r);
}

const struct unit_listener *relay_listener(struct relay *r)
{
	return &r->listener;
}
