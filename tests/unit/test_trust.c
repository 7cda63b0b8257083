// SPDX-License-Identifier: MIT
/* test_trust: who is trusted, who is remembered for how long; with connections and a clock of the test's own. */
#include "session_world.h"

#define A "9000000001"
#define B "9000000002"
#define C "9000000003"

/* --- trust --- */

static void crowd(void)
{
	struct conn *conn = calloc(50, sizeof(*conn));
	assert_non_null(conn);
	for (unsigned i = 0; i < 50; i++) {
		char ident[16];
		snprintf(ident, sizeof(ident), "80000000%02u", i);
		conn[i] = connection(3, false);
		says(&conn[i], ident);
		assert_true(session_find(world.sessions, span_text(ident))->trusted);
		ends(&conn[i]);
	}
	free(conn);
}

static void test_trust_is_earned(void **state)
{
	(void)state;
	struct conn conn = connection(HOME, false);
	crowd();
	says(&conn, A);
	const struct session *session = session_find(world.sessions, span_text(A));
	assert_false(session->trusted);
	for (unsigned i = 0; i < 20; i++) { /* much at once is one report */
		pass(900);
		says(&conn, A);
	}
	assert_int_equal(session->reports, 1);
	pass(20000);
	says(&conn, A);
	pass(20000);
	says(&conn, A);
	pass(20000);
	says(&conn, A);
	assert_int_equal(session->reports, 4);
	assert_false(session->trusted); /* two minutes have not passed */
	pass(60000);
	says(&conn, A);
	assert_true(session->trusted);
}

static void test_units_file_is_trusted(void **state)
{
	(void)state;
	struct conn conn = connection(HOME, false);
	crowd();
	use_units("[" A "]\nname = A\n", false);
	says(&conn, A);
	says(&conn, B);
	assert_true(session_find(world.sessions, span_text(A))->trusted);
	assert_false(session_find(world.sessions, span_text(B))->trusted);
}

/* --- who is remembered --- */

static bool is_remembered(const char *ident)
{
	return session_codec(world.sessions, span_text(ident)) != NULL;
}

static void test_gone_for_long_is_forgotten(void **state)
{
	(void)state;
	struct conn conn = connection(HOME, false), later = connection(HOME, false);
	use_units("[" C "]\nname = C\n", false);
	world.config.units.remember = 100000;
	says(&conn, A);
	says(&conn, C);
	ends(&conn);
	pass(1);
	says(&later, B);
	ends(&later);
	pass(100000);
	sessions_tick(world.sessions, world.now);
	assert_int_equal(world.forgotten, 1); /* A alone: of B, one ms is missing */
	assert_string_equal(world.ident, A);
	assert_false(is_remembered(A));
	pass(1);
	world.no_store = true;
	sessions_tick(world.sessions, world.now);
	assert_true(is_remembered(B)); /* until it could be told */
	world.no_store = false;
	sessions_tick(world.sessions, world.now);
	assert_false(is_remembered(B));
	assert_true(is_remembered(C)); /* of the units file */
	assert_int_equal(world.forgotten, 2);
}

/* More are remembered than may be: the one that has been gone longest goes, whatever the clock said then. */
static void test_memory_is_bounded(void **state)
{
	(void)state;
	struct conn conn = connection(HOME, false);
	world.config.units.remembered = 2;
	sessions_remember(world.sessions, span_text(A), 0, TEST_NOW_MS - 1000);
	sessions_remember(world.sessions, span_text(B), 0, TEST_NOW_MS - 2000);
	use_units("", false); /* sorts them */
	says(&conn, C);
	assert_false(session_find(world.sessions, span_text(C))->trusted); /* no place */
	sessions_tick(world.sessions, world.now);
	assert_int_equal(world.forgotten, 0);
	world.config.units.remembered = 1;
	sessions_tick(world.sessions, world.now);
	assert_int_equal(world.forgotten, 1);
	assert_string_equal(world.ident, B);
	pass(24 * 3600 * 1000LL); /* it keeps its place for a day, then it gives it up */
	sessions_tick(world.sessions, world.now);
	assert_int_equal(world.forgotten, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(trust_is_earned),
		TEST(units_file_is_trusted),
		TEST(gone_for_long_is_forgotten),
		TEST(memory_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
