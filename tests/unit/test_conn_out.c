// SPDX-License-Identifier: MIT
/* test_conn_out: what one peer is owed: answers behind the disk, commands alone and with silence around them, both in turns; what
 * happens when the socket takes only a part. The socket and the clock are the test's own. */
#include "harness.h"

#include "bridge/peers/conn_private.h"

#include <stdlib.h>

#define GAP 800
#define ALL SIZE_MAX

/* --- what stands around conn_out --- */

static struct {
	struct config config;
	struct stats stats;
	int64_t now_ms;
	size_t takes;              /* so many bytes of the next send; ALL */
	bool broken, kernel_holds; /* the next send fails; bytes of the last one wait */
	char wire[4096];           /* all that was sent; a `|` behind each send */
	unsigned wants_room, refused[STAT_COUNT];
	unsigned went, failed; /* commands */
	uint64_t last_id;
} world;

static struct conns *conns;

struct moment conns_now(const struct conns *c)
{
	assert_ptr_equal(c, conns);
	return (struct moment){TEST_NOW_MS + world.now_ms, world.now_ms};
}

void conn_refused(struct conn *conn, enum counter reason)
{
	assert_ptr_equal(conn->conns, conns);
	world.refused[reason]++;
}

enum sent conn_send(struct conn *conn, const uint8_t *bytes, size_t len, size_t *gone)
{
	*gone = 0;
	if (world.broken)
		return SENT_NEVER;
	*gone = len < world.takes ? len : world.takes;
	if (conn->udp && *gone < len)
		*gone = 0;
	strncat(world.wire, (const char *)bytes, *gone);
	if (*gone > 0)
		strcat(world.wire, "|");
	return *gone == len ? SENT_ALL : SENT_LATER;
}

bool conn_kernel_holds(const struct conn *conn)
{
	return !conn->udp && world.kernel_holds;
}

void conn_listen(struct conn *conn, bool writable)
{
	assert_false(conn->udp);
	world.wants_room += writable;
}

static void on_sent(void *ctx, uint64_t id, bool ok, struct moment now)
{
	assert_ptr_equal(ctx, &world);
	assert_int_equal(now.steady_ms, world.now_ms);
	world.went += ok;
	world.failed += !ok;
	world.last_id = id;
}

static int set_up(void **state)
{
	(void)state;
	memset(&world, 0, sizeof(world));
	config_init(&world.config);
	world.config.commands.gap = GAP;
	world.config.limits.output = 8192;
	world.now_ms = 1000000;
	world.takes = ALL;
	conns = calloc(1, sizeof(*conns));
	assert_non_null(conns);
	conns->config = &world.config;
	conns->stats = &world.stats;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	assert_int_equal(conns->owed, 0);
	assert_null(conns->work);
	buffers_free(&conns->buffers);
	free(conns);
	config_free(&world.config);
	return 0;
}

static struct conn *peer(bool udp)
{
	char text[] = "192.0.2.1:7000";
	struct conn *conn = calloc(1, sizeof(*conn));
	assert_non_null(conn);
	conn->conns = conns;
	conn->udp = udp;
	assert_true(address_parse(text, &conn->peer.addr));
	return conn;
}

/* It ends, as conn_end does it. */
static void end(struct conn *conn)
{
	conn_leave_work(conn);
	conn_drop_commands(conn);
	assert_null(conn->commands);
	conn_free_output(conn);
	free(conn);
}

static bool answer(struct conn *conn, const char *text)
{
	return conn_answer(conn, span_text(text), false) != CONN_REFUSED;
}

static void command(struct conn *conn, const void *whose, const char *text, uint64_t id)
{
	assert_true(conn_command(conn, whose, span_text(text), on_sent, &world, id));
}

/* One turn after so many ms. In how many ms is the next one due? 0: not by itself; -1: it is broken. */
static int64_t turn(struct conn *conn, int64_t ms, bool stored)
{
	world.now_ms += ms;
	int64_t again = conn_work(conn, stored, world.now_ms);
	return again > 0 ? again - world.now_ms : again;
}

static void sees(const char *wire)
{
	assert_string_equal(world.wire, wire);
}

