// SPDX-License-Identifier: MIT
/* main: flags, configuration, timers, signals.
 * Uses: bridge/base, bridge/outbox, bridge/units.
 * Not: hold any logic of its own. */
#include "bridge/units/gbk.h"
#include "bridge/base/log.h"
#include "bridge/turn.h"
#include "bridge/unit_list.h"
#include "bridge/arguments.h"
#include "bridge/check.h"
#include "bridge/base/service.h"
#include "bridge/outbox/store.h"
#include "bridge/base/topic.h"

#include <signal.h>
#include <stdlib.h>

#define STOP_SECONDS 5.0

static void use_stats_interval(struct bridge *b)
{
	ev_timer_stop(b->loop, &b->stats_timer);
	double every = (double)b->config.publish.stats_interval / 1000.0;
	ev_timer_set(&b->stats_timer, b->started_ms == 0 ? 1. : every, every);
	ev_timer_start(b->loop, &b->stats_timer);
}

static void on_stats(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct bridge *b = timer->data;
	uint8_t buf[8192];
	struct writer w = writer_of(buf, sizeof(buf));
	struct emitter e = emitter_of(&emit_json, &w);
	parts_refresh_stats(b);
	stats_emit(&b->stats, &e);
	struct topic topic = topic_bridge(b->config.publish.prefix, b->config.publish.instance, "stats");
	mqtt_publish_now(b->mqtt, topic.text, writer_span(&w), true);
}

static void on_command_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	parts_tick(timer->data);
}

static void on_stop_timeout(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)events;
	struct bridge *b = timer->data;
	log_warning("stopping with %zu messages that the broker has not taken", outbox_count(b->outbox));
	ev_break(loop, EVBREAK_ALL);
}

static void on_stop(struct ev_loop *loop, ev_signal *signal, int events)
{
	(void)events;
	struct bridge *b = signal->data;
	if (b->stopping)
		return;
	log_notice("stopping");
	service_stopping();
	parts_stop(b);
	ev_timer_init(&b->stop_timer, on_stop_timeout, STOP_SECONDS, 0.);
	b->stop_timer.data = b;
	ev_timer_start(loop, &b->stop_timer);
}

static void on_hangup(struct ev_loop *loop, ev_signal *signal, int events)
{
	(void)loop;
	(void)events;
	struct bridge *b = signal->data;
	service_reloading();
	if (parts_reload(b))
		use_stats_interval(b);
	service_ready();
}

static void on_service(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct bridge *b = timer->data;
	service_alive("%zu connections, %llu units on line, %zu messages wait, broker %s",
		conns_count(b->conns), (unsigned long long)b->stats.count[STAT_UNITS], outbox_count(b->outbox),
		mqtt_connected(b->mqtt) ? "connected" : "away");
}

static void watch_signals(struct bridge *b)
{
	signal(SIGPIPE, SIG_IGN);
	ev_signal_init(&b->term, on_stop, SIGTERM);
	ev_signal_init(&b->interrupt, on_stop, SIGINT);
	ev_signal_init(&b->hangup, on_hangup, SIGHUP);
	b->term.data = b->interrupt.data = b->hangup.data = b;
	ev_signal_start(b->loop, &b->term);
	ev_signal_start(b->loop, &b->interrupt);
	ev_signal_start(b->loop, &b->hangup);
}

static int run(struct bridge *b)
{
	char why[400];
	b->loop = ev_default_loop(EVFLAG_AUTO);
	ev_timer_init(&b->stats_timer, on_stats, 1., 1.);
	ev_timer_init(&b->command_timer, on_command_timer, PARTS_TICK, PARTS_TICK);
	ev_timer_init(&b->service_timer, on_service, 0., service_interval_seconds());
	b->stats_timer.data = b->command_timer.data = b->service_timer.data = b;
	parts_use_config(b);
	srand48((long)clock_steady_us()); /* or all instances would wait equally long before they try again */
	srandom((unsigned)clock_steady_us());
	watch_signals(b);
	if (!gbk_open())
		log_warning("the system has no GBK converter; Chinese texts are published as they are");
	if (!parts_open(b, why, sizeof(why))) {
		log_error("cannot start: %s", why);
		parts_close(b);
		return 2;
	}
	use_stats_interval(b);
	b->started_ms = clock_steady_ms();
	turn_start(b);
	ev_timer_start(b->loop, &b->command_timer);
	ev_timer_start(b->loop, &b->service_timer);
	mqtt_start(b->mqtt);
	service_ready();
	ev_run(b->loop, 0);
	int rc = parts_are_usurped(b) ? 2 : 0;
	parts_close(b);
	gbk_close();
	log_notice("stopped");
	return rc;
}

int main(int argc, char **argv)
{
	struct bridge bridge = {0};
	struct arguments args;
	int rc = arguments_read(argc, argv, &args);
	if (rc >= 0)
		return rc;
	if (!config_init(&bridge.config)) {
		fprintf(stderr, "tracker2mqtt: no memory\n");
		config_free(&bridge.config);
		return 2;
	}
	bridge.path = args.path;
	unsigned faults = config_load(&bridge.config, args.path, stderr);
	faults += check_config(&bridge.config, args.test, stderr);
	if (faults > 0)
		fprintf(stderr, "tracker2mqtt: %u fault%s in the configuration\n", faults,
			faults == 1 ? "" : "s");
	else if (args.test)
		fprintf(stderr, "%s: the configuration is fine\n", args.path ? args.path : "built-in defaults");
	if (faults > 0 || args.test)
		rc = faults > 0;
	else if (args.outbox_status)
		rc = store_print_status(bridge.config.outbox.path);
	else if (args.units)
		rc = unit_list_print(bridge.config.outbox.path);
	else if (args.forget != NULL)
		rc = unit_list_forget(bridge.config.outbox.path, args.forget);
	else if (args.outbox_aside)
		rc = store_move_aside(bridge.config.outbox.path);
	else
		rc = run(&bridge);
	config_free(&bridge.config);
	return rc;
}
