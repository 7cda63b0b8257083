// SPDX-License-Identifier: MIT
/* test_collect: turns are as far apart as the bound allows while they carry little, and close together while they carry much. */
#include "harness.h"

#include "bridge/base/collect.h"

/* So many messages a second are put and taken, or as many as `owed` units send that wait for their answers: how long the loop collects. */
static int64_t settled(uint64_t in, uint64_t out, unsigned owed, int64_t most_us)
{
	struct collect c = {0};
	int64_t us = most_us;
	double put = 0, taken = 0;
	for (unsigned i = 0; i < 200; i++) {
		put += owed > 0 ? owed : (double)in * (double)us / 1e6;
		taken += (double)out * (double)us / 1e6;
		us = collect_next(&c, (uint64_t)put, (uint64_t)taken, most_us);
		assert_in_range(us, 0, most_us);
	}
	return us;
}

static void test_little(void **state)
{
	(void)state;
	assert_int_equal(settled(0, 0, 0, 5000), 5000);
	assert_int_equal(settled(1000, 1000, 0, 5000), 5000);
	assert_int_equal(settled(5000, 5000, 0, 5000), 5000);
}

static void test_much(void **state)
{
	(void)state;
	assert_int_equal(settled(0, 0, 200, 5000), COLLECT_LEAST_US);   /* units as fast as they are answered */
	assert_int_equal(settled(0, 40000, 0, 5000), COLLECT_LEAST_US); /* a backlog is published */
	assert_int_equal(settled(40000, 0, 0, 5000), COLLECT_LEAST_US); /* the broker is away */
	assert_true(settled(10000, 10000, 0, 5000) < 5000);
}

/* A lower bound holds, whatever the load; a higher one is reached by and by, not at once. */
static void test_bound(void **state)
{
	(void)state;
	assert_int_equal(settled(1000, 1000, 0, 0), 0);
	assert_int_equal(settled(0, 0, 200, 1000), 1000);
	assert_int_equal(settled(100, 100, 0, 100000), 100000);
	struct collect c = {0};
	assert_true(collect_next(&c, 1, 0, 100000) < 100000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_little),
		cmocka_unit_test(test_much),
		cmocka_unit_test(test_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