/* --- answers --- */

static void test_answers_wait_for_the_disk(void **state)
{
	(void)state;
	struct conn *conn = peer(false);
	assert_true(answer(conn, "one."));
	assert_true(conn->work.line == &conns->work);
	assert_int_equal(turn(conn, 0, false), 10);
	sees("");
	assert_true(answer(conn, "two."));
	assert_int_equal(turn(conn, 0, true), 0);
	sees("one.two.|");
	assert_int_equal(world.stats.count[STAT_ACKS], 2);
	end(conn);
}

/* What came behind the last commit waits for the next one. */
static void test_only_what_is_stored_goes(void **state)
{
	(void)state;
	struct conn *conn = peer(false);
	world.takes = 0;
	assert_true(answer(conn, "one."));
	assert_int_equal(turn(conn, 0, true), 0);
	assert_int_equal(world.wants_room, 1);
	assert_true(answer(conn, "two."));
	world.takes = ALL;
	turn(conn, 0, false);
	sees("one.|");
	assert_int_equal(world.stats.count[STAT_ACKS], 1);
	turn(conn, 0, true);
	sees("one.|two.|");
	assert_int_equal(world.stats.count[STAT_ACKS], 2);
	end(conn);
}

static void test_answers_stand_where_they_were_put(void **state)
{
	(void)state;
	for (int udp = 0; udp < 2; udp++) {
		struct conn *conn = peer(udp);
		conn_add_credit(conn, 100);
		size_t a = conn_answer(conn, span_text("first"), false);
		size_t b = conn_answer(conn, span_text("second"), false);
		assert_true(span_is(conn_answered(conn, a, 5), "first"));
		assert_true(span_is(conn_answered(conn, b, 6), "second"));
		world.wire[0] = '\0';
		turn(conn, 0, true);
		sees(udp ? "first|second|" : "firstsecond|"); /* each a datagram of its own */
		end(conn);
	}
}

static void test_what_is_refused_is_not_owed(void **state)
{
	(void)state;
	struct conn *conn = peer(false);
	char text[1000];
	memset(text, 'a', sizeof(text));
	unsigned taken = 0;
	while (conn_answer(conn, span_of(text, sizeof(text)), false) != CONN_REFUSED)
		taken++;
	assert_int_equal(taken, 8);
	assert_int_equal(world.refused[STAT_REFUSED_OUTPUT], 1);
	assert_int_equal(conn->answers, 8);
	end(conn);
	conn = peer(false);
	conn->leaving = "test";
	assert_false(answer(conn, "one."));
	assert_null(conn->work.line);
	end(conn);
}

/* --- over UDP --- */

static void test_no_more_is_answered_than_was_sent(void **state)
{
	(void)state;
	struct conn *conn = peer(true);
	conn_add_credit(conn, 10);
	assert_true(answer(conn, "12345678"));
	assert_false(answer(conn, "123"));
	assert_int_equal(world.refused[STAT_REFUSED_UDP_ANSWER], 1);
	conn_whole(conn, 5); /* three times as much in all */
	assert_true(answer(conn, "123456789012"));
	assert_false(answer(conn, "1"));
	turn(conn, 0, true);
	sees("12345678|123456789012|");
	end(conn);
}

/* Also of a peer that has gone and come again: two servers would answer each other for ever. */
static void test_echo_leaves_once_in_a_while(void **state)
{
	(void)state;
	struct conn *conn = peer(true), *again = peer(true), *tcp = peer(false);
	conn_add_credit(conn, 1000);
	conn_add_credit(again, 1000);
	assert_true(conn_answer(conn, span_text("ping"), true) != CONN_REFUSED);
	assert_true(conn_answer(conn, span_text("ping"), true) == CONN_REFUSED);
	assert_true(conn_answer(again, span_text("ping"), true) == CONN_REFUSED);
	assert_true(conn_answer(conn, span_text("pong"), false) != CONN_REFUSED);
	world.now_ms += 4999;
	assert_true(conn_answer(again, span_text("ping"), true) == CONN_REFUSED);
	world.now_ms += 1;
	assert_true(conn_answer(again, span_text("ping"), true) != CONN_REFUSED);
	assert_true(conn_answer(tcp, span_text("ping"), true) != CONN_REFUSED);
	assert_true(conn_answer(tcp, span_text("ping"), true) != CONN_REFUSED);
	end(conn);
	end(again);
	end(tcp);
}

