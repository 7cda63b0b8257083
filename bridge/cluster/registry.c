// SPDX-License-Identifier: MIT
/* registry: see registry.h. */
#include "bridge/cluster/registry.h"

#include "bridge/base/backoff.h"
#include "bridge/base/log.h"
#include "bridge/base/clock.h"
#include "bridge/base/fifo.h"
#include "bridge/base/lookup.h"
#include "bridge/base/tls.h"
#include "bridge/cluster/replies.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#define RETRY_FIRST 0.2
#define RETRY_MOST 2.0
#define FIND_AGAIN 0.4      /* where somebody else knows when a server has been replaced */
#define OUT_MOST (16 << 20) /* bytes that wait to be written */
#define READ_BURST 32
#define LOOKUP_AGAIN 0.02
#define LOOKUPS_MOST 100
#define TICK 0.5
#define FAILURES_A_MINUTE 6 /* lines in the log */

/* A call that is not answered yet. */
struct pending {
	registry_answer *answer; /* NULL: nobody wants to know */
	void *ctx;
	int64_t number;
	char subject[64];
};

struct registry {
	struct ev_loop *loop;
	struct registry_options options;
	struct registry_ops ops;
	struct registry_address address[REGISTRY_ADDRESSES_MOST];
	struct lookup *lookup[REGISTRY_ADDRESSES_MOST];
	struct tls_client *tls;
	unsigned addresses, at, lookups; /* lookups: so often its address was not known, in a row */
	struct tls_link *link;           /* NULL: plain */
	int fd;                          /* -1: none */
	bool connected, up, broken, told;
	unsigned logins; /* answers to AUTH and SELECT that are still due */
	double silent;   /* seconds without a byte while answers are due, as far as this process ran */
	struct replies replies;
	uint8_t *out;
	size_t out_len, out_gone, out_room;
	struct fifo calls; /* struct pending, as they were sent */
	struct backoff backoff;
	char why[300], error[200];
	struct log_limit failures;
	ev_io io;
	ev_timer retry, tick;
};

static void answer_first(struct registry *r, const struct redisReply *reply)
{
	const struct pending p = *(const struct pending *)fifo_at(&r->calls, 0);
	fifo_drop_first(&r->calls);
	if (p.answer != NULL)
		p.answer(p.ctx, reply, p.number, p.subject);
}

/* --- the connection --- */

static void watch(struct registry *r)
{
	bool writes =
		!r->connected || r->out_len > r->out_gone || (r->link != NULL && tls_wants_write(r->link));
	int events = EV_READ | (writes ? EV_WRITE : 0);
	if (ev_is_active(&r->io) && r->io.fd == r->fd && (r->io.events & (EV_READ | EV_WRITE)) == events)
		return;
	ev_io_stop(r->loop, &r->io);
	ev_io_set(&r->io, r->fd, events);
	ev_io_start(r->loop, &r->io);
}

static void give_up(struct registry *r, const char *why)
{
	r->broken = true;
	if (*r->why == '\0')
		snprintf(r->why, sizeof(r->why), "%s", why);
}

static void close_socket(struct registry *r)
{
	ev_io_stop(r->loop, &r->io);
	ev_timer_stop(r->loop, &r->tick);
	if (r->link != NULL)
		tls_link_free(r->link);
	if (r->fd >= 0)
		close(r->fd);
	replies_close(&r->replies);
	r->link = NULL;
	r->fd = -1;
	r->out_len = r->out_gone = 0;
	r->connected = r->broken = false;
	r->silent = 0;
	r->logins = 0;
}

static void lost(struct registry *r)
{
	bool was_up = r->up;
	if (was_up)
		backoff_reset(&r->backoff, RETRY_FIRST);
	if (!r->told)
		log_warning("registry %s (%s): %s; trying again", r->address[r->at].server, r->options.what,
			r->why);
	r->told = true;
	r->why[0] = '\0';
	r->up = false;
	close_socket(r);
	size_t unanswered = r->calls.count;
	while (unanswered-- > 0)
		answer_first(r, NULL);
	r->at = (r->at + 1) % r->addresses;
	if (r->options.finder.find != NULL)
		r->options.finder.wrong(r->options.finder.ctx);
	r->lookups = 0;
	double most = r->options.finder.find != NULL ? FIND_AGAIN : RETRY_MOST;
	ev_timer_set(&r->retry, backoff_wait(&r->backoff, most, most), 0.);
	ev_timer_start(r->loop, &r->retry);
	if (was_up)
		r->ops.down(r->ops.ctx);
}

