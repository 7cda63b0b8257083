// SPDX-License-Identifier: MIT
/* test_conn: bytes that nobody has used yet, when a peer is looked at again, how it ends; with sockets, an owner and a clock of the
 * test's own. */
#include "conn_world.h"

/* --- input --- */

static void test_what_is_not_used_comes_again(void **state)
{
	(void)state;
	struct conn *conn = connects(1, false);
	world.takes = 3;
	says(conn, "abcde");
	assert_string_equal(world.seen, "abcde");
	says(conn, "fg");
	assert_string_equal(world.seen, "defg");
	world.takes = SIZE_MAX;
	says(conn, "h");
	assert_string_equal(world.seen, "gh");
	says(conn, "i");
	assert_string_equal(world.seen, "i");
	assert_int_equal(((struct mine *)conn_owner(conn))->inputs, 4);
	assert_int_equal(world.conns->kept, 0);
}

static void test_silence_is_told_twice(void **state)
{
	(void)state;
	struct conn *conn = connects(1, false);
	world.takes = 0;
	says(conn, "half");
	assert_int_equal(world.quiet_ms, 0);
	passes(299, &world.conns->quiet_timer);
	assert_int_equal(world.inputs, 1);
	passes(1, &world.conns->quiet_timer);
	assert_int_equal(world.inputs, 2);
	assert_int_equal(world.quiet_ms, 300);
	passes(2999, &world.conns->quiet_timer);
	assert_int_equal(world.inputs, 2);
	passes(1, &world.conns->quiet_timer);
	assert_int_equal(world.quiet_ms, 3000);
	passes(10000, &world.conns->quiet_timer);
	assert_int_equal(world.inputs, 3);
	assert_string_equal(world.seen, "half");
}

static void test_no_room_is_not_read(void **state)
{
	(void)state;
	struct conn *conn = connects(1, false);
	world.end = INPUT_NO_ROOM;
	world.takes = 1;
	says(conn, "abc");
	assert_true(conns_stalled(world.conns));
	assert_false(world.socket[conn->peer.fd].watched);
	says(conn, "d");
	assert_int_equal(world.inputs, 1);
	conns_resume(world.conns); /* full again */
	assert_string_equal(world.seen, "bc");
	assert_true(conns_stalled(world.conns));
	world.end = INPUT_DONE;
	world.takes = SIZE_MAX;
	conns_resume(world.conns);
	assert_false(conns_stalled(world.conns));
	assert_true(world.socket[conn->peer.fd].watched);
	reads(conn);
	assert_string_equal(world.seen, "d");
}

static void test_too_fast_waits_a_moment(void **state)
{
	(void)state;
	struct conn *conn = connects(1, false);
	world.end = INPUT_TOO_FAST;
	world.takes = 0;
	says(conn, "abc");
	assert_false(conns_stalled(world.conns));
	assert_false(world.socket[conn->peer.fd].watched);
	world.end = INPUT_DONE;
	world.takes = SIZE_MAX;
	passes(99, &world.conns->slow_timer);
	assert_int_equal(world.inputs, 1);
	passes(1, &world.conns->slow_timer);
	assert_string_equal(world.seen, "abc");
	assert_true(world.socket[conn->peer.fd].watched);
	world.end = INPUT_TOO_FAST;
	world.takes = 0;
	assert_true(tells(1, 5000, "abc")); /* a datagram is lost */
	assert_int_equal(world.conns->kept, 0);
}

/* --- ends --- */

static void test_what_nobody_understands_ends(void **state)
{
	(void)state;
	char text[1026];
	struct conn *conn = connects(1, false), *fine = connects(1, false);
	world.end = INPUT_DONE;
	says(fine, "hello");
	world.end = INPUT_UNKNOWN;
	world.takes = 0;
	memset(text, 'x', 1025);
	text[1025] = '\0';
	says(conn, text + 1);
	assert_false(conn_is_closed(conn));
	says(conn, "x");
	assert_true(conn_is_closed(conn));
	assert_int_equal(world.refused[STAT_REFUSED_UNKNOWN_PROTOCOL], 1);
	says(fine, text); /* it was understood before */
	assert_false(conn_is_closed(fine));
	assert_int_equal(world.ends, 0); /* never inside */
	turns();
	assert_int_equal(world.ends, 1);
	assert_string_equal(world.reason, "unknown protocol");
	assert_int_equal(world.rest[0], 'x');
}

