// SPDX-License-Identifier: MIT
/* listener: see listener.h. */
#include "bridge/peers/listener.h"

#include "bridge/base/clock.h"
#include "bridge/base/descriptors.h"
#include "bridge/base/listening.h"
#include "bridge/base/log.h"
#include "bridge/base/tls.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define ACCEPT_BURST 64
#define DATAGRAM_BURST 512 /* what waits longer for the disk than it takes to look at is lost under a flood */
#define PAUSE_SECONDS 0.25 /* without descriptors; then it looks again */

enum kind { KIND_TCP = 0, KIND_TLS, KIND_UDP };

static const char *const kind_names[] = {"tcp", "tls", "udp"};

struct listener {
	struct listeners *all;
	int fd;
	enum kind kind;
	bool proxied;
	ev_io io;
};

struct listeners {
	struct ev_loop *loop;
	const struct config *config;
	struct conns *conns;
	struct tls_server *tls; /* NULL: no TLS listener */
	ev_timer pause;
	bool told; /* that accepting pauses */
	bool refuses;
	struct log_limit pauses;
	unsigned count;
	struct listener item[3 * CONFIG_ENDPOINTS_MAX];
	uint8_t datagram[65536];
};

/* Starts or stops those that accept, or those that receive. */
static void watch(struct listeners *all, bool udp, bool on)
{
	for (unsigned i = 0; i < all->count; i++) {
		struct listener *l = &all->item[i];
		if ((l->kind == KIND_UDP) != udp)
			continue;
		if (!on) {
			ev_io_stop(all->loop, &l->io);
			continue;
		}
		ev_io_start(all->loop, &l->io);
		if (!udp &&
			all->told) /* also when nobody waits any more: that accepting goes on is to be told */
			ev_feed_event(all->loop, &l->io, EV_READ);
	}
}

/* Told at most once a minute, however often it happens. */
static void pause_accepting(struct listeners *all, int error)
{
	if (!all->told && log_limit_take(&all->pauses, 1, clock_steady_ms())) {
		log_warning("accept: %s; accepting pauses until descriptors are free. %d of them are kept for "
			    "the bridge "
			    "itself; allow more with LimitNOFILE= of the service or ulimit -n",
			strerror(error), DESCRIPTORS_KEPT);
		all->told = true;
	}
	watch(all, false, false);
	ev_timer_again(all->loop, &all->pause);
}

static void on_pause(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)events;
	struct listeners *all = timer->data;
	if (!descriptors_room())
		return;
	ev_timer_stop(loop, timer);
	watch(all, false, true);
}

static void on_accept(struct ev_loop *loop, ev_io *io, int events)
{
	(void)loop;
	(void)events;
	struct listener *l = io->data;
	struct listeners *all = l->all;
	for (int i = 0; i < ACCEPT_BURST; i++) {
		union address peer;
		memset(&peer, 0, sizeof(peer));
		socklen_t len = sizeof(peer);
		if (!descriptors_room()) {
			pause_accepting(all, EMFILE);
			return;
		}
		int fd = accept4(io->fd, &peer.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			conns_accept(all->conns, fd, &peer, l->kind == KIND_TLS ? all->tls : NULL, l->proxied);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			pause_accepting(all, errno);
		} else if (all->told) {
			log_notice("accepting goes on");
			all->told = false;
		}
		return;
	}
}

static void on_datagram(struct ev_loop *loop, ev_io *io, int events)
{
	(void)events;
	struct listener *l = io->data;
	struct listeners *all = l->all;
	for (int i = 0; i < DATAGRAM_BURST; i++) {
		union address peer;
		memset(&peer, 0, sizeof(peer));
		socklen_t len = sizeof(peer);
		ssize_t n =
			recvfrom(io->fd, all->datagram, sizeof(all->datagram), MSG_DONTWAIT, &peer.any, &len);
		if (n < 0)
			return;
		if (!conns_datagram(all->conns, io->fd, &peer, span_of(all->datagram, (size_t)n), l->proxied)) {
			ev_io_stop(loop, io);
			return;
		}
	}
}