/* --- answers --- */

static void on_reply(struct registry *r, const struct redisReply *reply)
{
	bool failed = reply->type == REDIS_REPLY_ERROR, login = r->logins > 0;
	r->silent = 0;
	if (r->calls.count == 0) {
		give_up(r, "it answers what was not asked");
		return;
	}
	if (failed && (login || registry_is_refusal(reply->str))) {
		give_up(r, reply->str);
		return; /* the call counts as not answered */
	}
	if (failed && log_limit_take(&r->failures, FAILURES_A_MINUTE, clock_steady_ms()))
		log_warning("registry %s (%s): %s", r->address[r->at].server, r->options.what,
			log_bytes(span_text(reply->str)).text);
	if (failed)
		snprintf(r->error, sizeof(r->error), "%s", log_bytes(span_text(reply->str)).text);
	answer_first(r, failed ? NULL : reply);
	r->error[0] = '\0';
	if (!login || --r->logins > 0)
		return;
	r->up = true;
	if (r->told)
		log_notice("registry %s (%s): connected", r->address[r->at].server, r->options.what);
	r->told = false;
	r->ops.up(r->ops.ctx);
}

static void read_replies(struct registry *r)
{
	void *reply = NULL;
	while (!r->broken && redisReaderGetReply(r->replies.reader, &reply) == REDIS_OK && reply != NULL) {
		on_reply(r, reply);
		freeReplyObject(reply);
		reply = NULL;
	}
	if (r->replies.reader->err != 0)
		give_up(r, "what it sends is not the protocol of Redis");
}

static ssize_t receive(struct registry *r, void *to, size_t size)
{
	return r->link != NULL ? tls_read(r->link, to, size) : recv(r->fd, to, size, MSG_DONTWAIT);
}

static const char *trouble(const struct registry *r)
{
	return r->link != NULL && *tls_client_reason(r->tls) ? tls_client_reason(r->tls) : strerror(errno);
}

static void read_all(struct registry *r)
{
	char buf[16384];
	for (unsigned i = 0; i < READ_BURST && !r->broken; i++) {
		ssize_t n = receive(r, buf, sizeof(buf));
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			give_up(r, n == 0 ? "it closed the connection" : trouble(r));
			return;
		}
		if (redisReaderFeed(r->replies.reader, buf, (size_t)n) != REDIS_OK)
			give_up(r, "no memory");
		else
			read_replies(r);
		if (!r->broken && replies_too_long(&r->replies))
			give_up(r, "its answer is too long");
	}
}

static void flush(struct registry *r)
{
	while (r->out_gone < r->out_len && !r->broken) {
		const uint8_t *from = r->out + r->out_gone;
		size_t len = r->out_len - r->out_gone;
		ssize_t n = r->link != NULL ? tls_write(r->link, from, len)
					    : send(r->fd, from, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0)
			give_up(r, trouble(r));
		else
			r->out_gone += (size_t)n;
	}
	if (r->out_gone == r->out_len)
		r->out_gone = r->out_len = 0;
}

/* --- calls --- */

static bool out_put(struct registry *r, const char *bytes, size_t len)
{
	if (r->out_gone > 0 && r->out_len + len > r->out_room) {
		memmove(r->out, r->out + r->out_gone, r->out_len - r->out_gone);
		r->out_len -= r->out_gone;
		r->out_gone = 0;
	}
	if (r->out_len + len > OUT_MOST)
		return false;
	if (r->out_len + len > r->out_room) {
		size_t room = (r->out_len + len) * 2;
		uint8_t *fresh = realloc(r->out, room);
		if (fresh == NULL)
			return false;
		r->out = fresh;
		r->out_room = room;
	}
	memcpy(r->out + r->out_len, bytes, len);
	r->out_len += len;
	return true;
}

