// SPDX-License-Identifier: MIT
/* test_relay: the frames of trusted H02 units go on to the platform, whole and in order; whatever the platform does, nothing is held
 * up. A real loop and a real socket play the platform; units are moved by hand.
 *
 * The linker leads what the relay asks of sessions and of a connection to here. */
#include "harness.h"

#include "bridge/base/log.h"
#include "bridge/outputs/relay.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define IDENT "9170503816"

static struct ev_loop *loop;
static struct config config;
static struct stats stats;
static struct relay *relay;
static struct session unit;
static struct unit_info info;
static int platform, link_fd; /* it listens, and has accepted; -1: not yet */
static char answers[200];
static const struct moment now = {1800000000000, 5000000};

struct session *__wrap_session_find(struct sessions *sessions, struct span ident);
struct session *__wrap_session_find(struct sessions *sessions, struct span ident)
{
	(void)sessions;
	return unit.conn != NULL && span_is(ident, unit.unit.ident) ? &unit : NULL;
}

void __wrap_conn_answer(struct conn *conn, struct span frame, bool echo);
void __wrap_conn_answer(struct conn *conn, struct span frame, bool echo)
{
	size_t n = strlen(answers);
	assert_ptr_equal(conn, unit.conn);
	assert_false(echo);
	snprintf(answers + n, sizeof(answers) - n, "%.*s", (int)frame.len, (const char *)frame.ptr);
}

static int listen_on(uint16_t *port)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(*port)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	*port = ntohs(a.sin_port);
	return fd;
}

static void use_text(char **option, const char *text)
{
	free(*option);
	*option = strdup(text);
	assert_non_null(*option);
}

static void open_relay(bool answered_by_platform, int64_t buffer)
{
	char server[60];
	uint16_t port = 0;
	config_init(&config);
	platform = listen_on(&port);
	snprintf(server, sizeof(server), "127.0.0.1:%u", port);
	use_text(&config.relay.server, server);
	config.relay.replies = answered_by_platform;
	config.relay.buffer = buffer;
	link_fd = -1;
	answers[0] = '\0';
	memset(&stats, 0, sizeof(stats));
	memset(&unit, 0, sizeof(unit));
	memset(&info, 0, sizeof(info));
	strcpy(unit.unit.ident, IDENT);
	unit.codec = codec_find(span_text("h02"));
	unit.trusted = true;
	unit.conn = (struct conn *)(void *)&unit; /* never looked into */
	log_open(LOG_LEVEL_ERROR);
	loop = ev_loop_new(0);
	relay = relay_open(loop, &config, NULL, &stats);
	assert_non_null(relay);
	usleep(20000); /* mostly the address is found by now; else the test lasts a second longer */
}

static int set_up(void **state)
{
	(void)state;
	open_relay(false, 16384);
	return 0;
}

static int set_up_answered(void **state)
{
	(void)state;
	open_relay(true, 16384);
	return 0;
}

static int set_up_small(void **state)
{
	(void)state;
	open_relay(false, 1024);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	relay_free(relay);
	ev_loop_destroy(loop);
	if (link_fd >= 0)
		close(link_fd);
	close(platform);
	config_free(&config);
	return 0;
}

static void say(const char *frame)
{
	relay_listener(relay)->frame(relay, &unit, true, span_text(frame), NULL, now);
}

