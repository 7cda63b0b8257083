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

/* Answers leave when the flush that has what they answer has ended; those behind it wait for the next one. */
static void test_answers_wait_for_their_flush(void **state)
{
	(void)state;
	struct conn *a = connects(1, false), *b = connects(2, false);
	conn_unit_came(a, false);
	conn_unit_came(b, false);
	conn_answer(a, span_text("a1."), false);
	conns_flushed(world.conns, 1, 0); /* flush 1 begins */
	conns_flush(world.conns, false);
	conn_answer(a, span_text("a2."), false);
	conn_answer(b, span_text("b2."), false);
	conns_flushed(world.conns, 1, 0);
	conns_flush(world.conns, false);
	assert_string_equal(world.wire, "");
	conns_flushed(world.conns, 2, 1); /* it has ended, and flush 2 begins */
	conn_answer(b, span_text("b3."), false);
	conns_flush(world.conns, false);
	assert_string_equal(world.wire, "a1.");
	conns_flushed(world.conns, 0, 1); /* flush 2 fails */
	conns_flush(world.conns, false);
	conns_flushed(world.conns, 0, 3); /* flush 3 has not all of it */
	conns_flush(world.conns, false);
	assert_string_equal(world.wire, "a1.");
	conns_flushed(world.conns, 4, 3);
	conns_flush(world.conns, false);
	conns_flushed(world.conns, 0, 4);
	conns_flush(world.conns, false);
	assert_string_equal(world.wire, "a1.a2.b2.b3.");
	assert_int_equal(world.stats.count[STAT_ACKS], 4);
	conn_answer(a, span_text("a4."), false);
	conns_flushed(world.conns, 5, 4);
	conns_flush(world.conns, false);
	conns_flushed(world.conns, 0, 6); /* all is safe, whatever its number */
	conns_flush(world.conns, true);
	assert_string_equal(world.wire, "a1.a2.b2.b3.a4.");
}

static void nobody_cares(void *ctx, uint64_t id, bool ok, struct moment now)
{
	(void)ctx;
	(void)id;
	(void)ok;
	(void)now;
}

/* A command goes out while answers wait for the disk, also a second one; but never into the middle of what is safe. */
static void test_commands_do_not_wait_for_the_disk(void **state)
{
	(void)state;
	struct conn *conn = connects(1, false);
	conn_unit_came(conn, false);
	conn_answer(conn, span_text("one."), false);
	conns_flushed(world.conns, 1, 0);
	conns_flush(world.conns, false);
	for (uint64_t id = 1; id <= 2; id++) {
		assert_true(conn_command(conn, conn, span_text("do."), nobody_cares, NULL, id));
		conns_flush(world.conns, false);
		passes(1000, &world.conns->pace);
	}
	assert_string_equal(world.wire, "do.do.");
	conns_flushed(world.conns, 0, 1);
	conns_flush(world.conns, false);
	assert_string_equal(world.wire, "do.do.one.");
}

/* A peer whose answers wait is not read when they are many, and read again when they have left. */
static void test_many_answers_wait_for_the_disk(void **state)
{
	(void)state;
	struct conn *conn = connects(1, false);
	char answer[1001];
	unsigned answers = 0;
	conn_unit_came(conn, false);
	memset(answer, 'x', 1000);
	answer[1000] = '\0';
	conns_flushed(world.conns, 1, 0);
	conn->recognized = true;
	while (world.socket[conn->peer.fd].watched && answers < 60) {
		assert_true(conn_answer(conn, span_text(answer), false) != CONN_REFUSED);
		answers++;
		says(conn, "hello");
	}
	assert_in_range(answers, 32, 40); /* of 64 K, half */
	conns_flushed(world.conns, 2, 0);
	conns_flush(world.conns, false);
	assert_string_equal(world.wire, "");
	world.wire[0] = '\0';
	conns_flushed(world.conns, 0, 2);
	assert_true(world.socket[conn->peer.fd].watched);
}

/* Who was taken over hears its last answer when the disk has answered, but is not waited for for ever. */
static void test_last_words_wait_for_the_disk(void **state)
{
	(void)state;
	struct conn *a = connects(1, false), *b = connects(2, false);
	conn_unit_came(a, false);
	conn_unit_came(b, false);
	conn_answer(a, span_text("a."), false);
	conns_flushed(world.conns, 1, 0);
	conns_flush(world.conns, false);
	conn_close_after_last_words(a, "taken over");
	conns_reap(world.conns);
	conns_flush(world.conns, false);
	assert_false(conn_is_closed(a));
	conns_flushed(world.conns, 0, 1);
	conns_flush(world.conns, false);
	assert_string_equal(world.wire, "a.");
	assert_true(conn_is_closed(a));
	conn_answer(b, span_text("b."), false);
	conns_flushed(world.conns, 2, 1);
	conn_close_after_last_words(b, "taken over");
	conns_reap(world.conns);
	conns_flush(world.conns, false);
	assert_false(conn_is_closed(b));
	passes(10000, &world.conns->tick);
	conns_reap(world.conns);
	assert_int_equal(world.ends, 2);
	assert_string_equal(world.wire, "a.");
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
		TEST(answers_wait_for_their_flush),
		TEST(commands_do_not_wait_for_the_disk),
		TEST(many_answers_wait_for_the_disk),
		TEST(last_words_wait_for_the_disk),
		TEST(last_words),
		TEST(silent_ones_end),
		TEST(datagrams_of_a_peer),
		TEST(connections_of_an_address),
		TEST(no_place_but_for_known_units),
		TEST(header_of_a_proxy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
