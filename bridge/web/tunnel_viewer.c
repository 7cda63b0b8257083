// SPDX-License-Identifier: MIT
/* tunnel_viewer: one browser's way to the broker and back: see tunnel.h.
 * Uses: bridge/base.
 * Not: know other viewers. */
#include "bridge/web/tunnel_private.h"

#include "bridge/base/clock.h"
#include "bridge/base/descriptors.h"
#include "bridge/base/reason.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST_SECONDS 10.   /* until the first packet is there, and again until the broker has let it in */
#define REFUSED_A_MINUTE 20 /* lines in the log */
#define STALL_SECONDS 60.   /* a browser that takes nothing for so long is gone */
#define ROUNDS 8            /* reads in one turn of the loop */
#define GATHER_SECONDS .03  /* what a broker says meanwhile goes in one frame: a browser pays for each frame */
#define ASKED_SECONDS 1. /* for so long, what comes may be the answer to what was asked, and is not gathered */
#define REASON_MOST 100

static void watch(struct viewer *v);

/* --- the end --- */

static void say_why(struct viewer *v, enum websocket_end code, const char *why)
{
	uint8_t frame[WEBSOCKET_HEAD_OUT + 2 + REASON_MOST];
	size_t n = strlen(why) < REASON_MOST ? strlen(why) : REASON_MOST;
	size_t head = websocket_write(WEBSOCKET_CLOSE, false, 2 + n, frame);
	frame[head] = (uint8_t)((unsigned)code >> 8);
	frame[head + 1] = (uint8_t)code;
	memcpy(frame + head + 2, why, n);
	send(http_stream_fd(v->stream), frame, head + 2 + n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void viewer_end(struct viewer *v, enum websocket_end code, const char *why)
{
	struct tunnel *t = v->tunnel;
	if (why != NULL && v->down.len == 0)
		say_why(v, code, why);
	ev_io_stop(t->loop, &v->web_io);
	ev_io_stop(t->loop, &v->broker_io);
	ev_timer_stop(t->loop, &v->deadline);
	ev_timer_stop(t->loop, &v->again);
	stats_set(t->stats, STAT_VIEWERS, --t->count);
	if (v->tls != NULL)
		tls_link_free(v->tls);
	if (v->fd >= 0)
		close(v->fd);
	if (v->deflate != NULL)
		deflate_free(v->deflate);
	http_stream_close(v->stream);
	if (v->prev != NULL)
		v->prev->next = v->next;
	else
		t->viewers = v->next;
	if (v->next != NULL)
		v->next->prev = v->prev;
	free(v);
}

static void start(struct ev_loop *loop, ev_timer *timer, double seconds)
{
	ev_timer_stop(loop, timer);
	ev_timer_set(timer, seconds, 0.);
	ev_timer_start(loop, timer);
}

void viewer_give_way(struct viewer *v)
{
	v->leaving = true;
	start(v->tunnel->loop, &v->deadline, 0.);
}

/* --- the login --- */

/* False: the viewer has ended. */
static bool admit(struct viewer *v)
{
	struct first_names names;
	char own[CONFIG_CLIENT_ID_MAX];
	switch (first_packet(span_of(v->up_bytes + v->up.from, v->up.len), &names)) {
	case FIRST_MORE:
		if (v->up.len == VIEWER_UP)
			viewer_end(v, WEBSOCKET_TOO_LARGE, "the first packet is too large");
		return v->up.len < VIEWER_UP;
	case FIRST_NONE:
		viewer_end(v, WEBSOCKET_FAULT, "the first packet is no CONNECT of MQTT 3.1.1 or 5");
		return false;
	case FIRST_NAMELESS:
		if (!v->tunnel->config->web.anonymous) {
			viewer_end(v, WEBSOCKET_REFUSED, "a user name is needed: one of the broker's users");
			return false;
		}
		break;
	case FIRST_NAMED:
		break;
	}
	if (span_is(names.client, config_client_id(v->tunnel->config, own))) {
		viewer_end(v, WEBSOCKET_REFUSED, "this client id is the bridge's own");
		return false;
	}
	const char *fault = viewer_connect(v);
	if (fault != NULL) {
		viewer_end(v, WEBSOCKET_LATER, fault);
		return false;
	}
	v->admitted = true;
	if (!v->leaving)
		start(v->tunnel->loop, &v->deadline, FIRST_SECONDS);
	return true;
}

/* The broker says whether it lets the viewer in. When it does not, it closes. */
static void see_answer(struct viewer *v, struct span bytes)
{
	char peer[ADDRESS_TEXT_MAX], why[80];
	unsigned code;
	while (v->answer_len < FIRST_ANSWER_MOST && bytes.len > 0) {
		v->answer[v->answer_len++] = bytes.ptr[0];
		bytes = span_after(bytes, 1);
	}
	enum first_answer answer = first_answer(span_of(v->answer, v->answer_len), &code);
	v->welcome = answer == ANSWER_LET_IN;
	if (answer != ANSWER_REFUSED ||
		!log_limit_take(&v->tunnel->refused, REFUSED_A_MINUTE, clock_steady_ms()))
		return;
	address_text(http_stream_peer(v->stream), peer);
	reason_text((int)code, why, sizeof(why));
	log_notice("the broker refuses a login on the page from %s: %s", peer, why);
}

/* --- from the browser --- */

/* Moves what a frame carries to what waits for the broker. False: the viewer has ended. */
static bool take_message(struct viewer *v, const struct websocket_head *head)
{
	struct writer w = writer_of(v->up_bytes, VIEWER_UP);
	struct span message = span_of(v->in_bytes + v->in.from + head->size, head->len);
	w.len = v->up.from + v->up.len;
	bool ok = head->packed ? deflate_unpack(v->deflate, message, &w)
			       : (writer_span_put(&w, message), !w.full);
	v->up.len = w.len - v->up.from;
	if (!ok)
		viewer_end(v, WEBSOCKET_TOO_LARGE, "the message is broken, or too large");
	return ok && (v->admitted || admit(v));
}

/* Answers now or not at all, when other bytes wait: a ping is the browser's own matter. */
static void put_pong(struct viewer *v, const struct websocket_head *head)
{
	if (v->down.len > 0)
		return;
	size_t size = websocket_write(WEBSOCKET_PONG, false, head->len, v->down_bytes);
	memcpy(v->down_bytes + size, v->in_bytes + v->in.from + head->size, head->len);
	v->down = (struct waiting_bytes){.from = 0, .len = size + head->len};
}

/* False: the viewer has ended. */
static bool take_frame(struct viewer *v, const struct websocket_head *head)
{
	websocket_unmask(head, v->in_bytes + v->in.from + head->size, head->len);
	switch (head->kind) {
	case WEBSOCKET_BINARY:
		return take_message(v, head);
	case WEBSOCKET_PING:
		put_pong(v, head);
		return true;
	case WEBSOCKET_PONG:
		return true;
	case WEBSOCKET_CLOSE:
		viewer_end(v, WEBSOCKET_NORMAL, "");
		return false;
	}
	return true;
}

/* Is there room for what the frame carries? Until the first packet is there, nothing leaves, and first_packet's limit counts. What a
 * compressed one becomes is not known beforehand. */
static bool has_up_room(const struct viewer *v, const struct websocket_head *head)
{
	return !v->admitted || v->up.len == 0 ||
	       (!head->packed && v->up.from + v->up.len + head->len <= VIEWER_UP);
}

/* False: the viewer has ended. */
static bool take_frames(struct viewer *v)
{
	for (;;) {
		struct websocket_head head;
		struct span rest = span_of(v->in_bytes + v->in.from, v->in.len);
		int rc = websocket_read(rest, v->deflate != NULL, &head);
		if (rc > 0) {
			viewer_end(v, (enum websocket_end)rc, "the frame is not accepted");
			return false;
		}
		if (rc < 0 || rest.len < head.size + head.len || !has_up_room(v, &head))
			return true;
		if (!take_frame(v, &head))
			return false;
		v->in.from += head.size + head.len;
		v->in.len -= head.size + head.len;
	}
}

static bool is_full(const struct viewer *v)
{
	return v->in.len == VIEWER_IN;
}

/* False: the viewer has ended. */
static bool read_web(struct viewer *v)
{
	if (is_full(v))
		return true;
	if (v->in.from > 0)
		memmove(v->in_bytes, v->in_bytes + v->in.from, v->in.len);
	v->in.from = 0;
	ssize_t n =
		recv(http_stream_fd(v->stream), v->in_bytes + v->in.len, VIEWER_IN - v->in.len, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0) {
		viewer_end(v, WEBSOCKET_NORMAL, NULL);
		return false;
	}
	v->in.len += (size_t)n;
	return true;
}

/* --- to and from the broker --- */

/* False: the viewer has ended. */
static bool write_broker(struct viewer *v)
{
	if (!v->connected || !v->admitted || v->up.len == 0)
		return true;
	const uint8_t *from = v->up_bytes + v->up.from;
	ssize_t n = v->tls != NULL ? tls_write(v->tls, from, v->up.len)
				   : send(v->fd, from, v->up.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n < 0) {
		viewer_end(v, WEBSOCKET_LATER, "the broker has closed the connection");
		return false;
	}
	v->up.from += (size_t)n;
	v->up.len -= (size_t)n;
	if (v->up.len == 0)
		v->up.from = 0;
	v->asked = ev_now(v->tunnel->loop);
	v->gathering = false;
	return true;
}

/* Frames what the broker sent. */
static bool frame_down(struct viewer *v, struct span bytes)
{
	struct writer w = writer_of(v->down_bytes + WEBSOCKET_HEAD_OUT, VIEWER_DOWN - WEBSOCKET_HEAD_OUT);
	bool packed = v->deflate != NULL;
	if (packed ? !deflate_pack(v->deflate, bytes, &w) : (writer_span_put(&w, bytes), w.full))
		return false;
	uint8_t head[WEBSOCKET_HEAD_OUT];
	size_t size = websocket_write(WEBSOCKET_BINARY, packed, w.len, head);
	v->down.from = WEBSOCKET_HEAD_OUT - size;
	v->down.len = size + w.len;
	memcpy(v->down_bytes + v->down.from, head, size);
	return true;
}

/* All that the broker has said is on its way. What it says next waits in its socket for a moment, so that the stream of a busy fleet is
 * some frames a second; what comes after a silence, or is an answer, does not wait. */
static void gather(struct viewer *v)
{
	v->gathering = v->said && ev_now(v->tunnel->loop) - v->asked > ASKED_SECONDS;
	v->said = false;
	if (v->gathering)
		start(v->tunnel->loop, &v->again, GATHER_SECONDS);
}

/* False: the viewer has ended. */
static bool read_broker(struct viewer *v, bool *more)
{
	uint8_t bytes[VIEWER_CHUNK];
	*more = false;
	if (!v->connected || !v->admitted || v->down.len > 0 || v->gathering)
		return true;
	ssize_t n = v->tls != NULL ? tls_read(v->tls, bytes, sizeof(bytes))
				   : recv(v->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		gather(v);
		return true;
	}
	if (n <= 0) {
		viewer_end(v, WEBSOCKET_LATER, "the broker has closed the connection");
		return false;
	}
	*more = v->said = true;
	if (!v->welcome)
		see_answer(v, span_of(bytes, (size_t)n));
	if (frame_down(v, span_of(bytes, (size_t)n)))
		return true;
	viewer_end(v, WEBSOCKET_TOO_LARGE, "the message cannot be compressed");
	return false;
}

/* False: the viewer has ended. */
static bool write_web(struct viewer *v)
{
	if (v->down.len == 0)
		return true;
	ssize_t n = send(http_stream_fd(v->stream), v->down_bytes + v->down.from, v->down.len,
		MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n < 0) {
		viewer_end(v, WEBSOCKET_NORMAL, NULL);
		return false;
	}
	v->down.from += (size_t)n;
	v->down.len -= (size_t)n;
	return true;
}

/* --- turns --- */

/* Moves what can be moved, both ways. */
static void move(struct viewer *v)
{
	bool more = true;
	for (unsigned i = 0; more && i < ROUNDS; i++) {
		size_t before = v->in.len;
		if (!read_web(v) || !take_frames(v) || !write_broker(v) || !read_broker(v, &more) ||
			!write_web(v))
			return;
		more |= v->in.len != before; /* a frame behind the one that was taken waits for no event */
	}
	if (more) /* the others come first */
		start(v->tunnel->loop, &v->again, 0.);
	watch(v);
}

static void watch_one(struct ev_loop *loop, ev_io *io, int fd, int events)
{
	if (ev_is_active(io) && io->fd == fd && (io->events & (EV_READ | EV_WRITE)) == events)
		return;
	ev_io_stop(loop, io);
	if (fd < 0 || events == 0)
		return;
	ev_io_set(io, fd, events);
	ev_io_start(loop, io);
}

static void watch(struct viewer *v)
{
	struct ev_loop *loop = v->tunnel->loop;
	bool read = v->connected && v->admitted && v->down.len == 0 && !v->gathering;
	bool write =
		!v->connected || (v->admitted && v->up.len > 0) || (v->tls != NULL && tls_wants_write(v->tls));
	watch_one(loop, &v->web_io, http_stream_fd(v->stream),
		(is_full(v) ? 0 : EV_READ) | (v->down.len > 0 ? EV_WRITE : 0));
	watch_one(loop, &v->broker_io, v->fd, (read ? EV_READ : 0) | (write ? EV_WRITE : 0));
	if (!v->welcome || v->leaving)
		return;
	if (v->down.len == 0 || !v->begun)
		ev_timer_stop(loop, &v->deadline);
	v->begun = true;
	if (v->down.len > 0 && !ev_is_active(&v->deadline))
		start(loop, &v->deadline, STALL_SECONDS);
}

static void on_web(struct ev_loop *loop, ev_io *io, int events)
{
	(void)loop;
	(void)events;
	move(io->data);
}

/* The connection to the broker stands, or has failed. */
static void on_broker(struct ev_loop *loop, ev_io *io, int events)
{
	struct viewer *v = io->data;
	int error = 0;
	socklen_t len = sizeof(error);
	(void)loop;
	(void)events;
	if (!v->connected) {
		getsockopt(v->fd, SOL_SOCKET, SO_ERROR, &error, &len);
		const char *fault = error == 0                ? NULL
				    : viewer_leave_address(v) ? viewer_connect(v)
							      : "the broker is not there";
		if (fault != NULL) {
			viewer_end(v, WEBSOCKET_LATER, fault);
			return;
		}
		v->connected = error == 0;
	}
	move(v);
}

static void on_again(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct viewer *v = timer->data;
	(void)loop;
	(void)events;
	v->gathering = false;
	move(v);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct viewer *v = timer->data;
	(void)loop;
	(void)events;
	if (v->leaving)
		viewer_end(v, WEBSOCKET_LATER, "others want to log in");
	else if (!v->admitted)
		viewer_end(v, WEBSOCKET_REFUSED, "the first packet did not come in time");
	else if (!v->welcome) {
		if (!v->connected)
			viewer_leave_address(v);
		viewer_end(v, WEBSOCKET_LATER, "the broker does not answer");
	} else {
		viewer_end(v, WEBSOCKET_LATER, NULL);
	}
}

/* --- the beginning --- */

/* Without those that are leaving. */
static unsigned count_staying(const struct tunnel *t)
{
	unsigned n = 0;
	for (const struct viewer *v = t->viewers; v != NULL; v = v->next)
		n += !v->leaving;
	return n;
}

void viewer_begin(struct tunnel *t, struct http_stream *stream, bool packed)
{
	struct viewer *v = calloc(1, sizeof(*v));
	if (v == NULL) {
		http_stream_close(stream);
		return;
	}
	v->tunnel = t;
	v->stream = stream;
	v->fd = -1;
	ev_init(&v->web_io, on_web);
	ev_init(&v->broker_io, on_broker);
	ev_init(&v->deadline, on_deadline);
	ev_init(&v->again, on_again);
	v->web_io.data = v->broker_io.data = v->deadline.data = v->again.data = v;
	v->next = t->viewers;
	if (v->next != NULL)
		v->next->prev = v;
	t->viewers = v;
	stats_set(t->stats, STAT_VIEWERS, ++t->count);
	const char *fault = NULL;
	if (count_staying(t) > (unsigned)t->config->web.max_viewers)
		fault = "too many are connected";
	else if (packed && (v->deflate = deflate_open()) == NULL)
		fault = "the bridge has no memory left";
	struct span early = http_stream_early(stream);
	if (fault == NULL && early.len > VIEWER_IN)
		fault = "too much at once";
	if (fault != NULL) {
		viewer_end(v, WEBSOCKET_LATER, fault);
		return;
	}
	if (early.len > 0)
		memcpy(v->in_bytes, early.ptr, early.len);
	v->in.len = early.len;
	start(t->loop, &v->deadline, FIRST_SECONDS);
	move(v);
}
