// SPDX-License-Identifier: MIT
/* test_conn_disk: answers that wait for the disk, and what does not wait for it; with sockets, an owner and a clock of the test. */
#include "conn_world.h"

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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(answers_wait_for_their_flush),
		TEST(commands_do_not_wait_for_the_disk),
		TEST(many_answers_wait_for_the_disk),
		TEST(last_words_wait_for_the_disk),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