static void test_datagram_waits_whole(void **state)
{
	(void)state;
	struct conn *conn = peer(true);
	conn_add_credit(conn, 100);
	assert_true(answer(conn, "one.") && answer(conn, "two."));
	world.takes = 3;
	assert_int_equal(turn(conn, 0, true), 10);
	sees("");
	world.takes = ALL;
	assert_int_equal(turn(conn, 10, false), 0);
	sees("one.|two.|");
	end(conn);
}

/* --- commands --- */

static void test_command_is_alone(void **state)
{
	(void)state;
	struct conn *conn = peer(false);
	assert_true(answer(conn, "one."));
	command(conn, &world, "CMD", 7);
	assert_int_equal(turn(conn, 0, true), GAP);
	sees("one.|");
	turn(conn, GAP - 1, true);
	sees("one.|");
	turn(conn, 1, true);
	sees("one.|CMD|");
	assert_int_equal(world.went, 1);
	assert_int_equal(world.last_id, 7);
	assert_true(answer(conn, "two."));
	assert_int_equal(turn(conn, 1, true), GAP - 1);
	sees("one.|CMD|");
	assert_int_equal(turn(conn, GAP - 1, true), 0);
	sees("one.|CMD|two.|");
	end(conn);
	assert_int_equal(world.failed, 0);
}

/* Neither a talkative unit nor a row of commands starves the other. */
static void test_answers_and_commands_take_turns(void **state)
{
	(void)state;
	struct conn *conn = peer(false);
	command(conn, &world, "C1", 1);
	command(conn, &world, "C2", 2);
	command(conn, &world, "C3", 3);
	for (unsigned i = 0; i < 6; i++) {
		assert_true(answer(conn, "a"));
		turn(conn, GAP, true);
	}
	sees("a|C1|aa|C2|aa|C3|");
	turn(conn, GAP, true);
	sees("a|C1|aa|C2|aa|C3|a|");
	end(conn);
}

static void test_command_waits_for_the_kernel(void **state)
{
	(void)state;
	struct conn *conn = peer(false);
	command(conn, &world, "CMD", 1);
	world.kernel_holds = true;
	assert_int_equal(turn(conn, 5000, true), 10);
	sees("");
	world.kernel_holds = false;
	assert_int_equal(turn(conn, 10, true), 0);
	sees("CMD|");
	end(conn);
}

static void test_commands_end_once(void **state)
{
	(void)state;
	struct conn *conn = peer(false);
	int one, other;
	command(conn, &one, "C1", 1);
	command(conn, &other, "C2", 2);
	command(conn, &one, "C3", 3);
	conn_take_back(conn, 3);
	assert_int_equal(world.went + world.failed, 0);
	conn_forget(conn, &one);
	assert_int_equal(world.failed, 1);
	assert_int_equal(world.last_id, 1);
	conn_forget(conn, &one);
	assert_int_equal(world.failed, 1);
	turn(conn, GAP, true);
	sees("C2|");
	assert_int_equal(world.went, 1);
	command(conn, &other, "C4", 4);
	end(conn);
	assert_int_equal(world.failed, 2);
	assert_int_equal(world.last_id, 4);
}

/* --- a socket that takes only a part --- */

static void test_nothing_comes_between_halves_of_an_answer(void **state)
{
	(void)state;
	struct conn *conn = peer(false);
	assert_true(answer(conn, "0123456789"));
	command(conn, &world, "CMD", 1);
	world.takes = 4;
	assert_int_equal(turn(conn, GAP, true), 0);
	sees("0123|");
	world.takes = 0;
	turn(conn, GAP, true);
	assert_int_equal(world.wants_room, 2);
	world.takes = ALL;
	turn(conn, 10 * GAP, true); /* however long it takes */
	sees("0123|456789|");
	assert_int_equal(world.stats.count[STAT_ACKS], 1);
	turn(conn, GAP, true);
	sees("0123|456789|CMD|");
	end(conn);
}

