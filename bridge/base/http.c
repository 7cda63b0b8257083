// SPDX-License-Identifier: MIT
/* http: see http.h. libmicrohttpd without a thread: its epoll descriptor is one more watcher of the loop.
 *
 * A connection also ends when its request is not there within REQUEST_MS, or its answer has not left in time, even if bytes still flow, and
 * when a newer one needs its place: the oldest of the same address goes first, then the oldest of all. So whoever only holds connections
 * open keeps nobody out. */
#include "bridge/base/http.h"

#include "bridge/base/clock.h"
#include "bridge/base/listening.h"

#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATHS_MAX 8
#define ABOUT_TO_END 4 /* connections beside the places */
#define REQUEST_MS 5000
#define TICK_SECONDS 1.0 /* the library wakes nobody when it could accept again */

/* One connection. */
struct visitor {
	bool here, leaving, kept; /* kept: a handler has the connection */
	int fd;
	int64_t until_ms;
	uint64_t number; /* in the order of arrival */
	union address peer;
	uint8_t address[16];                                 /* IPv6: of its /64 */
	void (*keep)(void *ctx, struct http_stream *stream); /* when the 101 is sent */
	void *keep_ctx;
};

struct http_path {
	const char *path;
	http_handler *handler;
	void *ctx;
};

struct http {
	struct ev_loop *loop;
	struct MHD_Daemon *daemon;
	struct http_path path[PATHS_MAX], others;
	size_t paths;
	ev_io io;
	ev_timer timer;
	const struct http_header *headers;
	struct visitor *visitors;
	unsigned places, places_of_address, visitors_most;
	int64_t answer_ms;
	unsigned streams, streams_most;
	uint64_t number;
	bool left; /* a connection ended in this turn */
};

struct http_request {
	struct MHD_Connection *connection;
	const char *path;
};

struct http_stream {
	struct http *http;
	struct MHD_UpgradeResponseHandle *handle;
	union address peer;
	int fd;
	struct span early;
	uint8_t bytes[];
};

/* --- who is here --- */

/* Disconnects the socket from its peer: the library's next call on it fails, and the library closes it. shutdown() is not enough: when
 * bytes and the end of the stream have arrived together, the library sees the bytes only. */
static void show_out(struct visitor *v)
{
	const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
	v->leaving = true;
	if (connect(v->fd, &nobody, sizeof(nobody)) != 0)
		shutdown(v->fd, SHUT_RDWR);
}

/* Ends the oldest connection when more than `most` are open, of this address or (NULL) of all. Those that are ending do not count. */
static void make_place(struct http *h, const uint8_t *address, unsigned most)
{
	struct visitor *first = NULL;
	unsigned count = 0;
	for (struct visitor *v = h->visitors; v < h->visitors + h->visitors_most; v++) {
		if (!v->here || v->leaving || v->kept ||
			(address != NULL && memcmp(v->address, address, 16) != 0))
			continue;
		count++;
		if (first == NULL || v->number < first->number)
			first = v;
	}
	if (count > most)
		show_out(first);
}

static void arrives(struct http *h, struct MHD_Connection *connection, void **place)
{
	struct visitor *v = h->visitors;
	while (v < h->visitors + h->visitors_most && v->here)
		v++;
	if (v == h->visitors + h->visitors_most)
		return;
	/* each answer may stand where the last one stood: it is read before the next question */
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	if (info == NULL)
		return;
	int fd = info->connect_fd;
	info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	if (info == NULL)
		return;
	*v = (struct visitor){
		.here = true, .fd = fd, .number = ++h->number, .until_ms = clock_steady_ms() + REQUEST_MS};
	bool wide = info->client_addr->sa_family == AF_INET6;
	memcpy(&v->peer, info->client_addr, wide ? sizeof(v->peer.in6) : sizeof(v->peer.in4));
	address_bytes(&v->peer, v->address);
	if (wide && !IN6_IS_ADDR_V4MAPPED(&v->peer.in6.sin6_addr))
		memset(v->address + 8, 0, 8);
	*place = v;
	make_place(h, v->address, h->places_of_address);
	make_place(h, NULL, h->places);
}

static void on_connection(
	void *ctx, struct MHD_Connection *connection, void **place, enum MHD_ConnectionNotificationCode what)
{
	struct http *h = ctx;
	if (what == MHD_CONNECTION_NOTIFY_STARTED)
		arrives(h, connection, place);
	else if (*place != NULL)
		((struct visitor *)*place)->here = false;
	h->left |= what == MHD_CONNECTION_NOTIFY_CLOSED;
}

static void end_overdue(struct http *h)
{
	int64_t now = clock_steady_ms();
	for (struct visitor *v = h->visitors; v < h->visitors + h->visitors_most; v++)
		if (v->here && !v->leaving && !v->kept && now >= v->until_ms)
			show_out(v);
}

