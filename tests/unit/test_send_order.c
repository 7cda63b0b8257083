// SPDX-License-Identifier: MIT
/* test_send_order: who goes next, with numbers alone: no disk, no messages, and a clock that the test moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/outbox/send_order.h"

#define MOST 20000

/* Message number n is of order[n]; those that are gone are not there any more. */
struct world {
	struct send_order order;
	uint64_t of[MOST + 1], last;
	bool gone[MOST + 1], unreadable;
	unsigned asked;
	int64_t now_ms;
};

static enum send_found on_behind(void *ctx, uint64_t after, struct send_message *out)
{
	struct world *w = ctx;
	w->asked++;
	if (w->unreadable)
		return SEND_UNREADABLE;
	for (uint64_t n = after + 1; n <= w->last; n++) {
		if (w->gone[n])
			continue;
		*out = (struct send_message){n, w->of[n]};
		return SEND_FOUND;
	}
	return SEND_NONE;
}

static enum send_found on_at(void *ctx, uint64_t number, struct send_message *out)
{
	struct world *w = ctx;
	w->asked++;
	if (w->unreadable)
		return SEND_UNREADABLE;
	if (number == 0 || number > w->last || w->gone[number])
		return SEND_NONE;
	*out = (struct send_message){number, w->of[number]};
	return SEND_FOUND;
}

static struct world *new_world(void)
{
	struct world *w = calloc(1, sizeof(*w));
	assert_non_null(w);
	w->now_ms = 1000000;
	srandom(1);
	assert_true(send_order_open(&w->order, &(struct send_source){w, on_behind, on_at}));
	return w;
}

static void end_world(struct world *w)
{
	send_order_close(&w->order);
	free(w);
}

static uint64_t put(struct world *w, uint64_t order)
{
	size_t waiting = 1;
	assert_true(w->last < MOST);
	w->of[++w->last] = order;
	for (uint64_t n = 1; n < w->last; n++)
		waiting += !w->gone[n];
	send_order_put(&w->order, (struct send_message){w->last, order}, waiting);
	return w->last;
}

/* The number of the next message; 0: none. */
static uint64_t next(struct world *w)
{
	struct send_message m;
	do {
		if (send_order_next(&w->order, w->last, w->now_ms, &m)) {
			assert_in_range(m.number, 1, w->last);
			assert_int_equal(m.order, w->of[m.number]);
			return m.number;
		}
	} while (w->order.more);
	return 0;
}

static struct send_message message(const struct world *w, uint64_t n)
{
	return (struct send_message){n, w->of[n]};
}

static void passed(struct world *w, uint64_t n)
{
	w->gone[n] = true;
	send_order_passed(&w->order, message(w, n), w->now_ms);
}

static void refused(struct world *w, uint64_t n, bool closes)
{
	send_order_refused(&w->order, message(w, n), closes, w->now_ms);
}

/* --- the backlog and the live lane --- */

static void test_few_go_in_order(void **state)
{
	(void)state;
	struct world *w = new_world();
	for (uint64_t i = 0; i < 100; i++)
		put(w, i % 7);
	for (uint64_t n = 1; n <= 100; n++)
		assert_int_equal(next(w), n);
	assert_int_equal(next(w), 0);
	assert_int_equal(put(w, 3), 101);
	assert_int_equal(next(w), 101);
	assert_int_equal(next(w), 0);
	assert_false(send_order_needs_time(&w->order));
	end_world(w);
}

static void test_only_what_is_stored_goes(void **state)
{
	(void)state;
	struct world *w = new_world();
	struct send_message m;
	put(w, 1);
	put(w, 2);
	assert_true(send_order_next(&w->order, 1, w->now_ms, &m));
	assert_int_equal(m.number, 1);
	assert_false(send_order_next(&w->order, 1, w->now_ms, &m));
	assert_true(send_order_next(&w->order, 2, w->now_ms, &m));
	assert_int_equal(m.number, 2);
	end_world(w);
}

/* Units that have nothing in a long backlog go beside it, every second message; units that have something there do not. */
static void test_live_units_go_beside_the_backlog(void **state)
{
	(void)state;
	enum { OLD = 5000, LIVE = 50 };
	struct world *w = new_world();
	for (unsigned i = 0; i < OLD; i++)
		put(w, i % 10);
	for (unsigned i = 0; i < LIVE; i++)
		put(w, i % 2 == 0 ? 100 + i : 5); /* of a new unit, of an old one in turns */
	uint64_t backlog = 0;
	unsigned live = 0;
	for (unsigned i = 0; i < LIVE; i++) { /* each second one is live, as long as there are some */
		uint64_t n = next(w);
		if (n > OLD) {
			assert_true(w->of[n] >= 100);
			live++;
		} else {
			assert_int_equal(n, ++backlog);
		}
	}
	assert_int_equal(live, LIVE / 2);
	assert_int_equal(backlog, LIVE / 2);
	for (uint64_t n = backlog + 1; n <= OLD; n++)
		assert_int_equal(next(w), n);
	for (unsigned i = 1; i < LIVE; i += 2) /* the live ones are not given twice */
		assert_int_equal(next(w), OLD + 1 + i);
	assert_int_equal(next(w), 0);
	end_world(w);
}