static void test_answers_leave_before_the_end(void **state)
{
	(void)state;
	struct conn *conn = connects(1, false);
	conn_unit_came(conn, false);
	conn_answer(conn, span_text("one."), false);
	world.socket[conn->peer.fd].closed = true;
	reads(conn);
	assert_int_equal(world.quiet_ms, CONN_QUIET_FINAL);
	assert_false(conn_is_closed(conn));
	conns_flush(world.conns, false);
	conns_reap(world.conns);
	assert_int_equal(world.ends, 0);
	turns();
	assert_string_equal(world.wire, "one.");
	turns();
	assert_int_equal(world.ends, 1);
	assert_string_equal(world.reason, "closed by the unit");
}

static void test_last_words(void **state)
{
	(void)state;
	struct conn *conn = connects(1, false);
	conn_unit_came(conn, false);
	conn_answer(conn, span_text("one."), false);
	strcpy(world.socket[conn->peer.fd].in, "last");
	world.socket[conn->peer.fd].in_len = 4;
	conn_close_after_last_words(conn, "taken over");
	conn_close_after_last_words(conn, "again");
	assert_int_equal(world.inputs, 0);
	turns();
	assert_string_equal(world.seen, "last");
	assert_string_equal(world.wire, "one.");
	turns();
	assert_int_equal(world.ends, 1);
	assert_string_equal(world.reason, "taken over");
}

static void test_silent_ones_end(void **state)
{
	(void)state;
	struct conn *fresh = connects(1, false), *unit = connects(1, false);
	world.config.listen.first_frame_timeout = 1000;
	world.config.listen.idle_timeout = 5000;
	conn_unit_came(unit, false);
	passes(999, &world.conns->tick);
	assert_false(conn_is_closed(fresh));
	passes(1, &world.conns->tick);
	assert_true(conn_is_closed(fresh));
	assert_int_equal(world.refused[STAT_REFUSED_NO_FRAME], 1);
	says(unit, "here");
	passes(4999, &world.conns->tick);
	assert_false(conn_is_closed(unit));
	world.end = INPUT_NO_ROOM; /* it waits for us, which is no silence */
	says(unit, "here");
	passes(5000, &world.conns->tick);
	assert_false(conn_is_closed(unit));
	world.end = INPUT_DONE;
	conns_resume(world.conns);
	passes(5000, &world.conns->tick);
	assert_true(conn_is_closed(unit));
	assert_string_equal(unit->leaving, "silent for too long");
}

/* --- datagrams --- */

static void test_datagrams_of_a_peer(void **state)
{
	(void)state;
	assert_true(tells(1, 5000, "one"));
	assert_int_equal(world.quiet_ms, CONN_QUIET_FINAL);
	assert_int_equal(world.datagrams, 1);
	turns(); /* it has named no unit */
	assert_int_equal(conns_count(world.conns), 0);
	assert_string_equal(world.reason, "not identified");
	tells(1, 5000, "two");
	turns();
	assert_int_equal(world.ends, 2);
	world.end = INPUT_NO_ROOM;
	world.takes = 0;
	assert_false(tells(1, 5000, "three")); /* not now */
	assert_int_equal(conns_count(world.conns), 1);
	assert_false(tells(1, 5000, "four")); /* the same peer: behind the other */
	assert_string_equal(world.seen, "threefour");
	assert_int_equal(world.datagrams, 3); /* it does not begin anew */
	assert_false(tells(1, 5001, "five"));
	assert_int_equal(conns_count(world.conns), 2);
	world.end = INPUT_DONE;
	world.takes = SIZE_MAX;
	conns_resume(world.conns);
	assert_false(conns_stalled(world.conns));
}

/* --- how they come --- */

static void test_connections_of_an_address(void **state)
{
	(void)state;
	world.config.listen.max_connections_per_address = 1;
	assert_non_null(connects(1, false));
	assert_null(connects(1, false));
	assert_int_equal(world.stats.count[STAT_REFUSED_PER_ADDRESS], 1);
	assert_non_null(connects(2, false));
	assert_true(tells(1, 5000, "one")); /* over UDP an account of its own */
	assert_int_equal(world.datagrams, 1);
}

