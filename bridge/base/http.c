/* http: see http.h. libmicrohttpd without a thread: its epoll descriptor is one more watcher of the loop.
 *
 * A connection also ends when it is not done within DEADLINE_MS, even if bytes still flow, and when a newer one needs its place: the oldest
 * of the same address goes first, then the oldest of all. So whoever only holds connections open keeps nobody out. */
#include "bridge/base/http.h"

#include "bridge/base/clock.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATHS_MAX 8
#define PLACES 12
#define PLACES_OF_ADDRESS 4
#define CONNECTIONS_MAX 16 /* with those that are just about to end */
#define TIMEOUT_SECONDS 3u /* without a byte */
#define DEADLINE_MS 5000
#define TICK_SECONDS 1.0 /* the library wakes nobody when it could accept again */

/* One connection. */
struct visitor {
	bool here, leaving;
	int fd;
	int64_t since_ms;
	uint64_t number;     /* in the order of arrival */
	uint8_t address[16]; /* IPv6: of its /64 */
};

struct http_path {
	const char *path;
	http_handler *handler;
	void *ctx;
};

struct http {
	struct ev_loop *loop;
	struct MHD_Daemon *daemon;
	struct http_path path[PATHS_MAX];
	size_t paths;
	ev_io io;
	ev_timer timer;
	struct visitor visitors[CONNECTIONS_MAX];
	uint64_t number;
	bool left; /* a connection ended in this turn */
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
	for (struct visitor *v = h->visitors; v < h->visitors + CONNECTIONS_MAX; v++) {
		if (!v->here || v->leaving || (address != NULL && memcmp(v->address, address, 16) != 0))
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
	while (v < h->visitors + CONNECTIONS_MAX && v->here)
		v++;
	if (v == h->visitors + CONNECTIONS_MAX)
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
	*v = (struct visitor){.here = true, .fd = fd, .number = ++h->number, .since_ms = clock_steady_ms()};
	union address a = {0};
	memcpy(&a, info->client_addr, info->client_addr->sa_family == AF_INET6 ? sizeof(a.in6) : sizeof(a.in4));
	address_bytes(&a, v->address);
	if (a.any.sa_family == AF_INET6)
		memset(v->address + 8, 0, 8);
	*place = v;
	make_place(h, v->address, PLACES_OF_ADDRESS);
	make_place(h, NULL, PLACES);
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
	for (struct visitor *v = h->visitors; v < h->visitors + CONNECTIONS_MAX; v++)
		if (v->here && !v->leaving && now - v->since_ms >= DEADLINE_MS)
			show_out(v);
}

/* --- requests --- */

static enum MHD_Result reply(struct MHD_Connection *connection, const struct http_answer *a)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
		a->body.len, (void *)(uintptr_t)a->body.ptr, MHD_RESPMEM_MUST_COPY);
	if (response == NULL)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, a->type);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
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

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *upload, size_t *upload_size, void **state)
{
	const struct http *h = ctx;
	struct http_answer answer = {.status = MHD_HTTP_OK, .type = HTTP_PLAIN};
	char paths[500];
	(void)version;
	(void)upload;
	(void)upload_size;
	(void)state;
	const struct http_path *found = find(h, url);
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
		answer.status = MHD_HTTP_METHOD_NOT_ALLOWED;
		answer.body = span_text("only GET\n");
	} else if (found == NULL) {
		answer.status = MHD_HTTP_NOT_FOUND;
		answer.body = list_paths(h, paths, sizeof(paths));
	} else {
		found->handler(found->ctx, &answer);
	}
	return reply(connection, &answer);
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

/* The library would bind as well, but not all its versions leave the reason in errno. -1: errno has it. */
static int listening_socket(const union address *listen_on)
{
	int on = 1, family = listen_on->any.sa_family;
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, &listen_on->any, family == AF_INET6 ? sizeof(listen_on->in6) : sizeof(listen_on->in4)) ==
			0 &&
		listen(fd, SOMAXCONN) == 0)
		return fd;
	int why = errno;
	close(fd);
	errno = why;
	return -1;
}

struct http *http_open(struct ev_loop *loop, const union address *listen_on, char *why, size_t size)
{
	struct http *h = calloc(1, sizeof(*h));
	char text[ADDRESS_TEXT_MAX];
	snprintf(why, size, "no memory for http");
	if (h == NULL)
		return NULL;
	h->loop = loop;
	unsigned flags = MHD_USE_EPOLL | (listen_on->any.sa_family == AF_INET6 ? MHD_USE_IPv6 : 0);
	int fd = listening_socket(listen_on);
	if (fd >= 0)
		h->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, h, MHD_OPTION_LISTEN_SOCKET, fd,
			MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
			TIMEOUT_SECONDS, MHD_OPTION_NOTIFY_CONNECTION, on_connection, h, MHD_OPTION_END);
	if (h->daemon == NULL) {
		address_port_text(listen_on, text);
		snprintf(why, size, "cannot listen on http %s: %s", text, strerror(errno));
		free(h);
		return NULL;
	}
	ev_io_init(&h->io, on_io, MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, EV_READ);
	ev_init(&h->timer, on_timer);
	h->io.data = h->timer.data = h;
	ev_io_start(loop, &h->io);
	ev_timer_set(&h->timer, TICK_SECONDS, 0.);
	ev_timer_start(loop, &h->timer);
	return h;
}

void http_free(struct http *h)
{
	ev_io_stop(h->loop, &h->io);
	ev_timer_stop(h->loop, &h->timer);
	MHD_stop_daemon(h->daemon);
	free(h);
}
