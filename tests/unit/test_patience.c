// SPDX-License-Identifier: MIT
/* test_patience: what the bridge makes of a broker that cannot be reached or does not last: how long it waits, which version it speaks, what
 * listens behind a port, and which hosts a list names. */
#include "harness.h"

#include "bridge/base/hosts.h"
#include "bridge/broker/dialect.h"
#include "bridge/broker/patience.h"
#include "bridge/broker/port.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- how long --- */

static struct life nobody(double away)
{
	return (struct life){.ending = ENDING_NOBODY, .seconds = away};
}

static struct life lived(double seconds)
{
	return (struct life){.ending = ENDING_LIVED, .subscribed = true, .seconds = seconds, .closed = true};
}

static void expect(struct patience *p, struct life life, double wait)
{
	double got = patience_after(p, &life);
	if (got < wait - 0.001 || got > wait + 0.001)
		fail_msg("%.3f s instead of %.3f s", got, wait);
}

static void test_a_broker_that_is_back_soon(void **state)
{
	struct patience p = {0};
	(void)state;
	expect(&p, lived(3600), 0.5);
	for (double away = 0, wait = 0.5; away < 299; away += wait) {
		struct life life = nobody(away);
		wait = patience_after(&p, &life);
		assert_true(wait * 1.25 < 2); /* with its jitter */
	}
	expect(&p, nobody(300), 10);
	expect(&p, nobody(100000), 10);
	expect(&p, lived(3600), 0.5);
}

/* Whatever lives briefly, and whatever it did meanwhile. */
static void test_brief_connections(void **state)
{
	static const double waits[] = {0.5, 1, 2, 4, 8, 16, 30, 30, 30};
	struct patience p = {0};
	(void)state;
	expect(&p, lived(3600), 0.5);
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		struct life life = lived(i % 2 ? 9.9 : 0);
		life.closed = false;
		expect(&p, life, waits[i]);
	}
	struct life unsubscribed = lived(3600);
	unsubscribed.subscribed = false;
	expect(&p, unsubscribed, 30);
	expect(&p, lived(10), 0.5);
	expect(&p, lived(1), 0.5);
	expect(&p, lived(1), 1);
}

/* Two with one id: each lives as long as the other one waits. Both wait longer and longer. */
static void test_twins(void **state)
{
	struct patience twin[2] = {{0}, {0}};
	double longest = 0;
	unsigned connections = 0;
	(void)state;
	for (double now = 0, wait = 0.5; now < 3600; now += wait, connections++) {
		struct life life = lived(wait);
		wait = patience_after(&twin[connections % 2], &life);
		longest = wait > longest ? wait : longest;
	}
	assert_true(longest >= 30 && connections < 150);
	assert_true(twin[0].twin && twin[1].twin);
	expect(&twin[0], lived(74), 30);
	expect(&twin[0], lived(76), 0.5);
	assert_false(twin[0].twin);
}

static void test_a_taken_over_session(void **state)
{
	struct patience p = {0};
	struct life life = lived(100000);
	(void)state;
	life.twin = true;
	expect(&p, life, 0.5);
	assert_true(p.twin);
	life.seconds = 20;
	expect(&p, life, 1);
	expect(&p, life, 2);
}

/* A broker that was away between two brief connections was restarted. */
static void test_restarts_are_no_twins(void **state)
{
	struct patience p = {0};
	(void)state;
	for (int i = 0; i < 10; i++) {
		expect(&p, lived(1), 0.5);
		expect(&p, nobody(1), 0.5);
	}
	assert_false(p.twin);
	for (int i = 0; i < 10; i++) {
		struct life life = lived(1);
		life.closed = false;
		patience_after(&p, &life);
	}
	assert_false(p.twin);
}

static void test_refused_hurry_search(void **state)
{
	struct patience p = {0};
	struct life refused = {.ending = ENDING_REFUSED, .seconds = 1}, hurry = lived(0), search = lived(0);
	(void)state;
	for (int i = 0; i < 6; i++)
		expect(&p, refused, 0.5 * (1 << i));
	expect(&p, refused, 30);
	hurry.hurry = search.search = true;
	expect(&p, hurry, 0.1);
	for (int i = 0; i < 5; i++)
		expect(&p, search, i < 1 ? 1 : 2);
	expect(&p, lived(0), 30);
}

/* --- the version --- */

