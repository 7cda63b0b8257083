// SPDX-License-Identifier: MIT
/* test_routes: filters lead to handlers, and are subscribed to: the real client against a broker that writes down what it gets. */
#include "wire_broker.h"

#include "bridge/base/log.h"
#include "bridge/broker/mqtt.h"

#include <signal.h>
#include <stdio.h>

/* libmosquitto keeps some memory for the process. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libmosquitto\n";
}

static struct wire_broker broker;
static struct ev_loop *loop;
static struct config config;
static struct stats stats;
static struct outbox *outbox;
static struct mqtt *mqtt;
static ev_prepare prepare;
static ev_timer again;

static void on_turn(struct ev_loop *l, ev_prepare *p, int events)
{
	(void)l;
	(void)p;
	(void)events;
	mqtt_kick(mqtt);
}

static void on_again(struct ev_loop *l, ev_timer *t, int events)
{
	(void)l;
	(void)t;
	(void)events;
}

static int set_up(void **state)
{
	(void)state;
	const struct outbox_options options = {.path = "", .size = 1 << 20};
	char why[200];
	config_init(&config);
	config.mqtt.port = wire_open(&broker);
	config.mqtt.version = 5;
	config.mqtt.ack_timeout = 600000;
	free(config.mqtt.host);
	config.mqtt.host = strdup("127.0.0.1");
	memset(&stats, 0, sizeof(stats));
	loop = ev_loop_new(EVFLAG_AUTO);
	outbox = outbox_open(&options, why, sizeof(why));
	mqtt = mqtt_open(loop, &config, "t/bridge/status", outbox, &stats);
	ev_prepare_init(&prepare, on_turn);
	ev_prepare_start(loop, &prepare);
	ev_timer_init(&again, on_again, 0.002, 0.002);
	ev_timer_start(loop, &again);
	return mqtt == NULL || outbox == NULL;
}

static int tear_down(void **state)
{
	(void)state;
	ev_timer_stop(loop, &again);
	ev_prepare_stop(loop, &prepare);
	mqtt_free(mqtt);
	outbox_close(outbox);
	ev_loop_destroy(loop);
	wire_close(&broker);
	config_free(&config);
	return 0;
}

/* Turns of the loop until it is so; a minute at most. */
#define UNTIL(condition)                                                                                       \
	do {                                                                                                   \
		int64_t end = clock_steady_ms() + 60000;                                                       \
		while (!(condition) && clock_steady_ms() < end)                                                \
			ev_run(loop, EVRUN_ONCE);                                                              \
		assert_true(condition);                                                                        \
	} while (0)

/* --- handlers --- */

static unsigned got[WIRE_TOPICS];
static char last_topic[100];

static void count(void *ctx, const struct route_message *message, struct moment now)
{
	unsigned *n = ctx;
	assert_true(span_is(message->payload, "x") && !message->retained && message->expiry_s == -1);
	assert_true(message->response_topic.ptr == NULL && message->correlation.ptr == NULL);
	assert_true(now.unix_ms > 0 && now.steady_ms > 0);
	snprintf(last_topic, sizeof(last_topic), "%.*s", (int)message->topic.len, message->topic.ptr);
	++*n;
}

static bool add(const char *filter, unsigned *n)
{
	return mqtt_route(mqtt, filter, count, n, "nothing arrives");
}

/* A message that only this route gets, behind all that were published before it. */
static void pass(void)
{
	static unsigned mark, seen;
	mqtt_unroute(mqtt, "mark");
	assert_true(add("mark", &mark));
	seen = mark;
	wire_publish(&broker, "mark");
	UNTIL(mark > seen);
}

static void start(void)
{
	memset(got, 0, sizeof(got));
	mqtt_start(mqtt);
	UNTIL(mqtt_connected(mqtt) && wire_get(&broker, fd) >= 0);
}

/* --- matching --- */

static void test_matching(void **state)
{
	static const char *const filters[] = {
		"t/+/cmd", "t/1/cmd", "t/#", "ha/status", "+/1/cmd", "#", "+/status"};
	static const struct {
		const char *topic, *matches; /* one sign for each filter */
	} rows[] = {
		{"t/1/cmd", "yyy-yy-"},
		{"t/22/cmd", "y-y--y-"},
		{"t/1/2/cmd", "--y--y-"},
		{"t", "--y--y-"},
		{"ha/status", "---y-yy"},
		{"ha/status/x", "-----y-"},
		{"u/1/cmd", "----yy-"},
		{"u", "-----y-"},
		{"$SYS/status", "-------"},
		{"t//cmd", "y-y--y-"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++)
		assert_true(add(filters[i], &got[i]));
	start();
	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		memset(got, 0, sizeof(got));
		wire_publish(&broker, rows[r].topic);
		pass();
		for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++)
			if (strcmp(filters[i], "#") != 0 && got[i] != (rows[r].matches[i] == 'y'))
				fail_msg("%s for %s: %u times", filters[i], rows[r].topic, got[i]);
		bool mine = rows[r].matches[5] == 'y';
		assert_int_equal(got[5], 1 + mine); /* # gets the mark, too */
	}
}