static bool call(struct registry *r, unsigned argc, const struct span *argv, const struct pending *p)
{
	const char *words[REGISTRY_ARGUMENTS_MOST];
	size_t lengths[REGISTRY_ARGUMENTS_MOST];
	char *text = NULL;
	if (argc > REGISTRY_ARGUMENTS_MOST || r->calls.count >= REGISTRY_PENDING_MOST)
		return false;
	for (unsigned i = 0; i < argc; i++) {
		words[i] = argv[i].len > 0 ? (const char *)argv[i].ptr : "";
		lengths[i] = argv[i].len;
	}
	long long len = redisFormatCommandArgv(&text, (int)argc, words, lengths);
	bool ok = len > 0 && fifo_put(&r->calls, p, sizeof(*p));
	if (ok && !out_put(r, text, (size_t)len)) {
		fifo_drop_last(&r->calls);
		ok = false;
	}
	redisFreeCommand(text);
	if (ok && r->calls.count == 1)
		r->silent = 0;
	return ok;
}

bool registry_call(struct registry *r, unsigned argc, const struct span *argv, registry_answer *answer,
	void *ctx, int64_t number, const char *subject)
{
	struct pending p = {.answer = answer, .ctx = ctx, .number = number};
	if (!r->up || r->broken)
		return false;
	snprintf(p.subject, sizeof(p.subject), "%s", subject);
	if (!call(r, argc, argv, &p))
		return false;
	watch(r); /* what one turn calls leaves together */
	return true;
}

/* --- connecting --- */

static void log_in(struct registry *r)
{
	char db[16];
	const struct registry_options *o = &r->options;
	const struct pending nobody = {.answer = NULL};
	struct span auth[3] = {span_text("AUTH"), span_text(o->username), span_text(o->password)};
	if (*o->username == '\0')
		auth[1] = auth[2];
	snprintf(db, sizeof(db), "%u", r->address[r->at].db);
	const struct span choose[] = {span_text("SELECT"), span_text(db)}, ping = span_text("PING");
	bool ok = *o->password == '\0' || call(r, *o->username ? 3 : 2, auth, &nobody);
	r->logins = *o->password != '\0' ? 2 : 1;
	if (!ok || !(r->options.is_sentinel ? call(r, 1, &ping, &nobody) : call(r, 2, choose, &nobody)))
		give_up(r, "no memory");
}

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
	(void)loop;
	struct registry *r = io->data;
	if (!r->connected && (events & EV_WRITE)) {
		int error = 0;
		socklen_t len = sizeof(error);
		getsockopt(r->fd, SOL_SOCKET, SO_ERROR, &error, &len);
		r->connected = error == 0;
		if (error != 0)
			give_up(r, strerror(error));
		else
			log_in(r);
	}
	if (r->connected && !r->broken)
		flush(r);
	if (r->connected && !r->broken && ((events & EV_READ) || r->link != NULL))
		read_all(r);
	if (r->broken)
		lost(r);
	else
		watch(r);
}

/* The time during which this process was stopped does not count: the answers may be there already. */
static void on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct registry *r = timer->data;
	r->silent = r->connected && r->calls.count == 0 ? 0 : r->silent + TICK;
	if (r->silent <= r->options.patience)
		return;
	give_up(r, "it does not answer");
	lost(r);
}

static bool use_tls(struct registry *r, const char *host)
{
	char why[TLS_WHY_MAX];
	const struct tls_client_options options = {r->options.tls_ca_file, "", "", host};
	if (r->tls != NULL)
		tls_client_free(r->tls);
	r->tls = tls_client_open(&options, why);
	if (r->tls == NULL)
		log_error("registry: %s", why);
	return r->tls != NULL;
}

