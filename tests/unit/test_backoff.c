// SPDX-License-Identifier: MIT
/* test_backoff: waits between tries grow, are limited, and differ; frames behind one another in one buffer. */
#include "harness.h"

#include "bridge/base/backoff.h"
#include "bridge/base/clock.h"
#include "bridge/base/frames.h"

static void assert_about(double got, double seconds)
{
	if (got < seconds * 0.75 || got > seconds * 1.25)
		fail_msg("%.3f s instead of about %.3f s", got, seconds);
}

static void test_doubles(void **state)
{
	struct backoff b;
	(void)state;
	backoff_reset(&b, 0.5);
	static const double waits[] = {0.5, 1, 2, 4, 8, 16, 30, 30, 30};
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++)
		assert_about(backoff_wait(&b, 60, 30), waits[i]);
	backoff_reset(&b, 0.5);
	assert_about(backoff_wait(&b, 60, 30), 0.5);
}

/* A limit holds for one wait; those behind it are as long as if it had not been. */
static void test_limit(void **state)
{
	struct backoff b;
	(void)state;
	backoff_reset(&b, 4);
	assert_about(backoff_wait(&b, 2, 30), 2);
	assert_about(backoff_wait(&b, 2, 30), 2);
	assert_about(backoff_wait(&b, 30, 30), 16);
}

static void test_jitter(void **state)
{
	double least = 1000, most = 0, sum = 0;
	(void)state;
	for (int i = 0; i < 10000; i++) {
		double wait = backoff_jitter(100);
		assert_about(wait, 100);
		least = fmin(least, wait);
		most = fmax(most, wait);
		sum += wait;
	}
	assert_true(least < 76 && most > 124); /* all of it is used */
	assert_true(sum > 99 * 10000.0 && sum < 101 * 10000.0);
}

static void test_frames(void **state)
{
	static const char *const frames[] = {"*HQ,1#", "", "x", "*HQ,2,V1#"};
	uint8_t buffer[1000], big[700];
	size_t len = 0, need = 0;
	(void)state;
	memset(big, 7, sizeof(big));
	for (size_t i = 0; i < 4; i++) {
		len = frames_put(buffer, len, span_text(frames[i]));
		need += frames_need(strlen(frames[i]));
		assert_int_equal(len, need);
	}
	len = frames_put(buffer, len, span_of(big, sizeof(big)));
	for (size_t i = 0; i < 4; i++) {
		assert_true(span_is(frames_first(buffer), frames[i]));
		len = frames_drop(buffer, len);
	}
	struct span last = frames_first(buffer);
	assert_int_equal(last.len, sizeof(big));
	assert_memory_equal(last.ptr, big, sizeof(big));
	assert_int_equal(frames_drop(buffer, len), 0);
}

static void test_longest_frame(void **state)
{
	static uint8_t buffer[FRAMES_HEAD + FRAMES_LONGEST], frame[FRAMES_LONGEST];
	(void)state;
	memset(frame, 9, sizeof(frame));
	assert_int_equal(frames_put(buffer, 0, span_of(frame, sizeof(frame))), sizeof(buffer));
	assert_int_equal(frames_first(buffer).len, sizeof(frame));
	assert_memory_equal(frames_first(buffer).ptr, frame, sizeof(frame));
}

static void test_moment(void **state)
{
	(void)state;
	assert_int_equal(clock_unix_ms(1700000000.25), 1700000000250);
	int64_t before = clock_steady_ms();
	struct moment m = clock_moment(1700000000.5);
	assert_int_equal(m.unix_ms, 1700000000500);
	assert_true(m.steady_ms >= before && m.steady_ms <= clock_steady_ms());
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_doubles), cmocka_unit_test(test_limit),
		cmocka_unit_test(test_jitter), cmocka_unit_test(test_frames),
		cmocka_unit_test(test_longest_frame), cmocka_unit_test(test_moment)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
