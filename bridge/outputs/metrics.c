/* metrics: see metrics.h. libmicrohttpd without a thread: its epoll descriptor is one more in the loop.
 *
 * A connection serves one request and ends. It ends as well when it is not done within DEADLINE_MS, however busy it
 * is, and when its place is needed for a newer one: of the same address first, then of all. So whoever only holds
 * connections open keeps nobody out. */
#include "bridge/outputs/metrics.h"

#include "bridge/base/clock.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define BODY_MAX (32 * 1024)
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

struct metrics {
	struct ev_loop *loop;
	struct MHD_Daemon *daemon;
	const struct stats *stats;
	struct metrics_ops ops;
	ev_io io;
	ev_timer timer;
	struct visitor visitors[CONNECTIONS_MAX];
	uint64_t number;
	bool left; /* somebody, in this turn */
	char body[BODY_MAX];
};

/* --- who is here --- */

/* Takes the socket from its peer: the library meets an error there, and closes it. A shutdown would not do: of bytes and
 * an end that have come together, the library sees the bytes only. */
static void show_out(struct visitor *v)
{
	const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
	v->leaving = true;
	if (connect(v->fd, &nobody, sizeof(nobody)) != 0)
		shutdown(v->fd, SHUT_RDWR);
}

/* Keeps `most` of those that are to stay; the one that came first goes. `address` NULL: of all. */
static void make_place(struct metrics *m, const uint8_t *address, unsigned most)
{
	struct visitor *first = NULL;
	unsigned count = 0;
	for (struct visitor *v = m->visitors; v < m->visitors + CONNECTIONS_MAX; v++) {
		if (!v->here || v->leaving || (address != NULL && memcmp(v->address, address, 16) != 0))
			continue;
		count++;
		if (first == NULL || v->number < first->number)
			first = v;
	}
	if (count > most)
		show_out(first);
}

static void arrives(struct metrics *m, struct MHD_Connection *connection, void **place)
{
	struct visitor *v = m->visitors;
	while (v < m->visitors + CONNECTIONS_MAX && v->here)
		v++;
	if (v == m->visitors + CONNECTIONS_MAX)
		return;
	const union MHD_ConnectionInfo *fd =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	const union MHD_ConnectionInfo *peer =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	if (fd == NULL || peer == NULL)
		return;
	*v = (struct visitor){
		.here = true, .fd = fd->connect_fd, .number = ++m->number, .since_ms = clock_steady_ms()};
	union address a = {0};
	memcpy(&a, peer->client_addr, peer->client_addr->sa_family == AF_INET6 ? sizeof(a.in6) : sizeof(a.in4));
	address_bytes(&a, v->address);
	if (a.any.sa_family == AF_INET6)
		memset(v->address + 8, 0, 8);
	*place = v;
	make_place(m, v->address, PLACES_OF_ADDRESS);
	make_place(m, NULL, PLACES);
}

static void on_connection(
	void *ctx, struct MHD_Connection *connection, void **place, enum MHD_ConnectionNotificationCode what)
{
	struct metrics *m = ctx;
	if (what == MHD_CONNECTION_NOTIFY_STARTED)
		arrives(m, connection, place);
	else if (*place != NULL)
		((struct visitor *)*place)->here = false;
	m->left |= what == MHD_CONNECTION_NOTIFY_CLOSED;
}

static void end_overdue(struct metrics *m)
{
	int64_t now = clock_steady_ms();
	for (struct visitor *v = m->visitors; v < m->visitors + CONNECTIONS_MAX; v++)
		if (v->here && !v->leaving && now - v->since_ms >= DEADLINE_MS)
			show_out(v);
}

/* --- requests --- */

static enum MHD_Result answer(
	struct MHD_Connection *connection, unsigned code, const char *type, struct span body)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(body.len, (void *)(uintptr_t)body.ptr, MHD_RESPMEM_MUST_COPY);
	if (response == NULL)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	enum MHD_Result result = MHD_queue_response(connection, code, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *upload, size_t *upload_size, void **state)
{
	static const char plain[] = "text/plain; charset=utf-8";
	struct metrics *m = ctx;
	(void)version;
	(void)upload;
	(void)upload_size;
	(void)state;
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		return answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED, plain, span_text("only GET\n"));
	if (strcmp(url, "/metrics") == 0) {
		struct writer w = writer_of(m->body, sizeof(m->body));
		m->ops.refresh(m->ops.ctx);
		stats_write_metrics(m->stats, &w);
		return answer(
			connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", writer_span(&w));
	}
	if (strcmp(url, "/healthz") == 0) {
		const char *trouble = m->ops.trouble(m->ops.ctx);
		snprintf(m->body, sizeof(m->body), "%s\n", trouble != NULL ? trouble : "ok");
		return answer(connection, trouble != NULL ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK, plain,
			span_text(m->body));
	}
	return answer(connection, MHD_HTTP_NOT_FOUND, plain, span_text("/metrics or /healthz\n"));
}

/* --- turns --- */

/* One turn of the library, and when the next is due. */
static void turn(struct metrics *m)
{
	MHD_UNSIGNED_LONG_LONG timeout_ms;
	m->left = false;
	end_overdue(m);
	MHD_run(m->daemon);
	ev_timer_stop(m->loop, &m->timer);
	double due = m->left ? 0 : TICK_SECONDS; /* the next turn accepts again */
	if (MHD_get_timeout(m->daemon, &timeout_ms) == MHD_YES && (double)timeout_ms / 1000.0 < due)
		due = (double)timeout_ms / 1000.0;
	ev_timer_set(&m->timer, due, 0.);
	ev_timer_start(m->loop, &m->timer);
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

struct metrics *metrics_open(struct ev_loop *loop, const union address *listen, const struct stats *stats,
	const struct metrics_ops *ops, char *why, size_t size)
{
	struct metrics *m = calloc(1, sizeof(*m));
	char text[ADDRESS_TEXT_MAX];
	snprintf(why, size, "no memory for the metrics");
	if (m == NULL)
		return NULL;
	m->loop = loop;
	m->stats = stats;
	m->ops = *ops;
	unsigned flags = MHD_USE_EPOLL | (listen->any.sa_family == AF_INET6 ? MHD_USE_IPv6 : 0);
	m->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, m, MHD_OPTION_SOCK_ADDR, &listen->any,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
		TIMEOUT_SECONDS, MHD_OPTION_NOTIFY_CONNECTION, on_connection, m, MHD_OPTION_END);
	if (m->daemon == NULL) {
		address_port_text(listen, text);
		snprintf(why, size, "cannot listen on http %s: %s", text, strerror(errno));
		free(m);
		return NULL;
	}
	ev_io_init(&m->io, on_io, MHD_get_daemon_info(m->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, EV_READ);
	ev_init(&m->timer, on_timer);
	m->io.data = m->timer.data = m;
	ev_io_start(loop, &m->io);
	ev_timer_set(&m->timer, TICK_SECONDS, 0.);
	ev_timer_start(loop, &m->timer);
	return m;
}

void metrics_free(struct metrics *m)
{
	ev_io_stop(m->loop, &m->io);
	ev_timer_stop(m->loop, &m->timer);
	MHD_stop_daemon(m->daemon);
	free(m);
}