/* --- streams --- */

static struct visitor *visitor_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info != NULL ? info->socket_context : NULL;
}

static void on_upgrade(void *ctx, struct MHD_Connection *connection, void *state, const char *early,
	size_t early_len, MHD_socket fd, struct MHD_UpgradeResponseHandle *handle)
{
	struct http *h = ctx;
	struct visitor *v = visitor_of(connection);
	struct http_stream *s = malloc(sizeof(*s) + early_len);
	(void)state;
	if (v == NULL || s == NULL || fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0) {
		free(s);
		MHD_upgrade_action(handle, MHD_UPGRADE_ACTION_CLOSE);
		return;
	}
	*s = (struct http_stream){
		.http = h, .handle = handle, .peer = v->peer, .fd = fd, .early = {s->bytes, early_len}};
	if (early_len > 0)
		memcpy(s->bytes, early, early_len);
	h->streams++;
	v->kept = true;
	v->keep(v->keep_ctx, s);
}

const union address *http_stream_peer(const struct http_stream *stream)
{
	return &stream->peer;
}

int http_stream_fd(const struct http_stream *stream)
{
	return stream->fd;
}

struct span http_stream_early(const struct http_stream *stream)
{
	return stream->early;
}

void http_stream_close(struct http_stream *stream)
{
	struct http *h = stream->http;
	h->streams--;
	MHD_upgrade_action(stream->handle, MHD_UPGRADE_ACTION_CLOSE);
	ev_timer_stop(h->loop, &h->timer); /* the library closes the socket in its next run */
	ev_timer_set(&h->timer, 0., 0.);
	ev_timer_start(h->loop, &h->timer);
	free(stream);
}

/* --- requests --- */

const char *http_request_header(const struct http_request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const char *http_request_path(const struct http_request *request)
{
	return request->path;
}

const union address *http_request_peer(const struct http_request *request)
{
	const struct visitor *v = visitor_of(request->connection);
	return v != NULL ? &v->peer : NULL;
}

static struct MHD_Response *response_of(struct http *h, const struct http_answer *a)
{
	struct MHD_Response *response;
	if (a->keep != NULL)
		return MHD_create_response_for_upgrade(on_upgrade, h);
	if (a->file >= 0)
		response = MHD_create_response_from_fd64(a->file_size, a->file); /* closes it */
	else
		response = MHD_create_response_from_buffer(
			a->body.len, (void *)(uintptr_t)a->body.ptr, MHD_RESPMEM_MUST_COPY);
	if (response == NULL)
		return NULL;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, a->type);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	return response;
}

static enum MHD_Result reply(struct http *h, struct MHD_Connection *connection, const struct http_answer *a)
{
	struct visitor *v = visitor_of(connection);
	struct MHD_Response *response = v != NULL || a->keep == NULL ? response_of(h, a) : NULL;
	if (response == NULL)
		return MHD_NO;
	if (a->keep != NULL) {
		v->keep = a->keep;
		v->keep_ctx = a->keep_ctx;
	}
	for (const struct http_header *x = h->headers; x != NULL && x->name != NULL; x++)
		MHD_add_response_header(response, x->name, x->value);
	for (const struct http_header *x = a->header; x < a->header + HTTP_HEADERS_MOST && x->name != NULL; x++)
		MHD_add_response_header(response, x->name, x->value);
	enum MHD_Result result = MHD_queue_response(connection, a->status, response);
	MHD_destroy_response(response);
	return result;
}

static const struct http_path *find(const struct http *h, const char *path)
{
	for (const struct http_path *p = h->path; p < h->path + h->paths; p++)
		if (strcmp(p->path, path) == 0)
			return p;
	return NULL;
}

/* "/a, /b or /c" and a new line. */
static struct span list_paths(const struct http *h, char *out, size_t size)
{
	struct writer w = writer_of(out, size);
	for (size_t i = 0; i < h->paths; i++) {
		if (i > 0)
			writer_text(&w, i + 1 < h->paths ? ", " : " or ");
		writer_text(&w, h->path[i].path);
	}
	writer_u8(&w, '\n');
	return writer_span(&w);
}