/* A unit with messages from an earlier run is not live. */
static void test_old_messages_come_first(void **state)
{
	(void)state;
	enum { OLD = 3000 };
	struct world *w = new_world();
	for (unsigned i = 0; i < OLD; i++) {
		w->of[++w->last] = 7;
		send_order_note_old(&w->order, message(w, w->last));
	}
	put(w, 7);
	uint64_t live = put(w, 8);
	assert_int_equal(next(w), live);
	for (uint64_t n = 1; n <= OLD + 1; n++)
		assert_int_equal(next(w), n);
	assert_int_equal(next(w), 0);
	end_world(w);
}

static void test_rewind_begins_with_the_oldest(void **state)
{
	(void)state;
	struct world *w = new_world();
	for (unsigned i = 0; i < 3000; i++)
		put(w, 1);
	uint64_t live = put(w, 2);
	assert_int_equal(next(w), live);
	assert_int_equal(next(w), 1);
	assert_int_equal(next(w), 2);
	passed(w, 1);
	send_order_rewind(&w->order, w->now_ms);
	for (uint64_t n = 2; n <= live; n++)
		assert_int_equal(next(w), n);
	assert_int_equal(next(w), 0);
	end_world(w);
}

static void test_what_cannot_be_read_is_not_passed_over(void **state)
{
	(void)state;
	struct world *w = new_world();
	put(w, 1);
	w->unreadable = true;
	assert_int_equal(next(w), 0);
	w->unreadable = false;
	assert_int_equal(next(w), 1);
	refused(w, 1, false);
	w->now_ms += 2000;
	w->unreadable = true;
	assert_int_equal(next(w), 0);
	w->unreadable = false;
	w->now_ms += 100;
	assert_int_equal(next(w), 1);
	end_world(w);
}

/* --- refused --- */

/* The order of a refused message waits, others go on; the pause grows; what passes takes along what waits behind it, in order. */
static void test_a_refused_order_waits(void **state)
{
	(void)state;
	struct world *w = new_world();
	int64_t pause = 1000;
	for (uint64_t i = 0; i < 30; i++)
		put(w, i % 3);
	assert_int_equal(next(w), 1);
	refused(w, 1, false);
	for (uint64_t n = 2; n <= 30; n++)
		if (w->of[n] != w->of[1])
			assert_int_equal(next(w), n);
	assert_int_equal(next(w), 0);
	assert_int_equal(send_order_held(&w->order), 10);
	assert_true(send_order_needs_time(&w->order));
	for (int i = 0; i < 4; i++, pause *= 2) {
		w->now_ms += pause * 4 / 5 - 1; /* a fifth more or less */
		assert_int_equal(next(w), 0);
		w->now_ms += pause * 2 / 5 + 51;
		assert_int_equal(next(w), 1);
		assert_int_equal(next(w), 0); /* it alone is tried */
		refused(w, 1, false);
	}
	w->now_ms += pause * 2;
	assert_int_equal(next(w), 1);
	uint64_t behind = put(w, w->of[1]);
	passed(w, 1);
	for (uint64_t n = 4; n <= 30; n += 3) {
		assert_int_equal(next(w), n);
		passed(w, n);
	}
	assert_int_equal(next(w), behind);
	passed(w, behind);
	assert_int_equal(next(w), 0);
	assert_int_equal(send_order_held(&w->order), 0);
	assert_false(send_order_needs_time(&w->order));
	end_world(w);
}

/* A broker that refuses everything is asked at most 200 times a second, after the first time. */
static void test_a_broker_that_refuses_all_is_asked_seldom(void **state)
{
	(void)state;
	enum { UNITS = 10000, SECONDS = 60 };
	struct world *w = new_world();
	unsigned again = 0;
	uint64_t n;
	for (uint64_t i = 0; i < UNITS; i++) {
		w->of[++w->last] = i;
		send_order_put(&w->order, message(w, w->last), 1);
	}
	for (unsigned i = 0; i < UNITS; i++) {
		n = next(w);
		assert_true(n > 0);
		refused(w, n, false);
	}
	for (int ms = 0; ms < SECONDS * 1000; ms += 10) {
		w->now_ms += 10;
		while ((n = next(w)) != 0) {
			refused(w, n, false);
			again++;
		}
	}
	assert_in_range(again, SECONDS * 100, SECONDS * 200 + 20);
	assert_int_equal(send_order_held(&w->order), UNITS);
	end_world(w);
}

