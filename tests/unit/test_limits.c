// SPDX-License-Identifier: MIT
/* test_limits: who gives way when there is no place left: who holds most of what can be given up. */
#include "harness.h"

#include "bridge/peers/conn_private.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PEERS 64

static struct {
	struct config config;
	struct stats stats;
	struct ev_loop *loop;
	struct sources *sources;
	struct conns *conns;
	int ends[PEERS];
	unsigned count, ended;
} world;

/* An owner that uses up all and keeps nothing. */
static size_t input(void *ctx, struct conn *conn, struct span bytes, int32_t quiet_ms, struct moment now,
	enum input_end *end)
{
	(void)ctx;
	(void)conn;
	(void)quiet_ms;
	(void)now;
	*end = INPUT_DONE;
	return bytes.len;
}

static void datagram(void *ctx, struct conn *conn, struct span bytes)
{
	(void)ctx;
	(void)conn;
	(void)bytes;
}

static void ended(void *ctx, struct conn *conn, const char *reason, struct span rest, struct moment now)
{
	(void)ctx;
	(void)conn;
	(void)rest;
	(void)now;
	assert_non_null(reason);
	world.ended++;
}

static bool expects_units(const void *ctx)
{
	(void)ctx;
	return false;
}

static void begin(int64_t connections, int64_t units)
{
	static const struct conn_ops ops = {NULL, 0, 300, 3000, expects_units, datagram, input, ended};
	memset(&world, 0, sizeof(world));
	config_init(&world.config);
	world.config.listen.max_connections = connections;
	world.config.limits.units = units;
	world.loop = ev_loop_new(EVFLAG_AUTO);
	world.sources = sources_open(&world.stats);
	world.conns = conns_open(world.loop, &world.config, &ops, world.sources, &world.stats);
	assert_non_null(world.conns);
}

static void finish(void)
{
	conns_free(world.conns);
	assert_int_equal(world.ended, world.count);
	for (unsigned i = 0; i < world.count; i++)
		close(world.ends[i]);
	sources_free(world.sources);
	ev_loop_destroy(world.loop);
	config_free(&world.config);
}

static union address address_of(unsigned host, unsigned port)
{
	char text[ADDRESS_TEXT_MAX];
	union address a;
	snprintf(text, sizeof(text), "192.0.2.%u:%u", host, port);
	assert_true(address_parse(text, &a));
	return a;
}

static struct source *source(unsigned host)
{
	union address a = address_of(host, 1);
	return source_find(world.sources, &a);
}

/* A TCP connection of 192.0.2.host. */
static struct conn *connects(unsigned host)
{
	int pair[2];
	union address a = address_of(host, 1000 + world.count);
	assert_true(world.count < PEERS);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	world.ends[world.count++] = pair[0];
	conns_accept(world.conns, pair[1], &a, NULL, false);
	assert_non_null(world.conns->idle_fresh);
	return world.conns->idle_fresh->idle.prev;
}

/* So many units come on line there. */
static void comes(struct conn *conn, unsigned strangers, unsigned known)
{
	for (unsigned i = 0; i < known; i++)
		conn_unit_came(conn, true);
	for (unsigned i = 0; i < strangers; i++)
		conn_unit_came(conn, false);
}

/* What stands in the shares is what these connections can give up. */
static void holds(unsigned host, uint32_t conns, uint32_t units, uint32_t strangers)
{
	assert_int_equal(source(host)->conns.count, conns);
	assert_int_equal(source(host)->units.count, units);
	assert_int_equal(source(host)->strangers, strangers);
}

static void test_units_beside_a_known_one_are_no_share(void **state)
{
	(void)state;
	begin(100, 100);
	struct conn *conn = connects(1);
	comes(conn, 5, 0);
	holds(1, 1, 5, 5);
	conn_unit_came(conn, true);
	holds(1, 0, 0, 5);
	conn_unit_came(conn, false);
	holds(1, 0, 0, 6);
	conn_unit_left(conn, true);
	holds(1, 1, 6, 6);
	conn_unit_changes(conn, true);
	holds(1, 0, 0, 5);
	conn_unit_changes(conn, false);
	holds(1, 1, 6, 6);
	conn_unit_left(conn, false);
	holds(1, 1, 5, 5);
	conn_close(conn, "test");
	holds(1, 0, 0, 0);
	finish();
}

/* The one that holds most holds it where it never gives way: the next one gives. */
static void test_most_is_most_of_what_can_give_way(void **state)
{
	(void)state;
	begin(100, 60);
	struct conn *kept = connects(1), *small = connects(1), *large = connects(2), *fresh = connects(3);
	comes(kept, 40, 1);
	comes(small, 2, 0);
	comes(large, 18, 0);
	assert_int_equal(conn_take_places(fresh), STAT_COUNT);
	assert_true(conn_is_going(large));
	assert_false(conn_is_going(kept) || conn_is_going(small));
	finish();
}

/* Who holds much beside a known unit takes nothing from those that hold little. */
static void test_units_beside_a_known_one_count_for_who_asks(void **state)
{
	(void)state;
	begin(100, 44);
	struct conn *kept = connects(1), *other = connects(2);
	comes(kept, 40, 1);
	comes(other, 4, 0);
	assert_int_equal(conn_take_places(kept), STAT_REFUSED_UNITS);
	assert_false(conn_is_going(other));
	assert_int_equal(conn_take_places(connects(3)), STAT_COUNT);
	assert_true(conn_is_going(other));
	finish();
}

/* The newest connection of who holds most. */
static void test_newest_place_gives_way(void **state)
{
	(void)state;
	begin(4, 100);
	struct conn *first = connects(1), *second = connects(1), *third = connects(1), *one = connects(2);
	comes(first, 1, 0);
	comes(second, 1, 0);
	comes(third, 1, 0);
	comes(one, 1, 0);
	assert_int_equal(conn_take_places(connects(3)), STAT_COUNT);
	assert_true(conn_is_going(third));
	assert_false(conn_is_going(first) || conn_is_going(second) || conn_is_going(one));
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_units_beside_a_known_one_are_no_share),
		cmocka_unit_test(test_most_is_most_of_what_can_give_way),
		cmocka_unit_test(test_units_beside_a_known_one_count_for_who_asks),
		cmocka_unit_test(test_newest_place_gives_way),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
