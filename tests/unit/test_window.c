// SPDX-License-Identifier: MIT
/* test_window: the window to the broker finds its size: many for a far broker, few for a near one that is busy. */
#include "harness.h"
#include "bridge/broker/window.h"

static bool has_room(struct window *w, unsigned inflight)
{
	window_update(w, inflight);
	return !w->full;
}

/* A broker that acknowledges each message after `trip_us`, at most one every `each_us`; always enough to send. Returns how many
 * were on their way after `seconds`. */
static unsigned run(unsigned most, int64_t trip_us, int64_t each_us, int seconds)
{
	static int64_t due[1 << 16];
	struct window w;
	unsigned head = 0, tail = 0;
	int64_t now = 1000000, end = now + seconds * 1000000LL, free_us = now;
	window_open(&w, most);
	while (now < end) {
		while (has_room(&w, tail - head)) { /* sent now */
			free_us = free_us > now ? free_us + each_us : now + each_us;
			int64_t at = free_us > now + trip_us ? free_us : now + trip_us;
			due[tail++ % (1 << 16)] = at;
		}
		now = due[head++ % (1 << 16)] > now ? due[(head - 1) % (1 << 16)] : now;
		assert_true(w.now >= 1 && w.now <= most);
		window_acknowledged(&w, now);
	}
	return w.now;
}

static void test_far_broker(void **state)
{
	(void)state;
	assert_true(run(1000, 50000, 1, 20) >= 500);
	assert_true(run(60000, 300000, 1, 60) >= 8000);
}

static void test_near_busy_broker(void **state)
{
	(void)state;
	assert_true(run(1000, 200, 40, 20) <= 2 * WINDOW_LEAST);
	assert_true(run(1000, 200, 20, 60) <=
		    128); /* more on their way would only cost the library a longer search for each answer */
}

/* Refilled in large pieces, but only once it was full. */
static void test_pieces(void **state)
{
	struct window w;
	(void)state;
	window_open(&w, 100);
	assert_true(has_room(&w, 99));
	assert_false(has_room(&w, 100));
	assert_false(has_room(&w, 51));
	assert_false(window_tight(&w)); /* not so small */
	assert_true(has_room(&w, 50));
	assert_true(has_room(&w, 99));
	window_open(&w, 20);
	assert_true(has_room(&w, 19));
	assert_false(window_tight(&w));
	assert_false(has_room(&w, 20));
	assert_true(window_tight(&w));
	assert_true(has_room(&w, 19)); /* one by one */
}

static void test_small_limit(void **state)
{
	(void)state;
	assert_int_equal(run(20, 50000, 1, 5), 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_far_broker),
		cmocka_unit_test(test_near_busy_broker),
		cmocka_unit_test(test_small_limit),
		cmocka_unit_test(test_pieces),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