static void test_no_place_but_for_known_units(void **state)
{
	(void)state;
	world.config.listen.max_connections = 1;
	struct conn *first = connects(1, false);
	conn_unit_came(first, false);
	assert_null(connects(2, false));
	assert_int_equal(world.stats.count[STAT_REFUSED_CONNECTIONS], 1);
	world.expects = true;
	assert_non_null(connects(2, false));
}

static void test_header_of_a_proxy(void **state)
{
	(void)state;
	char text[] = "192.0.2.9/32";
	struct networks *from = &world.config.listen.proxy_from;
	assert_true(network_parse(text, &from->item[0]));
	from->count = 1;
	assert_null(connects(1, true)); /* not a proxy */
	assert_int_equal(world.stats.count[STAT_REFUSED_PROXY_FROM], 1);
	struct conn *conn = connects(9, true), *bad = connects(9, true);
	char peer[CONN_PEER_MAX];
	says(conn, "PROXY TCP4 203.0.113.4 ");
	assert_int_equal(world.inputs, 0);
	says(conn, "198.51.100.1 50112 8888\r\nhello");
	conn_peer(conn, peer);
	assert_string_equal(peer, "203.0.113.4:50112");
	assert_string_equal(world.seen, "hello");
	union address a = address_of(9, 1);
	assert_ptr_not_equal(conn_source(conn), source_find(world.sources, &a));
	says(bad, "*HQ,");
	assert_true(conn_is_closed(bad));
	assert_int_equal(world.refused[STAT_REFUSED_PROXY_HEADER], 1);
}

static void trust_host_9(void)
{
	char text[] = "192.0.2.9/32";
	struct networks *from = &world.config.listen.proxy_from;
	assert_true(network_parse(text, &from->item[0]));
	from->count = 1;
}

/* From this port of the proxy; whom does the conn that took it speak for? "": none took it. */
static const char *handed_on(unsigned port, struct span bytes)
{
	static char peer[CONN_PEER_MAX];
	unsigned before = world.inputs;
	assert_true(hands_on(9, port, bytes));
	peer[0] = '\0';
	if (world.inputs > before)
		conn_peer(world.last, peer);
	turns();
	return peer;
}

#define BYTES(text) span_of(text, sizeof(text) - 1)
#define FOUR "PROXY TCP4 203.0.113.4 198.51.100.1 50112 8888\r\n"
#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

static void test_header_in_a_datagram(void **state)
{
	(void)state;
	trust_host_9();
	assert_string_equal(handed_on(1, BYTES("bare")), "192.0.2.9:1");
	assert_string_equal(handed_on(1, BYTES(FOUR "hello")), "203.0.113.4:50112");
	assert_string_equal(world.seen, "hello");
	assert_string_equal(handed_on(1, BYTES("behind it")), "203.0.113.4:50112");
	assert_string_equal(world.seen, "behind it");
	assert_string_equal(handed_on(2, BYTES("another port")), "192.0.2.9:2");
	/* the header alone, then what it is about */
	assert_string_equal(handed_on(3, BYTES("PROXY TCP6 2001:db8::4 2001:db8::1 50112 8888\r\n")), "");
	assert_string_equal(handed_on(3, BYTES("hello")), "[2001:db8::4]:50112");
	/* UDP and TCP over IPv4 and IPv6, and what stands behind the addresses */
	static const char four[] = SIGNATURE "\x21\x12\0\x0f\xcb\0\x71\4\xc6\x33\x64\1\xc3\xc0\x22\xb8\4\0\0v2";
	assert_string_equal(handed_on(4, BYTES(four)), "203.0.113.4:50112");
	assert_string_equal(world.seen, "v2");
	/* the next client of the same port */
	assert_string_equal(
		handed_on(4, BYTES("PROXY TCP4 203.0.113.5 198.51.100.1 6 8888\r\nhello")), "203.0.113.5:6");
	assert_string_equal(handed_on(4, BYTES("hello")), "203.0.113.5:6");
	/* nobody is named: it is the proxy's own */
	assert_string_equal(handed_on(4, BYTES("PROXY UNKNOWN\r\nhello")), "192.0.2.9:4");
	assert_string_equal(handed_on(4, BYTES("hello")), "192.0.2.9:4");
	assert_string_equal(handed_on(3, BYTES(SIGNATURE "\x20\0\0\0hello")), "192.0.2.9:3");
	assert_int_equal(world.stats.count[STAT_REFUSED_PROXY_HEADER], 0);
	/* who is no proxy is not believed */
	assert_true(hands_on(8, 1, BYTES(FOUR "hello")));
	assert_string_equal(world.seen, FOUR "hello");
	union address a = address_of(8, 1);
	assert_ptr_equal(conn_source(world.last), source_find(world.sources, &a));
}

