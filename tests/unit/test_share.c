// SPDX-License-Identifier: MIT
/* test_share: who holds most of a pool gives way first, whatever comes and goes. */
#include "harness.h"
#include "bridge/peers/share.h"

#include <stdlib.h>
#include <utlist.h>

#define HOLDERS 60

static unsigned level_of(uint32_t count)
{
	unsigned level = 0;
	while (count > 1) {
		count /= 2;
		level++;
	}
	return level;
}

/* Each holder stands once in the list of its power of two, who holds nothing in none. */
static void see(const struct shares *shares, const struct share *holder, size_t n)
{
	size_t standing = 0, holding = 0;
	for (unsigned level = 0; level < 32; level++) {
		const struct share *s;
		DL_FOREACH(shares->level[level], s) {
			assert_true(s >= holder && s < holder + n);
			assert_int_equal(level_of(s->count), level);
			assert_true(s->count > 0);
			standing++;
		}
	}
	for (size_t i = 0; i < n; i++)
		holding += holder[i].count > 0;
	assert_int_equal(standing, holding);
}

static uint32_t most(const struct share *holder, size_t n)
{
	uint32_t found = 0;
	for (size_t i = 0; i < n; i++)
		found = holder[i].count > found ? holder[i].count : found;
	return found;
}

/* What is found holds more than who asks, two at least, and half of the heaviest at least; nothing is found only when nobody has twice
 * as much, or one more than 1. */
static void ask(const struct shares *shares, const struct share *holder, size_t n, uint32_t count)
{
	const struct share *found = shares_heavier(shares, count);
	uint32_t heaviest = most(holder, n);
	if (found != NULL) {
		assert_true(found->count > count && found->count >= 2);
		assert_true(2 * (uint64_t)found->count > heaviest);
	} else {
		assert_true(heaviest < 2 || heaviest < 2 * (uint64_t)count);
	}
	/* one after the other, each once: all that hold clearly more */
	size_t all = 0, there = 0;
	unsigned before = 32;
	for (; found != NULL; found = shares_next(shares, found, count), all++) {
		assert_true(level_of(found->count) <= before);
		before = level_of(found->count);
	}
	for (size_t i = 0; i < n; i++)
		there += holder[i].count >= 2 && (count == 0 || level_of(holder[i].count) > level_of(count));
	assert_int_equal(all, there);
}

static void test_any_changes(void **state)
{
	struct shares shares = {0};
	struct share holder[HOLDERS] = {{0}};
	(void)state;
	srand(7);
	for (int round = 0; round < 20000; round++) {
		struct share *s = &holder[rand() % HOLDERS];
		int64_t by = rand() % 4 == 0 ? rand() % 3000 : 1 + rand() % 3;
		if (rand() % 2 == 0) /* away: a few, or all */
			by = rand() % 8 == 0 ? -(int64_t)s->count : -(by < s->count ? by : (int64_t)s->count);
		uint32_t before = s->count;
		share_change(&shares, s, by);
		assert_int_equal((int64_t)s->count, (int64_t)before + by);
		see(&shares, holder, HOLDERS);
		ask(&shares, holder, HOLDERS, holder[rand() % HOLDERS].count);
	}
	for (size_t i = 0; i < HOLDERS; i++)
		share_change(&shares, &holder[i], -(int64_t)holder[i].count);
	see(&shares, holder, HOLDERS);
	assert_null(shares_heavier(&shares, 0));
}

/* A home with a few never gives way to an attacker; an attacker with many gives way to the home, and two with as much leave each other
 * alone. */
static void test_who_gives_way(void **state)
{
	struct shares shares = {0};
	struct share home = {0}, neighbour = {0}, attacker = {0};
	(void)state;
	share_change(&shares, &home, 3);
	share_change(&shares, &neighbour, 2);
	assert_null(shares_heavier(&shares, 2)); /* 3 is not clearly more than 2 */
	assert_ptr_equal(shares_heavier(&shares, 1), &home);
	share_change(&shares, &attacker, 1000);
	assert_ptr_equal(shares_heavier(&shares, home.count), &attacker);
	assert_null(shares_heavier(&shares, attacker.count));
	share_change(&shares, &attacker, -998);
	assert_null(shares_heavier(&shares, home.count));
}

/* One of one is nobody who could give way: an address always may have one. */
static void test_single_ones(void **state)
{
	struct shares shares = {0};
	struct share holder[5] = {{0}};
	(void)state;
	for (size_t i = 0; i < 5; i++)
		share_change(&shares, &holder[i], 1);
	assert_null(shares_heavier(&shares, 0));
	share_change(&shares, &holder[4], 1);
	assert_ptr_equal(shares_heavier(&shares, 0), &holder[4]);
	assert_null(shares_heavier(&shares, 2));
}

static void test_largest(void **state)
{
	struct shares shares = {0};
	struct share all = {0}, one = {0};
	(void)state;
	share_change(&shares, &all, UINT32_MAX);
	share_change(&shares, &one, 1);
	assert_ptr_equal(shares_heavier(&shares, 1), &all);
	assert_null(shares_heavier(&shares, UINT32_MAX));
	share_change(&shares, &all, -(int64_t)UINT32_MAX);
	assert_null(shares_heavier(&shares, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_changes),
		cmocka_unit_test(test_who_gives_way),
		cmocka_unit_test(test_single_ones),
		cmocka_unit_test(test_largest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
