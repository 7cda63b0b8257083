// SPDX-License-Identifier: MIT
/* sim_unit: see sim_unit.h. */
#include "bridge/sim/sim_unit.h"

#include "bridge/base/backoff.h"

#include <errno.h>
#include <math.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void connect_now(struct sim_unit *u);
static bool make_report(struct sim_unit *u);

struct sim_place sim_place(const struct sim_unit *u, const struct report *r)
{
	/* A circle of some kilometres, its centre and phase by unit. */
	unsigned index = (unsigned)(u - u->sim->unit);
	double angle = 0.05 * r->number + index;
	double radius = 0.02 + 0.001 * (index % 20);
	double heading = fmod(360 + 90 - angle * 180 / M_PI, 360);
	return (struct sim_place){
		.latitude = llround((u->sim->latitude + radius * sin(angle)) * 1e7),
		.longitude = llround((u->sim->longitude + radius * cos(angle)) * 1e7),
		.knots100 = 2000 + (r->number * 37) % 1500,
		.course = (unsigned)(heading < 0 ? heading + 360 : heading),
	};
}

static void disconnect(struct sim_unit *u)
{
	struct sim *s = u->sim;
	ev_io_stop(s->loop, &u->io);
	ev_timer_stop(s->loop, &u->timeout);
	if (u->fd >= 0)
		close(u->fd);
	u->fd = -1;
	u->connected = false;
	u->sent = 0;
	u->in_len = 0;
	free(u->out);
	u->out = NULL;
	u->out_len = 0;
}

static void lost(struct sim_unit *u)
{
	struct sim *s = u->sim;
	disconnect(u);
	if (u->dead)
		return;
	s->counts.lost++;
	if (!u->heard)
		u->server = u->server->ai_next != NULL ? u->server->ai_next : s->servers;
	ev_timer_set(&u->retry, backoff_jitter(s->reconnect), 0.);
	ev_timer_start(s->loop, &u->retry);
}

void sim_unit_hang_up(struct sim_unit *u)
{
	if (u->connected)
		lost(u);
}

static void watch(struct sim_unit *u, int events)
{
	ev_io_stop(u->sim->loop, &u->io);
	ev_io_set(&u->io, u->fd, events);
	ev_io_start(u->sim->loop, &u->io);
}

void sim_unit_send(struct sim_unit *u, struct span frame)
{
	if (!u->connected)
		return;
	ssize_t n = u->out_len > 0 ? 0 : send(u->fd, frame.ptr, frame.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN && errno != ENOBUFS && !u->sim->udp) {
		lost(u);
		return;
	}
	size_t gone = n > 0 ? (size_t)n : 0;
	if (u->sim->udp || gone == frame.len)
		return;
	uint8_t *bigger = realloc(u->out, u->out_len + frame.len - gone);
	if (bigger == NULL) { /* half a frame helps nobody */
		lost(u);
		return;
	}
	memcpy(bigger + u->out_len, frame.ptr + gone, frame.len - gone);
	u->out = bigger;
	u->out_len += frame.len - gone;
	watch(u, EV_READ | EV_WRITE);
}

/* As many as the window allows; over TCP in one go, as 4G units send what they have stored. */
static void send_reports(struct sim_unit *u)
{
	struct sim *s = u->sim;
	uint32_t window = s->udp ? 1 : SIM_WINDOW;
	uint8_t frames[4 * SIM_FRAME_MAX];
	size_t len = 0;
	while (u->connected && u->sent < u->pending_count && u->sent < window) {
		size_t n = s->protocol->report(u, &u->pending[u->sent], frames + len);
		if (n == 0) /* not registered yet */
			break;
		len += n;
		if (u->sent++ == 0) {
			ev_timer_set(&u->timeout, s->ack_timeout, 0.);
			ev_timer_start(s->loop, &u->timeout);
		}
		s->counts.sent++;
		if (sizeof(frames) - len >= SIM_FRAME_MAX && !s->udp)
			continue;
		sim_unit_send(u, span_of(frames, len));
		len = 0;
	}
	if (len > 0)
		sim_unit_send(u, span_of(frames, len));
}

void sim_unit_ready(struct sim_unit *u)
{
	send_reports(u);
}

void sim_unit_acknowledged(struct sim_unit *u)
{
	struct sim *s = u->sim;
	if (u->sent == 0)
		return;
	if (s->record != NULL)
		fprintf(s->record, "%s %lld\n", u->ident, (long long)u->pending[0].time_s);
	s->counts.acknowledged++;
	u->heard = true;
	u->sent--;
	u->pending_count--;
	memmove(u->pending, u->pending + 1, u->pending_count * sizeof(*u->pending));
	ev_timer_stop(s->loop, &u->timeout);
	if (u->sent > 0) {
		ev_timer_set(&u->timeout, s->ack_timeout, 0.);
		ev_timer_start(s->loop, &u->timeout);
	}
	if (s->interval == 0) /* as fast as it is acknowledged */
		make_report(u);
}

static bool enough(const struct sim_unit *u)
{
	return u->sim->reports > 0 && u->made >= u->sim->reports;
}