/* More streams than there is room for are refused here, so that no handler needs to count; and what only GET can ask for. */
static void limit_streams(const struct http *h, bool get, struct http_answer *answer)
{
	if (answer->keep == NULL || (get && h->streams < h->streams_most))
		return;
	*answer = (struct http_answer){.status = MHD_HTTP_SERVICE_UNAVAILABLE,
		.type = HTTP_PLAIN,
		.file = -1,
		.body = span_text("too many are connected\n")};
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *upload, size_t *upload_size, void **state)
{
	struct http *h = ctx;
	struct http_answer answer = {.status = MHD_HTTP_OK, .type = HTTP_PLAIN, .file = -1};
	const struct http_request request = {connection, url};
	char paths[500];
	(void)version;
	(void)upload;
	(void)upload_size;
	(void)state;
	const struct http_path *found = find(h, url);
	struct visitor *v = visitor_of(connection);
	if (v != NULL)
		v->until_ms = clock_steady_ms() + h->answer_ms;
	if (found == NULL && h->others.handler != NULL)
		found = &h->others;
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
		answer.status = MHD_HTTP_METHOD_NOT_ALLOWED;
		answer.body = span_text("only GET\n");
	} else if (found == NULL) {
		answer.status = MHD_HTTP_NOT_FOUND;
		answer.body = list_paths(h, paths, sizeof(paths));
	} else {
		found->handler(found->ctx, &request, &answer);
		limit_streams(h, strcmp(method, "GET") == 0, &answer);
	}
	return reply(h, connection, &answer);
}

void http_route_others(struct http *h, http_handler *handler, void *ctx)
{
	h->others = (struct http_path){NULL, handler, ctx};
}

bool http_route(struct http *h, const char *path, http_handler *handler, void *ctx)
{
	if (h->paths == PATHS_MAX || find(h, path) != NULL)
		return false;
	h->path[h->paths++] = (struct http_path){path, handler, ctx};
	return true;
}

/* --- turns --- */

/* Runs the library once and sets the timer for its next run. */
static void turn(struct http *h)
{
	MHD_UNSIGNED_LONG_LONG timeout_ms;
	h->left = false;
	end_overdue(h);
	MHD_run(h->daemon);
	ev_timer_stop(h->loop, &h->timer);
	double due = h->left ? 0 : TICK_SECONDS; /* the next run accepts again */
	if (MHD_get_timeout(h->daemon, &timeout_ms) == MHD_YES && (double)timeout_ms / 1000.0 < due)
		due = (double)timeout_ms / 1000.0;
	ev_timer_set(&h->timer, due, 0.);
	ev_timer_start(h->loop, &h->timer);
}

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
	(void)loop;
	(void)events;
	turn(io->data);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	turn(timer->data);
}

static struct MHD_Daemon *start(struct http *h, const struct http_options *o)
{
	unsigned flags = MHD_USE_EPOLL | (o->listen.any.sa_family == AF_INET6 ? MHD_USE_IPv6 : 0) |
			 (o->streams > 0 ? MHD_ALLOW_UPGRADE : 0) | (o->cert != NULL ? MHD_USE_TLS : 0);
	const struct MHD_OptionItem none = {MHD_OPTION_END, 0, NULL};
	struct MHD_OptionItem tls[] = {
		{MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)o->cert},
		{MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)o->key},
		none,
	};
	/* the library would bind as well, but not all its versions leave the reason in errno */
	int fd = listening_socket(&o->listen, false);
	if (fd < 0)
		return NULL;
	return MHD_start_daemon(flags, 0, NULL, NULL, on_request, h, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_CONNECTION_LIMIT, h->visitors_most, MHD_OPTION_CONNECTION_TIMEOUT, o->quiet_seconds,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, h, MHD_OPTION_ARRAY,
		o->cert != NULL ? tls : tls + 2, MHD_OPTION_END);
}

static void watch(struct http *h)
{
	ev_io_init(&h->io, on_io, MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, EV_READ);
	ev_init(&h->timer, on_timer);
	h->io.data = h->timer.data = h;
	ev_io_start(h->loop, &h->io);
	ev_timer_set(&h->timer, TICK_SECONDS, 0.);
	ev_timer_start(h->loop, &h->timer);
}

struct http *http_open(struct ev_loop *loop, const struct http_options *o, char *why, size_t size)
{
	char text[ADDRESS_TEXT_MAX];
	struct http *h = calloc(1, sizeof(*h));
	unsigned most = o->places + ABOUT_TO_END + o->streams;
	snprintf(why, size, "no memory for http");
	if (h == NULL)
		return NULL;
	h->loop = loop;
	h->headers = o->headers;
	h->places = o->places;
	h->places_of_address = o->places_of_address;
	h->streams_most = o->streams;
	h->answer_ms = o->answer_ms;
	h->visitors_most = most;
	h->visitors = calloc(most, sizeof(*h->visitors));
	if (h->visitors != NULL && (h->daemon = start(h, o)) == NULL) {
		address_port_text(&o->listen, text);
		snprintf(why, size, "cannot listen on http %s: %s", text, strerror(errno));
	}
	if (h->daemon == NULL) {
		free(h->visitors);
		free(h);
		return NULL;
	}
	watch(h);
	return h;
}

void http_free(struct http *h)
{
	ev_io_stop(h->loop, &h->io);
	ev_timer_stop(h->loop, &h->timer);
	MHD_stop_daemon(h->daemon);
	free(h->visitors);
	free(h);
}