static bool open_one(struct listeners *all, const union address *a, enum kind kind)
{
	bool udp = kind == KIND_UDP;
	struct listener *l = &all->item[all->count];
	l->all = all;
	l->kind = kind;
	l->proxied = endpoints_have(&all->config->listen.proxy_protocol, a);
	l->fd = listening_socket(a, udp);
	if (l->fd < 0)
		return false;
	if (udp) { /* bursts of a whole fleet */
		int bytes = 4 << 20;
		setsockopt(l->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	}
	ev_io_init(&l->io, udp ? on_datagram : on_accept, l->fd, EV_READ);
	l->io.data = l;
	ev_io_start(all->loop, &l->io);
	all->count++;
	return true;
}

/* What to do about it; "": that is told by the error itself. */
static const char *cure_of(int error)
{
	switch (error) {
	case EADDRINUSE:
		return "; another program has this port, or a second tracker2mqtt: `ss -lntup` shows which; "
		       "stop "
		       "it or choose another port in [listen]";
	case EACCES:
		return "; ports below 1024 need the capability CAP_NET_BIND_SERVICE: choose a higher port in "
		       "[listen]";
	case EADDRNOTAVAIL:
		return "; no interface of this machine has this address: 0.0.0.0 or [::] listens on all of "
		       "them";
	default:
		return "";
	}
}

static bool open_all(
	struct listeners *all, const struct endpoints *endpoints, enum kind kind, char *why, size_t size)
{
	for (unsigned i = 0; i < endpoints->count; i++) {
		char text[ADDRESS_TEXT_MAX];
		address_port_text(&endpoints->item[i], text);
		if (!open_one(all, &endpoints->item[i], kind)) {
			int error = errno;
			snprintf(why, size, "cannot listen on %s %s: %s%s", kind_names[kind], text,
				strerror(error), cure_of(error));
			return false;
		}
		log_notice("listening on %s %s%s%s", kind_names[kind], text,
			all->item[all->count - 1].proxied ? ", behind a proxy" : "",
			address_is_loopback(&endpoints->item[i]) ? ", for programs of this machine only" : "");
	}
	return true;
}

bool listeners_reload(struct listeners *all, char *why, size_t size)
{
	const struct config *c = all->config;
	char reason[TLS_WHY_MAX];
	if (c->listen.tls.count == 0)
		return true;
	struct tls_server *fresh = tls_server_open(c->listen.tls_cert_file, c->listen.tls_key_file, reason);
	if (fresh == NULL) {
		snprintf(why, size, "%s", reason);
		return false;
	}
	if (all->tls != NULL)
		tls_server_free(all->tls);
	all->tls = fresh;
	return true;
}

struct listeners *listeners_open(
	struct ev_loop *loop, const struct config *config, struct conns *conns, char *why, size_t size)
{
	struct listeners *all = calloc(1, sizeof(*all));
	if (all == NULL) {
		snprintf(why, size, "no memory for the listeners");
		return NULL;
	}
	descriptors_raise(config->listen.max_connections);
	all->loop = loop;
	all->config = config;
	all->conns = conns;
	ev_timer_init(&all->pause, on_pause, 0., PAUSE_SECONDS);
	all->pause.data = all;
	const struct endpoints *kinds[] = {&config->listen.tcp, &config->listen.tls, &config->listen.udp};
	bool ok = listeners_reload(all, why, size);
	for (unsigned kind = KIND_TCP; ok && kind <= KIND_UDP; kind++)
		ok = open_all(all, kinds[kind], (enum kind)kind, why, size);
	if (ok)
		return all;
	listeners_free(all);
	return NULL;
}

void listeners_stop(struct listeners *all)
{
	ev_timer_stop(all->loop, &all->pause);
	watch(all, false, false);
	watch(all, true, false);
}

void listeners_refuse(struct listeners *all)
{
	listeners_stop(all);
	all->refuses = true;
	for (unsigned i = 0; i < all->count; i++)
		if (all->item[i].kind != KIND_UDP && all->item[i].fd >= 0) {
			close(all->item[i].fd);
			all->item[i].fd = -1;
		}
}

void listeners_resume(struct listeners *all)
{
	if (!all->refuses)
		watch(all, true, true);
}

void listeners_free(struct listeners *all)
{
	listeners_stop(all);
	for (unsigned i = 0; i < all->count; i++)
		if (all->item[i].fd >= 0)
			close(all->item[i].fd);
	if (all->tls != NULL)
		tls_server_free(all->tls);
	free(all);
}
