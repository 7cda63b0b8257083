// SPDX-License-Identifier: MIT
/* test_ring: the ring gives what was put and is not done, whatever the order in which messages are read and done. */
#include "harness.h"

#include "bridge/outbox/ring.h"

#include <stdlib.h>

#define MOST 6000

struct model {
	size_t length[MOST + 1]; /* of the payload of each number; 0: it is done, or was never put */
	uint64_t last;
	size_t count;
};

static uint8_t payload[600000];

static void put_one(struct outbox_ring *o, struct model *m, size_t length)
{
	m->last += 1 + (unsigned)rand() % 3; /* numbers rise, with gaps */
	struct outbox_message message = {
		.seqnum = m->last, .topic = span_text("t"), .payload = span_of(payload, length)};
	assert_true(ring_put(o, &message));
	m->length[m->last] = length;
	m->count++;
}

static void expect_next(struct outbox_ring *o, const struct model *m, uint64_t after)
{
	struct outbox_message got;
	uint64_t wanted = after + 1;
	while (wanted <= m->last && m->length[wanted] == 0)
		wanted++;
	assert_int_equal(ring_next(o, after, &got), wanted <= m->last);
	if (wanted > m->last)
		return;
	assert_int_equal(got.seqnum, wanted);
	assert_int_equal(got.payload.len, m->length[wanted]);
}

static void done_one(struct outbox_ring *o, struct model *m, uint64_t number)
{
	ring_done(o, number);
	m->count -= number <= m->last && m->length[number] > 0;
	if (number <= m->last)
		m->length[number] = 0;
}

static void test_any_order(void **state)
{
	(void)state;
	srand(1);
	for (unsigned round = 0; round < 30; round++) {
		static struct model m;
		memset(&m, 0, sizeof(m));
		struct outbox_ring *o = ring_open();
		while (m.last < MOST - 3) {
			unsigned what = (unsigned)rand() % 8;
			if (what < 3)
				put_one(o, &m,
					1 + (size_t)rand() % ((unsigned)rand() % 60 == 0 ? 599999 : 3000));
			else if (what < 6)
				done_one(o, &m,
					m.count > 100 + round ? (uint64_t)rand() % (m.last / 2 + 1)
							      : (uint64_t)rand() % (m.last + 5));
			else
				expect_next(o, &m, (uint64_t)rand() % (m.last + 2));
			expect_next(o, &m, 0);
			assert_int_equal(ring_count(o), m.count);
		}
		for (uint64_t n = 0; n <= m.last; n += 7)
			expect_next(o, &m, n);
		ring_drop(o, m.last / 2);
		for (uint64_t n = 1; n <= m.last / 2; n++) {
			m.count -= m.length[n] > 0;
			m.length[n] = 0;
		}
		expect_next(o, &m, 0);
		assert_int_equal(ring_count(o), m.count);
		ring_clear(o);
		assert_int_equal(ring_bytes(o), 0);
		struct outbox_message got;
		assert_false(ring_next(o, 0, &got));
		ring_close(o);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_any_order)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
