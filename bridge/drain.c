// SPDX-License-Identifier: MIT
/* drain: see drain.h. */
#include "bridge/drain.h"

#include "bridge/base/log.h"

#include <signal.h>

static void drain(struct bridge *b)
{
	if (b->drains || b->stopping)
		return;
	log_notice("draining: %zu connections, %lld a second go", conns_count(b->conns),
		(long long)b->config.listen.drain_per_second);
	b->drains = true;
	if (b->listeners != NULL)
		listeners_refuse(b->listeners);
}

static void on_signal(struct ev_loop *loop, ev_signal *signal, int events)
{
	(void)loop;
	(void)events;
	drain(signal->data);
}

/* A retained message would stop each start. */
void drain_message(void *ctx, const struct route_message *message, struct moment now)
{
	(void)now;
	if (message->payload.len > 0 && !message->retained)
		drain(ctx);
}

void drain_tick(struct bridge *b)
{
	if (!b->drains || b->stopping)
		return;
	b->drain_due += (double)b->config.listen.drain_per_second * PARTS_TICK;
	size_t whole = (size_t)b->drain_due;
	b->drain_due -= (double)whole;
	conns_close_some(b->conns, whole, "the bridge is drained");
	if (conns_count(b->conns) == 0)
		ev_feed_signal_event(b->loop, SIGTERM);
}

void drain_open(struct bridge *b)
{
	ev_signal_init(&b->drain, on_signal, SIGUSR1);
	b->drain.data = b;
	ev_signal_start(b->loop, &b->drain);
}

const char *drain_trouble(struct bridge *b)
{
	snprintf(b->trouble, sizeof(b->trouble), "draining: %zu connections are left", conns_count(b->conns));
	return b->trouble;
}