static void test_refused_filters(void **state)
{
	(void)state;
	assert_false(add("", &got[0]));
	assert_false(add("t/#/cmd", &got[0]));
	assert_false(add("t/x+/cmd", &got[0]));
	assert_false(add("$share/g/t/+/cmd", &got[0]));
	assert_false(add("t/\xff/cmd", &got[0]));
	assert_true(add("t/+/cmd", &got[0]));
	assert_false(add("t/+/cmd", &got[1])); /* it has a route */
	assert_false(mqtt_unroute(mqtt, "t/1/cmd"));
	assert_true(mqtt_unroute(mqtt, "t/+/cmd"));
	assert_false(mqtt_unroute(mqtt, "t/+/cmd"));
	assert_true(add("t/+/cmd", &got[1]));
}

/* --- subscribing --- */

static void test_many(void **state)
{
	const unsigned n = 700; /* more than are asked for at once */
	char filter[40];
	(void)state;
	for (unsigned i = 0; i < n; i++) {
		snprintf(filter, sizeof(filter), "unit/%u/claim", i);
		assert_true(add(filter, &got[i]));
	}
	start();
	for (unsigned connection = 1; connection <= 2; connection++) {
		UNTIL(wire_get(&broker, subscribes) == n && wire_get(&broker, connections) == connection);
		for (unsigned i = 0; i < n; i += 99) {
			snprintf(filter, sizeof(filter), "unit/%u/claim", i);
			assert_int_equal(wire_has(&broker, filter), 1);
			wire_publish(&broker, filter);
			UNTIL(got[i] == connection);
		}
		if (connection == 1)
			wire_break(&broker);
	}
	unsigned all = 0;
	for (unsigned i = 0; i < n; i++)
		all += got[i];
	assert_int_equal(all, 2 * ((n + 98) / 99));
}

static void test_while_connected(void **state)
{
	(void)state;
	start();
	assert_int_equal(wire_get(&broker, subscribes), 0);
	assert_true(add("t/+/cmd", &got[0]));
	assert_true(add("t/1/cmd", &got[1]));
	UNTIL(wire_get(&broker, subscribes) == 2); /* the next turn of the loop writes them */
	assert_true(wire_has(&broker, "t/+/cmd") == 1 && wire_has(&broker, "t/1/cmd") == 1);
	wire_publish(&broker, "t/1/cmd");
	UNTIL(got[0] == 1 && got[1] == 1);
	assert_true(mqtt_unroute(mqtt, "t/+/cmd"));
	wire_publish(&broker, "t/1/cmd"); /* the broker has not read the UNSUBSCRIBE yet */
	UNTIL(got[1] == 2);
	assert_int_equal(got[0], 1);
	UNTIL(wire_has(&broker, "t/+/cmd") == 0);
	assert_int_equal(wire_get(&broker, unsubscribes), 1);
	assert_true(add("t/+/cmd", &got[2]));
	UNTIL(wire_has(&broker, "t/+/cmd") == 1);
	wire_publish(&broker, "t/7/cmd");
	UNTIL(got[2] == 1);
	assert_int_equal(got[0] + got[1], 3);
	assert_true(mqtt_unroute(mqtt, "t/1/cmd"));
	wire_break(&broker);
	UNTIL(wire_get(&broker, connections) == 2 && wire_has(&broker, "t/+/cmd") == 1);
	pass();
	assert_int_equal(wire_has(&broker, "t/1/cmd"), 0); /* not again */
}

/* The filter is removed before the broker has answered; the answer comes later. */
static void test_unroute_before_the_answer(void **state)
{
	(void)state;
	start();
	wire_set(&broker, silent, true);
	assert_true(add("t/+/cmd", &got[0]));
	UNTIL(wire_get(&broker, subscribes) == 1);
	assert_true(mqtt_unroute(mqtt, "t/+/cmd"));
	UNTIL(wire_get(&broker, unsubscribes) == 1);
	wire_grant_late(&broker);
	wire_set(&broker, silent, false);
	wire_publish(&broker, "t/1/cmd");
	pass();
	assert_int_equal(got[0], 0);
	assert_null(mqtt_trouble(mqtt));
}

/* --- handlers that change the routes --- */

static void remove_both(void *ctx, const struct route_message *message, struct moment now)
{
	(void)message;
	(void)now;
	++*(unsigned *)ctx;
	assert_true(mqtt_unroute(mqtt, "t/+/cmd"));
	assert_true(mqtt_unroute(mqtt, "t/#"));
	assert_true(mqtt_unroute(mqtt, "t/1/cmd"));
	assert_true(add("t/1/+", &got[9]));
	assert_true(add("t/1/cmd", &got[8]));
}