/* Lets the relay work until the platform has accepted; false: it did not come within 5 s. */
static bool comes(void)
{
	for (unsigned i = 0; i < 500 && link_fd < 0; i++) {
		ev_run(loop, EVRUN_NOWAIT);
		link_fd = accept4(platform, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (link_fd < 0)
			usleep(10000);
	}
	return link_fd >= 0;
}

/* What the platform gets; ends with what is expected, or after 5 s. */
static void expect_got(const char *what)
{
	char got[20000];
	size_t len = 0;
	got[0] = '\0';
	assert_true(comes());
	for (unsigned i = 0; i < 500 && len < strlen(what); i++) {
		ev_run(loop, EVRUN_NOWAIT);
		ssize_t n = recv(link_fd, got + len, sizeof(got) - 1 - len, MSG_DONTWAIT);
		len += n > 0 ? (size_t)n : 0;
		if (n <= 0)
			usleep(10000);
	}
	got[len] = '\0';
	assert_string_equal(got, what);
}

/* True: the relay closes the connection. */
static bool hangs_up(void)
{
	char byte;
	for (unsigned i = 0; i < 500; i++) {
		ev_run(loop, EVRUN_NOWAIT);
		if (recv(link_fd, &byte, 1, MSG_DONTWAIT) == 0)
			return true;
		usleep(10000);
	}
	return false;
}

static void run_until(const uint64_t *count, uint64_t what)
{
	for (unsigned i = 0; i < 500 && *count < what; i++) {
		ev_run(loop, EVRUN_NOWAIT);
		usleep(10000);
	}
	assert_int_equal(*count, what);
}

/* --- whose frames --- */

static void test_frames_go_on_in_order(void **state)
{
	(void)state;
	say("*HQ,1#");
	say("*HQ,2#");
	expect_got("*HQ,1#*HQ,2#");
	say("*HQ,3#");
	expect_got("*HQ,3#");
	run_until(&stats.count[STAT_RELAYED], 3);
	assert_int_equal(stats.count[STAT_RELAY_DROPPED], 0);
}

static void test_whose_frames_do_not(void **state)
{
	const struct unit_listener *l = relay_listener(relay);
	struct session other = unit;
	(void)state;
	l->frame(relay, NULL, true, span_text("a"), NULL, now);
	l->frame(relay, &unit, false, span_text("b"), NULL, now); /* to the unit */
	other.trusted = false;
	l->frame(relay, &other, true, span_text("c"), NULL, now);
	other = unit;
	other.codec = codec_find(span_text("jt808"));
	l->frame(relay, &other, true, span_text("d"), NULL, now);
	other = unit;
	other.conn = NULL;
	l->frame(relay, &other, true, span_text("e"), NULL, now);
	other = unit;
	other.info = &info;
	info.relay = UNIT_RELAY_NO;
	l->frame(relay, &other, true, span_text("f"), NULL, now);
	info.relay = UNIT_RELAY_YES;
	l->frame(relay, &other, true, span_text("g"), NULL, now);
	l->frame(relay, &unit, true, span_text("h"), "bad", now); /* the platform judges for itself */
	expect_got("gh");
	run_until(&stats.count[STAT_RELAYED], 2);
}

/* --- what the platform says --- */

static void test_the_platform_answers(void **state)
{
	char byte;
	(void)state;
	say("*HQ,1#");
	expect_got("*HQ,1#");
	assert_int_equal(send(link_fd, "*OK#", 4, MSG_NOSIGNAL), 4);
	for (unsigned i = 0; i < 500 && answers[0] == '\0'; i++) {
		ev_run(loop, EVRUN_NOWAIT);
		usleep(10000);
	}
	assert_string_equal(answers, "*OK#");
	unit.conn = NULL; /* for a unit that is off line it says nothing */
	assert_int_equal(send(link_fd, "*NO#", 4, MSG_NOSIGNAL), 4);
	shutdown(link_fd, SHUT_WR);
	assert_true(recv(link_fd, &byte, 1, MSG_DONTWAIT) < 0);
	assert_true(hangs_up());
	assert_string_equal(answers, "*OK#");
}

static void test_the_bridge_answers(void **state)
{
	(void)state;
	say("*HQ,1#");
	expect_got("*HQ,1#");
	assert_int_equal(send(link_fd, "*OK#", 4, MSG_NOSIGNAL), 4);
	shutdown(link_fd, SHUT_WR);
	assert_true(hangs_up()); /* so it has read them */
	assert_string_equal(answers, "");
}

/* --- off line --- */

static void test_off_line(void **state)
{
	const struct unit_listener *l = relay_listener(relay);
	(void)state;
	l->offline(relay, &unit, "bye", now); /* nothing was ever relayed of it */
	say("*HQ,1#");
	expect_got("*HQ,1#");
	run_until(&stats.count[STAT_RELAYED], 1);
	l->offline(relay, &unit, "bye", now);
	assert_true(hangs_up());
	close(link_fd);
	link_fd = -1;
	say("*HQ,2#"); /* it is back */
	expect_got("*HQ,2#");
}

/* What waits is sent before the connection ends. */
static void test_off_line_with_frames_that_wait(void **state)
{
	(void)state;
	say("*HQ,1#");
	expect_got("*HQ,1#");
	run_until(&stats.count[STAT_RELAYED], 1);
	say("*HQ,2#");
	relay_listener(relay)->offline(relay, &unit, "bye", now);
	expect_got("*HQ,2#");
	assert_true(hangs_up());
}

/* It is back before what waits has left: the connection stays. */
static void test_off_line_and_back(void **state)
{
	(void)state;
	say("*HQ,1#");
	expect_got("*HQ,1#");
	run_until(&stats.count[STAT_RELAYED], 1);
	say("*HQ,2#");
	relay_listener(relay)->offline(relay, &unit, "bye", now);
	say("*HQ,3#");
	expect_got("*HQ,2#*HQ,3#");
	run_until(&stats.count[STAT_RELAYED], 3);
	say("*HQ,4#");
	expect_got("*HQ,4#");
}

/* --- the platform is away, or slow --- */

static void test_the_platform_comes_back(void **state)
{
	(void)state;
	say("*HQ,1#");
	expect_got("*HQ,1#");
	close(link_fd);
	link_fd = -1;
	for (unsigned i = 0; i < 10; i++) /* it notices */
		ev_run(loop, EVRUN_NOWAIT);
	say("*HQ,2#"); /* after a second it is tried again */
	expect_got("*HQ,2#");
}

static void test_too_much_waits(void **state)
{
	static char frame[400], longest[1400];
	char all[1000];
	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	say(longest); /* longer than all that may wait */
	assert_int_equal(stats.count[STAT_RELAY_DROPPED], 1);
	for (char c = 'a'; c < 'f'; c++) { /* two have room: the oldest are dropped */
		memset(frame, c, sizeof(frame) - 1);
		say(frame);
	}
	assert_int_equal(stats.count[STAT_RELAY_DROPPED], 4);
	memset(all, 'd', sizeof(frame) - 1);
	memset(all + sizeof(frame) - 1, 'e', sizeof(frame) - 1);
	all[2 * (sizeof(frame) - 1)] = '\0';
	expect_got(all);
	run_until(&stats.count[STAT_RELAYED], 2);
}

static void test_no_server(void **state)
{
	(void)state;
	config_init(&config);
	use_text(&config.relay.server, "no port");
	loop = ev_loop_new(0);
	assert_null(relay_open(loop, &config, NULL, &stats));
	ev_loop_destroy(loop);
	config_free(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_frames_go_on_in_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_whose_frames_do_not, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_platform_answers, set_up_answered, tear_down),
		cmocka_unit_test_setup_teardown(test_the_bridge_answers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_off_line, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_off_line_with_frames_that_wait, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_off_line_and_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_platform_comes_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_too_much_waits, set_up_small, tear_down),
		cmocka_unit_test(test_no_server),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
