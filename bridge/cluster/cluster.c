// SPDX-License-Identifier: MIT
/* cluster: see cluster.h. The lease of this instance, and what follows when it begins and ends. */
#include "bridge/cluster/cluster_private.h"

#include <stdlib.h>
#include <sys/random.h>

#define TICK 0.05
#define BEGIN_SECONDS 2.0
#define PATIENCE 3.0        /* seconds that the registry may be silent */
#define STOOD_STILL_MS 1000 /* at least */

static const char run_key[] = "run";

/* --- the lease --- */

static void ask_left(struct cluster *c, struct span from);

/* Some of what was left: the rest is asked for. */
static void on_left(void *ctx, const struct redisReply *reply, int64_t number, const char *subject)
{
	struct cluster *c = ctx;
	struct span from = registry_text(reply, 0);
	(void)number;
	(void)subject;
	ends_left(c, registry_item(reply, 1),
		"the bridge was started anew; whether the unit got the command is not known", c->left);
	if (from.len > 0 && !span_is(from, "0"))
		ask_left(c, from);
	if (!c->left && span_is(from, "0"))
		ends_drop_marks(c);
	c->left |= span_is(from, "0");
}

static void ask_left(struct cluster *c, struct span from)
{
	const struct span argv[] = {span_text(c->me), from};
	cluster_call(c, SCRIPT_LEFT, 2, argv, on_left, 0, "");
}

/* Units may have gone elsewhere without this instance being told: it asks for each, and tells nothing until then. */
static void look_again(struct cluster *c)
{
	c->unsure_ms = c->unsure ? c->unsure_ms : cluster_now(c).steady_ms;
	c->unsure = true;
	c->marked = false;
	claims_make_up(c);
}

static void join(struct cluster *c)
{
	c->joined = true;
	inbox_rewind(c);
	tickets_ask(c);
	ask_left(c, span_text("0"));
	look_again(c);
}

static void on_renewed(void *ctx, const struct redisReply *reply, int64_t number, const char *subject)
{
	struct cluster *c = ctx;
	(void)number;
	(void)subject;
	if (reply == NULL) {
		c->refused = *registry_error(c->registry) != '\0';
		return;
	}
	c->answered = true;
	if (span_is(registry_text(reply, 0), "other")) {
		if (ev_is_active(&c->tick)) /* else the start is refused */
			log_error("another bridge of the fleet %s runs as instance %s now: give each bridge "
				  "its own "
				  "[publish] instance",
				c->parts.config->cluster.name, c->me);
		c->usurped = true;
		return;
	}
	if (!span_is(registry_text(reply, 0), "ok"))
		return;
	bool over = registry_number(reply, 1) != 0;
	if (!c->joined)
		join(c);
	else if (over)
		look_again(c);
	if (c->untold)
		ask_left(c, span_text("0"));
	c->untold = false;
	notes_use_tables(c, registry_number(reply, 4));
	if (over)
		inbox_rewind(c);
	router_use(c, registry_number(reply, 2) != 0 && !c->stopping);
}

/* For RENEW: who has no broker is the router only until another one may be. */
static const char *may_take_commands(const struct cluster *c)
{
	bool cut = c->mqtt != NULL && mqtt_away_seconds(c->mqtt) * 1000 > CLUSTER_AWAY_MS;
	if (!c->parts.config->commands.enabled || c->stopping)
		return "0";
	return cut ? "2" : "1";
}

static void renew(struct cluster *c)
{
	char lease[24];
	const struct config *config = c->parts.config;
	const struct span argv[] = {span_text(c->me), span_text(c->run),
		cluster_number(config->cluster.lease, lease), span_text(may_take_commands(c))};
	if (!c->usurped && !c->leaving && !c->unchecked)
		cluster_call(c, SCRIPT_RENEW, 4, argv, on_renewed, 0, "");
}

static void on_up(void *ctx)
{
	struct cluster *c = ctx;
	inbox_follow(c);
	c->unchecked = c->sentinel != NULL;
	if (c->unchecked)
		sentinel_check(c->sentinel);
	renew(c);
}

/* The registry is used when the Sentinels have not said that it is another one by now. */
static void use_checked(struct cluster *c)
{
	if (!c->unchecked || !sentinel_is_checked(c->sentinel))
		return;
	c->unchecked = false;
	renew(c);
}

static void on_down(void *ctx)
{
	struct cluster *c = ctx;
	if (c->joined)
		c->away_since_ms = cluster_now(c).steady_ms;
	c->joined = c->marked = false;
}

static void on_renew(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	renew(timer->data);
}

/* --- the process stood still --- */