static void test_changed_by_a_handler(void **state)
{
	(void)state;
	assert_true(mqtt_route(mqtt, "t/+/cmd", remove_both, &got[0], "nothing arrives"));
	assert_true(mqtt_route(mqtt, "t/#", remove_both, &got[1], "nothing arrives"));
	assert_true(mqtt_route(mqtt, "t/1/cmd", remove_both, &got[2], "nothing arrives"));
	start();
	UNTIL(wire_get(&broker, subscribes) == 3);
	wire_publish(&broker, "t/1/cmd");
	UNTIL(got[0] + got[1] + got[2] > 0);
	UNTIL(wire_has(&broker, "t/1/+") == 1 && wire_has(&broker, "t/1/cmd") == 1);
	pass();
	assert_int_equal(got[0] + got[1] + got[2], 1); /* whichever came first removed the others */
	assert_int_equal(got[8] + got[9], 0);          /* not the message that was at hand */
	wire_publish(&broker, "t/1/cmd");
	pass();
	assert_int_equal(got[0] + got[1] + got[2], 1);
	assert_int_equal(got[8], 1);
	assert_int_equal(got[9], 1);
	assert_int_equal(wire_has(&broker, "t/#") + wire_has(&broker, "t/+/cmd"), 0);
}

static void publish(void *ctx, const struct route_message *message, struct moment now)
{
	(void)now;
	++*(unsigned *)ctx;
	mqtt_publish_now(mqtt, "t/answer", message->payload, false);
}

static void test_published_by_a_handler(void **state)
{
	(void)state;
	assert_true(mqtt_route(mqtt, "t/+/cmd", publish, &got[0], "nothing arrives"));
	start();
	for (unsigned i = 1; i <= 50; i++) {
		wire_publish(&broker, "t/1/cmd");
		UNTIL(wire_get(&broker, published) == i);
	}
	assert_int_equal(got[0], 50);
	assert_int_equal(wire_get(&broker, connections), 1);
}

/* --- refused --- */

static void test_refused_by_the_broker(void **state)
{
	char line[600] = "";
	(void)state;
	FILE *log = tmpfile();
	int before = dup(STDERR_FILENO);
	dup2(fileno(log), STDERR_FILENO);
	log_open(LOG_LEVEL_WARNING);
	wire_set(&broker, refuse, "t/+/cmd");
	assert_true(mqtt_route(mqtt, "t/+/cmd", count, &got[0], "no command arrives"));
	assert_true(add("ha/status", &got[1]));
	start();
	UNTIL(stats.count[STAT_NOT_SUBSCRIBED] == 1);
	UNTIL(wire_has(&broker, "ha/status") == 1);
	log_open(LOG_LEVEL_ERROR);
	dup2(before, STDERR_FILENO);
	close(before);
	rewind(log);
	assert_true(fread(line, 1, sizeof(line) - 1, log) > 0);
	fclose(log);
	assert_non_null(
		strstr(line, "the broker refuses the subscription to t/+/cmd: Not authorized (0x87); allow "
			     "the bridge to read it in the broker's ACL; without it, no command arrives\n"));
	assert_null(strstr(line, "ha/status"));
	assert_string_equal(mqtt_trouble(mqtt), "the broker refuses 1 subscription");
	assert_true(mqtt_unroute(mqtt, "t/+/cmd"));
	assert_null(mqtt_trouble(mqtt));
	pass();
	assert_int_equal(wire_get(&broker, unsubscribes), 0); /* there was nothing to unsubscribe from */
}

/* No answer in time counts as refused; an answer that comes after all counts. */
static void test_answered_late(void **state)
{
	(void)state;
	config.mqtt.ack_timeout = 1000;
	start();
	wire_set(&broker, silent, true);
	assert_true(add("t/+/cmd", &got[0]));
	UNTIL(stats.count[STAT_NOT_SUBSCRIBED] == 1);
	assert_string_equal(mqtt_trouble(mqtt), "the broker refuses 1 subscription");
	wire_grant_late(&broker);
	UNTIL(mqtt_trouble(mqtt) == NULL);
	wire_publish(&broker, "t/1/cmd");
	UNTIL(got[0] == 1);
}

/* What a message brings about is stored once per turn, and then mqtt_kick is called: no acknowledgement leaves before, nor one for what
 * mqtt_kick itself has read. */
static void test_acknowledged_after_the_turn(void **state)
{
	(void)state;
	start();
	assert_true(add("t/1/cmd", &got[0]));
	UNTIL(wire_has(&broker, "t/1/cmd") == 1);
	ev_prepare_stop(loop, &prepare);
	wire_publish_as(&broker, "t/1/cmd", 5);
	UNTIL(got[0] == 1);
	for (int i = 0; i < 50; i++) /* it has time to arrive, had it left */
		ev_run(loop, EVRUN_ONCE);
	assert_int_equal(wire_get(&broker, acknowledged), 0);
	mqtt_kick(mqtt);
	UNTIL(wire_get(&broker, acknowledged) == 1);
	ev_prepare_start(loop, &prepare);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	log_open(LOG_LEVEL_ERROR);
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {T(test_matching), T(test_refused_filters), T(test_many),
		T(test_while_connected), T(test_unroute_before_the_answer), T(test_changed_by_a_handler),
		T(test_published_by_a_handler), T(test_refused_by_the_broker), T(test_answered_late),
		T(test_acknowledged_after_the_turn)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