static bool room_for_report(struct sim_unit *u)
{
	if (u->pending_count < u->pending_cap)
		return true;
	uint32_t cap = u->pending_cap ? u->pending_cap * 2 : 4;
	struct report *bigger = realloc(u->pending, cap * sizeof(*bigger));
	if (bigger == NULL)
		return false;
	u->pending = bigger;
	u->pending_cap = cap;
	return true;
}

/* false: it has made all of its reports, or has no memory for one more. */
static bool make_report(struct sim_unit *u)
{
	struct sim *s = u->sim;
	if (enough(u)) {
		ev_timer_stop(s->loop, &u->timer);
		return false;
	}
	int64_t now_s = (int64_t)ev_now(s->loop);
	if (u->pending_count == SIM_PENDING_MAX) { /* the oldest is overwritten, as in a real unit */
		s->counts.dropped++;
		u->pending_count--;
		u->sent -= u->sent > 0;
		memmove(u->pending, u->pending + 1, u->pending_count * sizeof(*u->pending));
	}
	u->last_time_s = now_s > u->last_time_s ? now_s : u->last_time_s + 1;
	struct report report = {u->made++, 0, u->last_time_s};
	s->counts.made++;
	if (!room_for_report(u)) {
		s->counts.dropped++;
		return false;
	}
	u->pending[u->pending_count++] = report;
	return true;
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct sim_unit *u = timer->data;
	while (make_report(u) && u->sim->interval == 0 && u->pending_count < SIM_WINDOW)
		continue;
	send_reports(u);
}

static void on_retry(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	connect_now(timer->data);
}

/* No acknowledgement: a new connection, for UDP a new port, so that no late answer is taken for another. */
static void on_timeout(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	lost(timer->data);
}

static void take_input(struct sim_unit *u)
{
	size_t used = 0, n;
	while (used < u->in_len &&
		(n = u->sim->protocol->input(u, span_of(u->in + used, u->in_len - used))) > 0) {
		if (!u->connected)
			return;
		used += n;
	}
	u->in_len -= used;
	memmove(u->in, u->in + used, u->in_len);
	if (u->in_len == sizeof(u->in))
		u->in_len = 0;
	send_reports(u);
}

static void flush_out(struct sim_unit *u)
{
	ssize_t n = send(u->fd, u->out, u->out_len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0) {
		if (errno != EAGAIN)
			lost(u);
		return;
	}
	u->out_len -= (size_t)n;
	memmove(u->out, u->out + n, u->out_len);
	if (u->out_len == 0)
		watch(u, EV_READ);
}

static void on_connected(struct sim_unit *u)
{
	u->connected = true;
	u->sim->counts.connects++;
	memset(u->priv, 0, sizeof(u->priv));
	watch(u, EV_READ);
	ev_timer_set(&u->timeout, u->sim->ack_timeout, 0.);
	u->sim->protocol->hello(u);
	if (u->pending_count > 0 && !ev_is_active(&u->timeout))
		ev_timer_start(u->sim->loop, &u->timeout);
	send_reports(u);
}

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
	(void)loop;
	struct sim_unit *u = io->data;
	if (!u->connected) {
		int error = 0;
		socklen_t len = sizeof(error);
		getsockopt(u->fd, SOL_SOCKET, SO_ERROR, &error, &len);
		if (error != 0)
			lost(u);
		else
			on_connected(u);
		return;
	}
	if ((events & EV_WRITE) && u->out_len > 0)
		flush_out(u);
	if (!u->connected || !(events & EV_READ))
		return;
	ssize_t n = recv(u->fd, u->in + u->in_len, sizeof(u->in) - u->in_len, MSG_DONTWAIT);
	if (n > 0) {
		u->in_len += (size_t)n;
		take_input(u);
	} else if (!u->sim->udp && (n == 0 || (errno != EAGAIN && errno != EINTR))) {
		lost(u);
	}
}

static void connect_now(struct sim_unit *u)
{
	struct sim *s = u->sim;
	u->fd = socket(
		u->server->ai_family, (s->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (u->fd < 0) {
		lost(u);
		return;
	}
	int one = 1, rc = 0;
	if (s->from_len > 0) {
		setsockopt(u->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
		rc = bind(u->fd, (struct sockaddr *)&s->from, s->from_len);
	}
	if (rc == 0)
		rc = connect(u->fd, u->server->ai_addr, u->server->ai_addrlen);
	if (rc != 0 && errno != EINPROGRESS) {
		lost(u);
		return;
	}
	if (!s->udp) {
		setsockopt(u->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		watch(u, EV_WRITE);
		return;
	}
	on_connected(u);
}

void sim_unit_start(struct sim_unit *u, double delay)
{
	struct sim *s = u->sim;
	u->fd = -1;
	u->server = s->servers;
	ev_init(&u->io, on_io);
	ev_timer_init(&u->timer, on_timer, delay, s->interval);
	ev_timer_init(&u->retry, on_retry, delay, 0.);
	ev_init(&u->timeout, on_timeout);
	u->io.data = u->timer.data = u->retry.data = u->timeout.data = u;
	ev_timer_start(s->loop, &u->timer);
	ev_timer_start(s->loop, &u->retry);
}

void sim_unit_stop(struct sim_unit *u)
{
	u->dead = true;
	disconnect(u);
	ev_timer_stop(u->sim->loop, &u->timer);
	ev_timer_stop(u->sim->loop, &u->retry);
	free(u->pending);
}