static void test_what_is_gone_meanwhile_holds_nothing_up(void **state)
{
	(void)state;
	struct world *w = new_world();
	put(w, 1);
	put(w, 1);
	assert_int_equal(next(w), 1);
	refused(w, 1, false);
	w->gone[1] = true; /* it was set aside */
	assert_int_equal(next(w), 0);
	w->now_ms += 2000;
	assert_int_equal(next(w), 2);
	end_world(w);
}

/* --- postponed --- */

static void test_postponed(void **state)
{
	(void)state;
	struct world *w = new_world();
	put(w, 1);
	put(w, 2);
	put(w, 1);
	assert_int_equal(next(w), 1);
	send_order_postpone(&w->order, 0, w->now_ms); /* it is the next one */
	assert_int_equal(next(w), 1);
	send_order_postpone(&w->order, 500, w->now_ms); /* others go on */
	assert_int_equal(next(w), 2);
	assert_int_equal(next(w), 0);
	w->now_ms += 499;
	assert_int_equal(next(w), 0);
	w->now_ms += 52; /* it is looked for every 50 ms */
	assert_int_equal(next(w), 1);
	passed(w, 1);
	assert_int_equal(next(w), 3);
	end_world(w);
}

/* A later message of the order was postponed or refused while an earlier one was on its way, and the connection broke: the
 * earlier one still goes first. */
static void test_what_was_on_its_way_goes_before_what_waits(void **state)
{
	(void)state;
	for (int refuse = 0; refuse < 2; refuse++) {
		struct world *w = new_world();
		for (int i = 0; i < 3; i++)
			put(w, 1);
		assert_int_equal(next(w), 1);
		assert_int_equal(next(w), 2);
		if (refuse == 1)
			refused(w, 2, false);
		else
			send_order_postpone(&w->order, 250, w->now_ms);
		send_order_rewind(&w->order, w->now_ms);
		w->now_ms += 250;
		for (uint64_t n = 1; n <= 3; n++) {
			assert_int_equal(next(w), n);
			passed(w, n);
		}
		assert_int_equal(next(w), 0);
		assert_int_equal(send_order_held(&w->order), 0);
		end_world(w);
	}
}

/* --- all of it, at random --- */

static void random_run(unsigned seed)
{
	enum { UNITS = 40, ALL = 6000 };
	struct world *w = new_world();
	static uint64_t newest[UNITS], window[50];
	size_t count = 0;
	unsigned done = 0, rounds = 0;
	memset(newest, 0, sizeof(newest));
	srandom(seed);
	for (; done < ALL && rounds < 2000000; rounds++) {
		w->now_ms += random() % 3;
		if (w->last < ALL && (w->last < ALL / 2 || random() % 3 == 0))
			put(w, (uint64_t)random() % UNITS);
		w->unreadable = random() % 50 == 0;
		uint64_t n = count < 50 ? next(w) : 0;
		if (n != 0 && random() % 100 == 0) {
			send_order_postpone(&w->order, random() % 2 * 300, w->now_ms);
			n = 0;
		}
		if (n != 0)
			window[count++] = n;
		if (count > 0 &&
			random() % 2 == 0) { /* the broker answers, in the order in which it was sent to */
			n = window[0];
			memmove(window, window + 1, --count * sizeof(*window));
			if (random() % 60 == 0) {
				refused(w, n, random() % 4 == 0);
				size_t kept = 0; /* what is behind it on its way is refused, too */
				for (size_t i = 0; i < count; i++) {
					if (w->of[window[i]] == w->of[n])
						refused(w, window[i], false);
					else
						window[kept++] = window[i];
				}
				count = kept;
			} else {
				assert_true(n > newest[w->of[n]]); /* in order, and once */
				newest[w->of[n]] = n;
				passed(w, n);
				done++;
			}
		}
		if (random() % 2000 == 0) {
			count = 0;
			send_order_rewind(&w->order, w->now_ms);
		}
	}
	assert_int_equal(done, ALL);
	w->unreadable = false;
	assert_int_equal(next(w), 0);
	end_world(w);
}

static void test_each_order_stays_in_order_whatever_happens(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 10; seed++)
		random_run(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_few_go_in_order),
		cmocka_unit_test(test_only_what_is_stored_goes),
		cmocka_unit_test(test_live_units_go_beside_the_backlog),
		cmocka_unit_test(test_old_messages_come_first),
		cmocka_unit_test(test_rewind_begins_with_the_oldest),
		cmocka_unit_test(test_what_cannot_be_read_is_not_passed_over),
		cmocka_unit_test(test_a_refused_order_waits),
		cmocka_unit_test(test_a_broker_that_refuses_all_is_asked_seldom),
		cmocka_unit_test(test_what_is_gone_meanwhile_holds_nothing_up),
		cmocka_unit_test(test_postponed),
		cmocka_unit_test(test_what_was_on_its_way_goes_before_what_waits),
		cmocka_unit_test(test_each_order_stays_in_order_whatever_happens),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