/* The server that the finder names. False: it names none yet. */
static bool find_server(struct registry *r)
{
	char server[REGISTRY_SERVER_MOST], host[REGISTRY_SERVER_MOST];
	struct registry_address *a = &r->address[0];
	if (!r->options.finder.find(r->options.finder.ctx, server, host))
		return false;
	if (r->lookup[0] != NULL && strcmp(server, a->server) == 0)
		return true;
	if (r->lookup[0] != NULL)
		lookup_free(r->lookup[0]);
	memcpy(a->server, server, sizeof(server));
	memcpy(a->host, host, sizeof(host));
	r->lookup[0] = lookup_open(r->loop, server);
	return r->lookup[0] != NULL && (!a->tls || use_tls(r, host));
}

static void connect_now(struct registry *r)
{
	union address to;
	const struct registry_address *a = &r->address[r->at];
	const int on = 1;
	if (r->options.finder.find != NULL && !find_server(r)) {
		if (!r->broken && ++r->lookups > LOOKUPS_MOST)
			give_up(r, "no sentinel has named the master");
		ev_timer_set(&r->retry, LOOKUP_AGAIN, 0.);
		ev_timer_start(r->loop, &r->retry);
		return;
	}
	if (!lookup_address(r->lookup[r->at], &to)) {
		if (++r->lookups > LOOKUPS_MOST)
			give_up(r, "its name is not known");
		ev_timer_set(&r->retry, LOOKUP_AGAIN, 0.);
		ev_timer_start(r->loop, &r->retry);
		return;
	}
	r->lookups = 0;
	r->fd = socket(to.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (r->fd < 0 || (connect(r->fd, &to.any, address_length(&to)) != 0 && errno != EINPROGRESS)) {
		give_up(r, strerror(errno));
		return;
	}
	setsockopt(r->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (!replies_open(&r->replies) || (a->tls && (r->link = tls_connect(r->tls, r->fd)) == NULL)) {
		give_up(r, "no memory");
		return;
	}
	ev_timer_set(&r->tick, TICK, TICK);
	ev_timer_start(r->loop, &r->tick);
	watch(r);
}

static void on_retry(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct registry *r = timer->data;
	connect_now(r);
	if (r->broken)
		lost(r);
}

/* --- */

static bool open_addresses(struct registry *r)
{
	bool ok = true;
	for (unsigned i = 0; i < r->addresses && ok; i++) {
		ok = !r->address[i].tls || r->tls != NULL || use_tls(r, r->address[i].host);
		ok = ok && (r->lookup[i] = lookup_open(r->loop, r->address[i].server)) != NULL;
	}
	return ok;
}

struct registry *registry_open(
	struct ev_loop *loop, const struct registry_options *options, const struct registry_ops *ops)
{
	struct registry *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return NULL;
	r->loop = loop;
	r->options = *options;
	r->ops = *ops;
	r->fd = -1;
	backoff_reset(&r->backoff, RETRY_FIRST);
	ev_init(&r->io, on_io);
	ev_init(&r->retry, on_retry);
	ev_init(&r->tick, on_tick);
	r->io.data = r->retry.data = r->tick.data = r;
	char why[300];
	r->addresses = registry_addresses(options->addresses,
		options->is_sentinel ? REGISTRY_SENTINEL_PORT : REGISTRY_PORT, r->address, why, sizeof(why));
	if (r->addresses > 0 && (options->finder.find != NULL || open_addresses(r)))
		return r;
	registry_free(r);
	return NULL;
}

void registry_start(struct registry *r)
{
	ev_timer_set(&r->retry, 0.01, 0.);
	ev_timer_start(r->loop, &r->retry);
}

void registry_free(struct registry *r)
{
	close_socket(r);
	ev_timer_stop(r->loop, &r->retry);
	for (unsigned i = 0; i < REGISTRY_ADDRESSES_MOST; i++)
		if (r->lookup[i] != NULL)
			lookup_free(r->lookup[i]);
	if (r->tls != NULL)
		tls_client_free(r->tls);
	fifo_free(&r->calls);
	free(r->out);
	free(r);
}

size_t registry_pending(const struct registry *r)
{
	return r->calls.count;
}

const char *registry_error(const struct registry *r)
{
	return r->error;
}

const char *registry_server(const struct registry *r)
{
	return r->up ? r->address[r->at].server : "";
}

void registry_leave(struct registry *r, const char *why)
{
	if (r->fd < 0)
		return;
	give_up(r, why);
	lost(r);
}