/* Before anything else is done in this turn of the loop. */
static void on_wake(struct ev_loop *loop, ev_check *check, int events)
{
	struct cluster *c = check->data;
	int64_t now_ms = clock_steady_ms(), still_ms = now_ms - c->woken_ms;
	int64_t quarter = c->parts.config->cluster.lease / 4, before_ms = c->woken_ms;
	(void)loop;
	(void)events;
	c->woken_ms = now_ms;
	if (before_ms == 0 || still_ms < STOOD_STILL_MS)
		return;
	c->still_ms = before_ms;
	c->still_until_ms = now_ms;
	if (still_ms < quarter)
		return;
	log_warning("cluster: this process stood still for %.1f s", (double)still_ms / 1000);
	downlink_take_back(
		c->parts.downlink, "the bridge stood still before the command was sent", cluster_now(c));
	renew(c);
	look_again(c);
}

/* --- time passes --- */

static void on_marked(void *ctx, const struct redisReply *reply, int64_t number, const char *subject)
{
	struct cluster *c = ctx;
	(void)number;
	(void)subject;
	if (reply == NULL || !c->marked)
		return;
	c->marked = false;
	c->unsure = false;
	gate_release(c);
}

static bool asks_nothing(const struct cluster *c)
{
	for (const struct todo *t = c->todo; t != NULL; t = t->hh.next)
		if (!t->again)
			return false;
	return true;
}

/* The answers to all questions have come when the answer to one more has. */
static void settle(struct cluster *c)
{
	const struct span ping = span_text("PING");
	if (c->unsure && c->joined && !c->marked && asks_nothing(c))
		c->marked = registry_call(c->registry, 1, &ping, on_marked, c, 0, "");
}

static void on_gone(void *ctx, const struct redisReply *reply, int64_t number, const char *subject)
{
	(void)reply;
	(void)number;
	(void)subject;
	((struct cluster *)ctx)->gone = true;
}

/* The bridge stops: when all is told, the name is free at once. */
static void leave(struct cluster *c)
{
	const struct span argv[] = {span_text(c->me), span_text(c->run)};
	if (!c->stopping || c->leaving || !c->joined || !asks_nothing(c) || c->tickets != NULL ||
		c->told != NULL || c->notes != NULL)
		return;
	c->leaving = cluster_call(c, SCRIPT_LEAVE, 2, argv, on_gone, 0, "");
}

static void tell_away(struct cluster *c)
{
	bool away = cluster_is_away(c);
	if (away && !c->away_told) {
		notes_settle_alone(c);
		gate_release(c); /* what is told without a registry */
	}
	c->away_told = away;
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct cluster *c = timer->data;
	if (c->refused)
		registry_leave(c->registry, "it does not grant the lease of this instance");
	c->refused = false;
	use_checked(c);
	claims_tick(c);
	notes_tick(c);
	answers_tick(c);
	inbox_tick(c);
	carry_tick(c);
	if (c->joined)
		tickets_ask(c);
	router_tick(c);
	settle(c);
	tell_away(c);
	leave(c);
}

void cluster_turn(struct cluster *c)
{
	ends_turn(c);
	router_turn(c);
}

/* --- */

static void random_hex(char *out, size_t bytes)
{
	uint8_t raw[16] = {0};
	if (getrandom(raw, bytes, 0) != (ssize_t)bytes)
		for (size_t i = 0; i < bytes; i++)
			raw[i] = (uint8_t)lrand48();
	for (size_t i = 0; i < bytes; i++)
		snprintf(out + 2 * i, 3, "%02x", raw[i]);
}

static void read_run(void *ctx, struct span key, struct span value)
{
	struct cluster *c = ctx;
	ends_read_mark(c, key);
	if (span_is(key, run_key) && value.len == sizeof(c->run) - 1)
		span_copy(value, c->run, sizeof(c->run));
}

/* Two processes never share an outbox: who has it is the same run, after a crash as well, and need not wait until its lease is over. */
static void know_run(struct cluster *c)
{
	outbox_kept(c->parts.outbox, KEEP_COMMANDS, read_run, c);
	if (c->run[0] != '\0')
		return;
	random_hex(c->run, 16);
	outbox_keep(c->parts.outbox, KEEP_COMMANDS, span_text(run_key), span_text(c->run));
}

/* How many addresses the option names. */
static unsigned check_addresses(
	const char *key, const char *text, const char *port, unsigned *faults, FILE *errors)
{
	struct registry_address addresses[REGISTRY_ADDRESSES_MOST];
	char why[300];
	unsigned count = *text != '\0' ? registry_addresses(text, port, addresses, why, sizeof(why)) : 0;
	if (*text != '\0' && count == 0) {
		log_fault(errors, "[cluster] %s: %s", key, why);
		++*faults;
	}
	return count;
}

unsigned cluster_check(const struct config *config, FILE *errors)
{
	const char *registry = config->cluster.registry, *sentinels = config->cluster.sentinels;
	unsigned faults = 0, count = check_addresses("registry", registry, REGISTRY_PORT, &faults, errors);
	check_addresses("sentinels", sentinels, REGISTRY_SENTINEL_PORT, &faults, errors);
	if (*sentinels != '\0' && (*registry == '\0' || count > 1)) {
		log_fault(errors, "[cluster] registry: with sentinels it names one master, by its name there: "
				  "redis://mymaster/0");
		faults++;
	}
	return faults;
}

