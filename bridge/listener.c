/* listener: see listener.h. */
#include "listener.h"

#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define ACCEPT_BURST 64
#define DATAGRAM_BURST 64
#define PAUSE_SECONDS 1.0 /* without descriptors */

struct listener {
	struct listeners *all;
	int fd;
	ev_io io;
};

struct listeners {
	struct ev_loop *loop;
	struct conns *conns;
	ev_timer pause;
	unsigned tcp_count, count;
	struct listener item[2 * CONFIG_ENDPOINTS_MAX];
	uint8_t datagram[65536];
};

static void on_accept(struct ev_loop *loop, ev_io *io, int events)
{
	(void)events;
	struct listener *l = io->data;
	for (int i = 0; i < ACCEPT_BURST; i++) {
		union address peer;
		memset(&peer, 0, sizeof(peer));
		socklen_t len = sizeof(peer);
		int fd = accept4(io->fd, &peer.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			conns_accept(l->all->conns, fd, &peer);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			log_error("accept: %s; accepting pauses", strerror(errno));
			for (unsigned k = 0; k < l->all->tcp_count; k++)
				ev_io_stop(loop, &l->all->item[k].io);
			ev_timer_set(&l->all->pause, PAUSE_SECONDS, 0.);
			ev_timer_start(loop, &l->all->pause);
		}
		return;
	}
}

static void on_pause_end(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)events;
	struct listeners *all = timer->data;
	for (unsigned k = 0; k < all->tcp_count; k++)
		ev_io_start(loop, &all->item[k].io);
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
		if (!conns_datagram(all->conns, io->fd, &peer, span_of(all->datagram, (size_t)n))) {
			ev_io_stop(loop, io);
			return;
		}
	}
}

static bool open_one(struct listeners *all, const struct endpoint *e, bool udp)
{
	int one = 1, family = e->addr.ss_family;
	struct listener *l = &all->item[all->count];
	l->all = all;
	l->fd = socket(family, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return false;
	if (family == AF_INET6)
		setsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (!udp)
		setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (udp) { /* bursts of a whole fleet */
		int bytes = 4 << 20;
		setsockopt(l->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	}
	if (bind(l->fd, (const struct sockaddr *)&e->addr, e->len) != 0 || (!udp && listen(l->fd, 4096) != 0)) {
		int error = errno;
		close(l->fd);
		errno = error;
		return false;
	}
	ev_io_init(&l->io, udp ? on_datagram : on_accept, l->fd, EV_READ);
	l->io.data = l;
	ev_io_start(all->loop, &l->io);
	all->count++;
	return true;
}

static bool open_all(struct listeners *all, const struct endpoints *endpoints, bool udp, char *why, size_t size)
{
	for (unsigned i = 0; i < endpoints->count; i++) {
		const struct endpoint *e = &endpoints->item[i];
		struct conn named = {.udp = udp};
		char text[CONN_PEER_MAX];
		memcpy(&named.peer.addr, &e->addr, e->len);
		conn_peer(&named, text);
		if (!open_one(all, e, udp)) {
			snprintf(why, size, "cannot listen on %s %s: %s", udp ? "udp" : "tcp", text,
				strerror(errno));
			return false;
		}
		log_notice("listening on %s %s", udp ? "udp" : "tcp", text);
	}
	return true;
}

/* As many descriptors as the configured connections need, as far as the system lets us. */
static void raise_descriptor_limit(int64_t connections)
{
	struct rlimit limit;
	rlim_t want = (rlim_t)connections + 64;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= want)
		return;
	rlim_t hard = limit.rlim_max;
	limit.rlim_cur = want;
	limit.rlim_max = hard > want ? hard : want;
	if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
		return; /* root */
	limit.rlim_cur = limit.rlim_max = hard;
	setrlimit(RLIMIT_NOFILE, &limit);
	log_warning("the system allows %llu descriptors; that is fewer than max_connections = %lld",
		(unsigned long long)hard, (long long)connections);
}

struct listeners *listeners_open(
	struct ev_loop *loop, const struct config *config, struct conns *conns, char *why, size_t size)
{
	struct listeners *all = calloc(1, sizeof(*all));
	if (all == NULL) {
		snprintf(why, size, "no memory for the listeners");
		return NULL;
	}
	raise_descriptor_limit(config->listen.max_connections);
	all->loop = loop;
	all->conns = conns;
	ev_init(&all->pause, on_pause_end);
	all->pause.data = all;
	bool ok = open_all(all, &config->listen.tcp, false, why, size);
	all->tcp_count = all->count;
	if (!ok || !open_all(all, &config->listen.udp, true, why, size)) {
		listeners_free(all);
		return NULL;
	}
	return all;
}

void listeners_stop(struct listeners *all)
{
	ev_timer_stop(all->loop, &all->pause);
	for (unsigned i = 0; i < all->count; i++)
		ev_io_stop(all->loop, &all->item[i].io);
}

void listeners_resume(struct listeners *all)
{
	for (unsigned i = all->tcp_count; i < all->count; i++)
		ev_io_start(all->loop, &all->item[i].io);
}

void listeners_free(struct listeners *all)
{
	listeners_stop(all);
	for (unsigned i = 0; i < all->count; i++)
		close(all->item[i].fd);
	free(all);
}