static void test_a_full_socket_holds_no_half(void **state)
{
	(void)state;
	struct conn *conn = peer(false);
	assert_true(answer(conn, "one."));
	command(conn, &world, "CMD", 1);
	world.takes = 0;
	assert_int_equal(turn(conn, GAP, true), 0);
	assert_false(conn->partial);
	world.takes = ALL;
	turn(conn, GAP, true);
	sees("CMD|");
	turn(conn, GAP, true);
	sees("CMD|one.|");
	end(conn);
}

static void test_half_a_command_ends_the_connection(void **state)
{
	(void)state;
	struct conn *conn = peer(false);
	command(conn, &world, "CMD", 1);
	world.takes = 2;
	assert_int_equal(turn(conn, GAP, true), -1);
	sees("CM|");
	assert_int_equal(world.went + world.failed, 0);
	end(conn);
	assert_int_equal(world.failed, 1);
}

static void test_a_broken_socket_ends_the_connection(void **state)
{
	(void)state;
	struct conn *conn = peer(false);
	world.broken = true;
	assert_true(answer(conn, "one."));
	assert_int_equal(turn(conn, 0, true), -1);
	assert_int_equal(world.stats.count[STAT_ACKS], 0);
	end(conn);
}

/* --- TLS wants to write first --- */

/* Of what TLS has begun, it may hold a part already: the same bytes must come again, and nothing before them. */
static void test_tls_goes_on_with_what_it_began(void **state)
{
	(void)state;
	struct conn *conn = peer(false);
	conn->tls = (struct tls_link *)(void *)&world;
	assert_true(answer(conn, "one."));
	command(conn, &world, "CMD", 1);
	world.takes = 0;
	assert_int_equal(turn(conn, GAP, true), 0);
	assert_true(conn->partial);
	world.takes = ALL;
	turn(conn, GAP, true);
	sees("one.|");
	world.takes = 0;
	turn(conn, GAP, true); /* the command is begun */
	assert_true(conn->commands->begun);
	assert_true(answer(conn, "two."));
	turn(conn, 5, true);
	sees("one.|");
	world.takes = ALL;
	turn(conn, 10, true);
	sees("one.|CMD|");
	assert_int_equal(world.went, 1);
	assert_null(conn->commands);
	turn(conn, GAP, true);
	sees("one.|CMD|two.|");
	end(conn);
}

/* It cannot be undone, and no other bytes may follow: the connection has to end. */
static void tls_ends(bool taken_back)
{
	struct conn *conn = peer(false);
	conn->tls = (struct tls_link *)(void *)&world;
	command(conn, &world, "CMD", 1);
	world.takes = 0;
	turn(conn, GAP, true);
	world.takes = ALL;
	if (taken_back)
		conn_take_back(conn, 1);
	else
		conn_forget(conn, &world);
	assert_int_equal(turn(conn, GAP, true), -1);
	sees("");
	end(conn);
	assert_int_equal(world.failed, taken_back ? 0 : 1);
}

static void test_tls_cannot_undo_what_it_began(void **state)
{
	(void)state;
	tls_ends(true);
	tls_ends(false);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(answers_wait_for_the_disk),
		TEST(only_what_is_stored_goes),
		TEST(answers_stand_where_they_were_put),
		TEST(what_is_refused_is_not_owed),
		TEST(no_more_is_answered_than_was_sent),
		TEST(echo_leaves_once_in_a_while),
		TEST(datagram_waits_whole),
		TEST(command_is_alone),
		TEST(answers_and_commands_take_turns),
		TEST(command_waits_for_the_kernel),
		TEST(commands_end_once),
		TEST(nothing_comes_between_halves_of_an_answer),
		TEST(a_full_socket_holds_no_half),
		TEST(half_a_command_ends_the_connection),
		TEST(a_broken_socket_ends_the_connection),
		TEST(tls_goes_on_with_what_it_began),
		TEST(tls_cannot_undo_what_it_began),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
