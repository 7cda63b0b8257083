// SPDX-License-Identifier: MIT
/* test_collect: turns are as far apart as the bound allows while they carry little, and close together while they carry much. */
#include "harness.h"

#include "bridge/base/collect.h"
#include "bridge/base/stats.h"

struct flow {
	uint64_t arrived, put, taken; /* a second */
	unsigned owed;                /* so many units send again when they are answered */
};

/* How long the loop collects after a while. */
static int64_t settled(struct flow f, int64_t most_us)
{
	struct collect c = {0};
	int64_t us = most_us;
	double arrived = 0, put = 0, taken = 0;
	for (unsigned i = 0; i < 200; i++) {
		arrived += f.owed > 0 ? f.owed : (double)f.arrived * (double)us / 1e6;
		put += f.owed > 0 ? f.owed : (double)f.put * (double)us / 1e6;
		taken += (double)f.taken * (double)us / 1e6;
		const struct load load = {(uint64_t)arrived, (uint64_t)put, (uint64_t)taken};
		us = collect_next(&c, load, most_us);
		assert_in_range(us, 0, most_us);
	}
	return us;
}

static void test_little(void **state)
{
	(void)state;
	assert_int_equal(settled((struct flow){0}, 5000), 5000);
	assert_int_equal(settled((struct flow){1000, 1000, 1000, 0}, 5000), 5000);
	assert_int_equal(settled((struct flow){5000, 5000, 5000, 0}, 5000), 5000);
}

static void test_much(void **state)
{
	(void)state;
	assert_int_equal(settled((struct flow){.owed = 200}, 5000), COLLECT_LEAST_US);
	assert_int_equal(
		settled((struct flow){.taken = 40000}, 5000), COLLECT_LEAST_US); /* a backlog is published */
	assert_int_equal(settled((struct flow){.put = 40000}, 5000), COLLECT_LEAST_US); /* the broker is away */
	assert_int_equal(settled((struct flow){.arrived = 40000}, 5000), COLLECT_LEAST_US); /* strangers */
	assert_true(settled((struct flow){10000, 10000, 10000, 0}, 5000) < 5000);
}

/* A lower bound holds, whatever the load; a higher one is reached by and by, not at once. */
static void test_bound(void **state)
{
	(void)state;
	assert_int_equal(settled((struct flow){1000, 1000, 1000, 0}, 0), 0);
	assert_int_equal(settled((struct flow){.owed = 200}, 1000), 1000);
	assert_int_equal(settled((struct flow){100, 100, 100, 0}, 100000), 100000);
	struct collect c = {0};
	assert_true(collect_next(&c, (struct load){1, 1, 0}, 100000) < 100000);
}

/* Whoever comes is counted, welcome or not. */
static void test_arrived(void **state)
{
	(void)state;
	struct stats s = {0};
	assert_int_equal(stats_arrived(&s), 0);
	stats_add(&s, STAT_ACCEPTED, 1);
	stats_add(&s, STAT_FRAMES, 10);
	stats_add(&s, STAT_REFUSED_CONNECTIONS, 100);
	stats_add(&s, STAT_REFUSED_OUTBOX_SHARE, 1000);
	stats_add(&s, STAT_RECORDS, 10); /* frames already */
	s.rejected[CODEC_BAD_CHECKSUM] = 10000;
	assert_int_equal(stats_arrived(&s), 11111);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_little),
		cmocka_unit_test(test_much),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_arrived),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