static void on_moved(void *ctx)
{
	struct cluster *c = ctx;
	static const char why[] = "another server is the master now";
	registry_leave(c->registry, why);
	registry_leave(c->inbox.registry, why);
}

/* False: no memory. */
static bool open_sentinel(struct cluster *c)
{
	const struct config *config = c->parts.config;
	struct registry_address address[REGISTRY_ADDRESSES_MOST];
	char why[300];
	const struct sentinel_ops ops = {c, on_moved};
	const struct registry_options options = {.addresses = config->cluster.sentinels,
		.username = config->cluster.sentinel_username,
		.password = config->cluster.sentinel_password,
		.tls_ca_file = config->cluster.tls_ca_file,
		.what = "sentinel",
		.patience = PATIENCE,
		.is_sentinel = true};
	if (*config->cluster.sentinels == '\0')
		return true;
	if (registry_addresses(config->cluster.registry, REGISTRY_PORT, address, why, sizeof(why)) != 1)
		return false;
	snprintf(c->master, sizeof(c->master), "%s", address[0].host);
	c->sentinel = sentinel_open(c->parts.loop, &options, c->master, &ops);
	return c->sentinel != NULL;
}

struct cluster *cluster_open(const struct cluster_parts *parts)
{
	struct cluster *c = calloc(1, sizeof(*c));
	const struct config *config = parts->config;
	const struct registry_ops ops = {c, on_up, on_down};
	if (c == NULL)
		return NULL;
	c->parts = *parts;
	c->me = config->publish.instance;
	ev_timer_init(&c->tick, on_tick, TICK, TICK);
	double every = (double)config->cluster.lease / 3000.0;
	ev_timer_init(&c->renew, on_renew, every, every);
	ev_check_init(&c->wake, on_wake);
	ev_set_priority(&c->wake, EV_MAXPRI);
	c->tick.data = c->renew.data = c->wake.data = c;
	know_run(c);
	random_hex(c->boot, 8);
	claims_open(c);
	bool ok = notes_open(c);
	tickets_open(c);
	answers_open(c);
	gate_open(c);
	ok = ok && open_sentinel(c);
	const struct registry_options options = cluster_registry(c, "claims", PATIENCE);
	c->registry = ok ? registry_open(parts->loop, &options, &ops) : NULL;
	if (ok && c->registry != NULL && router_open(c) && inbox_open(c))
		return c;
	cluster_free(c);
	return NULL;
}

const struct unit_listener *cluster_listener(struct cluster *c)
{
	return &c->listener;
}

static void on_patience(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)timer;
	(void)events;
}

bool cluster_begin(struct cluster *c, char *why, size_t size)
{
	ev_timer patience;
	struct ev_loop *loop = c->parts.loop;
	c->began_ms = clock_steady_ms();
	c->away_since_ms = c->began_ms - CLUSTER_AWAY_MS;
	if (c->sentinel != NULL)
		sentinel_start(c->sentinel);
	registry_start(c->registry);
	ev_timer_init(&patience, on_patience, BEGIN_SECONDS, 0.);
	ev_timer_start(loop, &patience);
	while (!c->answered && ev_is_active(&patience)) {
		ev_run(loop, EVRUN_ONCE);
		use_checked(c);
	}
	ev_timer_stop(loop, &patience);
	ev_timer_start(loop, &c->tick);
	ev_timer_start(loop, &c->renew);
	ev_check_start(loop, &c->wake);
	if (!c->usurped)
		return true;
	snprintf(why, size,
		"another bridge of the fleet %s runs as instance %s, or ended less than %.0f s ago without its "
		"outbox: "
		"give each bridge its own [publish] instance",
		c->parts.config->cluster.name, c->me, (double)c->parts.config->cluster.lease / 1000);
	return false;
}

void cluster_use_mqtt(struct cluster *c, struct mqtt *mqtt)
{
	c->mqtt = mqtt;
	mqtt_use_gate(mqtt, gate_message, notes_pause, c);
}

bool cluster_is_usurped(const struct cluster *c)
{
	return c->usurped;
}

void cluster_stop(struct cluster *c)
{
	c->stopping = true;
	router_turn(c);
}

bool cluster_is_idle(const struct cluster *c)
{
	return c->gone || !c->joined;
}

const char *cluster_trouble(const struct cluster *c)
{
	return cluster_is_away(c) ? "the registry of the cluster is away: commands are rejected" : NULL;
}

void cluster_free(struct cluster *c)
{
	struct ev_loop *loop = c->parts.loop;
	ev_timer_stop(loop, &c->tick);
	ev_timer_stop(loop, &c->renew);
	ev_check_stop(loop, &c->wake);
	router_free(c);
	inbox_free(c);
	if (c->registry != NULL)
		registry_free(c->registry);
	if (c->sentinel != NULL)
		sentinel_free(c->sentinel);
	carry_free(c);
	tickets_free(c);
	claims_free(c);
	notes_free(c);
	ends_free(c);
	free(c);
}