static void test_a_broker_of_3_1_1_that_closes(void **state)
{
	struct dialect d;
	(void)state;
	dialect_open(&d, 5);
	assert_true(dialect_unanswered(&d));
	assert_int_equal(d.now, 4);
	assert_false(dialect_answered(&d)); /* MQTT 5 once more, for it may have been restarted */
	assert_int_equal(d.now, 5);
	assert_true(dialect_unanswered(&d));
	assert_true(d.now == 4 && d.sure && dialect_answered(&d));
	for (int i = 0; i < 5; i++)
		assert_false(dialect_unanswered(&d));
	assert_true(d.now == 4 && d.sure);
	dialect_again(&d);
	assert_true(d.now == 5 && !d.sure);
	dialect_unanswered(&d);
	assert_true(d.now == 4 && d.sure);
}

static void test_a_restarted_broker_of_5(void **state)
{
	struct dialect d;
	(void)state;
	dialect_open(&d, 5);
	dialect_unanswered(&d);
	assert_false(dialect_answered(&d));
	assert_true(dialect_answered(&d));
	assert_true(d.now == 5 && !d.sure);
	dialect_unanswered(&d);
	assert_true(d.now == 4 && !d.sure);
}

static void test_versions_that_are_certain(void **state)
{
	struct dialect d;
	(void)state;
	dialect_open(&d, 5);
	assert_true(dialect_refused(&d));
	assert_true(d.now == 4 && d.sure && dialect_answered(&d));
	assert_false(dialect_refused(&d)); /* neither */
	assert_true(d.now == 5 && d.both && !d.sure);
	dialect_open(&d, 4);
	assert_false(dialect_refused(&d) || dialect_unanswered(&d) || !dialect_answered(&d));
	dialect_again(&d);
	assert_int_equal(d.now, 4);
	dialect_open(&d, 5); /* closes everything: one by one, and no storm */
	assert_true(dialect_unanswered(&d));
	dialect_unanswered(&d);
	for (int i = 0; i < 10; i++)
		assert_true(!dialect_unanswered(&d) && d.both && !d.sure);
}

/* --- what listens there --- */

static void test_first_bytes(void **state)
{
	static const struct {
		const char *head, *what;
		size_t len;
	} all[] = {{"\x15\x03\x01\0\2\2\x46", "TLS", 7}, {"\x16\x03\x03\0\x7a", "TLS", 5},
		{"HTTP/1.1 400 Bad Request", "web server", 24}, {"SSH-2.0-OpenSSH_9.2", "SSH", 19},
		{"SSH-2", "SSH", 5}, {"220 mail.example ESMTP", "mail or FTP", 22}, {"220-a", "mail or FTP", 5},
		{"AMQP\0\0\x9\1", "AMQP", 8}, {"-ERR Protocol", "Redis", 13}, {"+OK POP", "POP3", 7},
		{"* OK IM", "IMAP", 7}, {"INFO {", "NATS", 6}};
	static const char *const mqtt[] = {"\x20\2\0\0", "\x20", "\xe0\2", "\xf0", ""};
	uint8_t any[8];
	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		const struct port_kind *kind = port_kind(span_of(all[i].head, all[i].len));
		if (kind == NULL || strstr(kind->what, all[i].what) == NULL)
			fail_msg("%s", all[i].head);
		assert_false(port_may_be_mqtt(span_of(all[i].head, all[i].len)));
	}
	for (size_t i = 0; i < sizeof(mqtt) / sizeof(mqtt[0]); i++)
		assert_true(port_may_be_mqtt(span_text(mqtt[i])) && port_kind(span_text(mqtt[i])) == NULL);
	srand48(17);
	for (int i = 0; i < 1000000;
		i++) { /* no bytes that a broker begins with have a name, and none is read beyond its end */
		size_t n = (size_t)(lrand48() % 9);
		for (size_t j = 0; j < n; j++)
			any[j] = (uint8_t)lrand48();
		const struct port_kind *kind = port_kind(span_of(any + 8 - n, n));
		assert_true(kind == NULL || !port_may_be_mqtt(span_of(any + 8 - n, n)));
	}
}

struct answerer {
	int listener;
	const char *says;
	size_t len;
	char heard[200];
	size_t heard_len;
};

