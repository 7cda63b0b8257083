// SPDX-License-Identifier: MIT
/* turn: see turn.h. */
#include "bridge/turn.h"

static void on_wake(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)timer;
	(void)events; /* it only wakes the loop: before_sleep follows */
}

/* The disk and the units, then the broker. */
static void turn(struct bridge *b)
{
	int64_t again_ms = parts_turn(b);
	ev_timer_stop(b->loop, &b->wake);
	if (again_ms >= 0) {
		ev_timer_set(&b->wake, (double)again_ms / 1000.0, 0.);
		ev_timer_start(b->loop, &b->wake);
	}
	mqtt_kick(b->mqtt);
}

/* Once per turn of the loop. Before it collects what comes it waits for the disk, for as long as it would collect: most disks have answered
 * by then, and their answer needs no turn of its own. */
static void before_sleep(struct ev_loop *loop, ev_prepare *prepare, int events)
{
	(void)events;
	struct bridge *b = prepare->data;
	turn(b);
	int64_t collect_us = parts_collect_us(b);
	if (mqtt_hurries(b->mqtt))
		collect_us = 0;
	int64_t began_us = clock_steady_us();
	if (collect_us > 0 && outbox_wait(b->outbox, collect_us)) {
		collect_us += clock_steady_us() - began_us; /* libev counts from the beginning of the turn */
		turn(b);
	}
	ev_set_io_collect_interval(loop, (double)collect_us / 1e6);
	if (parts_are_done(b))
		ev_break(loop, EVBREAK_ALL);
}

void turn_start(struct bridge *b)
{
	ev_prepare_init(&b->before_sleep, before_sleep);
	b->before_sleep.data = b;
	ev_init(&b->wake, on_wake);
	ev_prepare_start(b->loop, &b->before_sleep);
}