static void test_bad_headers_in_datagrams(void **state)
{
	(void)state;
	static const struct span bad[] = {{(const uint8_t *)"PROXY TCP4 203.0.113.4", 22},
		{(const uint8_t *)"PROXY TCP4 203.0.113.4 198.51.100.1 70000 8888\r\nhello", 54},
		{(const uint8_t *)"PROXY TCP4 2001:db8::4 2001:db8::1 50112 8888\r\nhello", 52},
		{(const uint8_t *)SIGNATURE, 12}, {(const uint8_t *)SIGNATURE "\x21\x12\0\x0c\xcb\0\x71", 19},
		{(const uint8_t *)SIGNATURE "\x21\x12\0\4\xcb\0\x71\4hello", 25},
		{(const uint8_t *)SIGNATURE "\x21\x31\0\4\xcb\0\x71\4hello", 25},
		{(const uint8_t *)SIGNATURE "\x11\x12\0\4\xcb\0\x71\4hello", 25},
		{(const uint8_t *)SIGNATURE "\x21\x12\xff\xff\xcb\0\x71\4hello", 25}};
	trust_host_9();
	assert_string_equal(handed_on(1, BYTES(FOUR)), "");
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_string_equal(handed_on(1, bad[i]), "");
		assert_int_equal(world.stats.count[STAT_REFUSED_PROXY_HEADER], i + 1);
	}
	/* too short for a header: a datagram like any other, as is line noise that begins like version 2 */
	assert_string_equal(handed_on(1, BYTES("PROXY")), "203.0.113.4:50112");
	assert_string_equal(handed_on(1, BYTES("\r\n\r\n")), "203.0.113.4:50112");
	assert_int_equal(world.stats.count[STAT_REFUSED_PROXY_HEADER], sizeof(bad) / sizeof(bad[0]));
}

static void test_clients_of_a_proxy(void **state)
{
	(void)state;
	trust_host_9();
	world.config.listen.max_connections_per_address = 1;
	world.names = true;
	assert_true(hands_on(9, 1, BYTES(FOUR "hello")));
	union address a = address_of(9, 1), b = address_of(9, 3);
	struct conn *conn = world.last;
	assert_memory_equal(conn->way, &a, sizeof(a));
	assert_string_equal(handed_on(2, BYTES("PROXY TCP4 203.0.113.4 198.51.100.1 7 8888\r\nhello")), "");
	assert_int_equal(
		world.stats.count[STAT_REFUSED_PER_ADDRESS], 1); /* by the client's address, not the proxy's */
	assert_string_equal(
		handed_on(2, BYTES("PROXY TCP4 203.0.113.5 198.51.100.1 7 8888\r\nhello")), "203.0.113.5:7");
	/* the same client from another port of the proxy: the same conn, with another way */
	conn_whole(conn, 1000);
	assert_string_equal(handed_on(3, BYTES(FOUR "hello")), "203.0.113.4:50112");
	assert_ptr_equal(world.last, conn);
	assert_memory_equal(conn->way, &b, sizeof(b));
	assert_int_equal(conn->credit, 5); /* what came the other way allows no answers this way */
	/* a port that was silent for as long as a unit may be is not remembered */
	world.names = false;
	passes(world.config.listen.udp_timeout + 1, &world.conns->tick);
	turns();
	assert_int_equal(conns_count(world.conns), 0);
	assert_string_equal(handed_on(3, BYTES("hello")), "192.0.2.9:3");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(what_is_not_used_comes_again),
		TEST(silence_is_told_twice),
		TEST(no_room_is_not_read),
		TEST(too_fast_waits_a_moment),
		TEST(what_nobody_understands_ends),
		TEST(answers_leave_before_the_end),
		TEST(last_words),
		TEST(silent_ones_end),
		TEST(datagrams_of_a_peer),
		TEST(connections_of_an_address),
		TEST(no_place_but_for_known_units),
		TEST(header_of_a_proxy),
		TEST(header_in_a_datagram),
		TEST(bad_headers_in_datagrams),
		TEST(clients_of_a_proxy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