static void *answer(void *arg)
{
	struct answerer *a = arg;
	int fd = accept(a->listener, NULL, NULL);
	a->heard_len = (size_t)recv(fd, a->heard, sizeof(a->heard), 0);
	if (a->len > 0)
		(void)!send(fd, a->says, a->len, MSG_NOSIGNAL);
	while (a->len == 0 && recv(fd, a->heard, sizeof(a->heard), 0) > 0) /* silent, until it is left */
		;
	close(fd);
	return NULL;
}

static bool asked(const char *says, size_t len)
{
	union address to = {.in4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof(to.in4);
	struct answerer a = {.says = says, .len = len, .listener = socket(AF_INET, SOCK_STREAM, 0)};
	pthread_t thread;
	assert_int_equal(bind(a.listener, &to.any, size), 0);
	assert_int_equal(listen(a.listener, 1), 0);
	getsockname(a.listener, &to.any, &size);
	pthread_create(&thread, NULL, answer, &a);
	bool tls = port_speaks_tls(&to, len > 0 ? 30 : 0.1);
	pthread_join(thread, NULL);
	close(a.listener);
	assert_memory_equal(a.heard, "\x16\x03\x01", 3);
	return tls;
}

static void test_asking_for_tls(void **state)
{
	union address closed = {.in4 = {.sin_family = AF_INET,
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
					.sin_port = htons(1)}};
	(void)state;
	assert_true(asked("\x16\x03\x03\0\x7a\2", 6));
	assert_true(asked("\x15\x03\x01\0\2\2\x28", 7));
	assert_false(asked("\x20\2\0\1", 4));
	assert_false(asked("HTTP/1.1 400", 12));
	assert_false(asked("\x16", 1));
	assert_false(asked("", 0));
	assert_false(port_speaks_tls(&closed, 1));
}

/* --- lists of hosts --- */

static void test_lists(void **state)
{
	static const struct {
		const char *list, *first, *last;
		unsigned count;
	} good[] = {{"localhost", "localhost:1883", "localhost:1883", 1}, {"a:1884", "a:1884", "a:1884", 1},
		{"a:1884, b", "a:1884", "b:1883", 2}, {" a ,\tb:1 ", "a:1883", "b:1", 2},
		{"::1", "[::1]:1883", "[::1]:1883", 1},
		{"[::1]:1884,2001:db8::7", "[::1]:1884", "[2001:db8::7]:1883", 2},
		{"[::1]", "[::1]:1883", "[::1]:1883", 1},
		{"fe80::1%eth0, 10.0.0.1:65535", "[fe80::1%eth0]:1883", "10.0.0.1:65535", 2},
		{"a,b,c,d,e,f,g,h", "a:1883", "h:1883", 8}};
	static const char *const bad[] = {"", ",", "a,", ",a", "a,,b", "a b", "a:0", "a:65536", "a:", "a:x",
		"a:18833333", ":1883", "[::1", "[::1]x", "[::1]:", "[]:1", "mqtt://a", "a/b", "me@a", "\"a\"",
		"a#b", "a,b,c,d,e,f,g,h,i", "a\nb", "a:+1", "a: 1"};
	struct hosts hosts;
	char text[HOST_TEXT_MAX], longest[HOST_NAME_MOST + 2];
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(hosts_read(good[i].list, 1883, &hosts));
		assert_int_equal(hosts.count, good[i].count);
		assert_string_equal(host_text(&hosts.item[0], text), good[i].first);
		assert_string_equal(host_text(&hosts.item[hosts.count - 1], text), good[i].last);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (hosts_read(bad[i], 1883, &hosts))
			fail_msg("%s", bad[i]);
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_false(hosts_read(longest, 1883, &hosts));
	longest[sizeof(longest) - 2] = '\0';
	assert_true(hosts_read(longest, 1883, &hosts));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_broker_that_is_back_soon),
		cmocka_unit_test(test_brief_connections),
		cmocka_unit_test(test_twins),
		cmocka_unit_test(test_a_taken_over_session),
		cmocka_unit_test(test_restarts_are_no_twins),
		cmocka_unit_test(test_refused_hurry_search),
		cmocka_unit_test(test_a_broker_of_3_1_1_that_closes),
		cmocka_unit_test(test_a_restarted_broker_of_5),
		cmocka_unit_test(test_versions_that_are_certain),
		cmocka_unit_test(test_first_bytes),
		cmocka_unit_test(test_asking_for_tls),
		cmocka_unit_test(test_lists),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
