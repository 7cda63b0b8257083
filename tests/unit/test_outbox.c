/* test_outbox: what is put comes out in order, once it is stored, until it is done; never more than the size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "outbox.h"

static struct outbox *fresh(size_t size)
{
	char why[200];
	struct outbox *o = outbox_open(size, why, sizeof(why));
	assert_non_null(o);
	return o;
}

static uint64_t put(struct outbox *o, unsigned n, size_t length)
{
	char topic[32];
	static uint8_t payload[70000];
	memset(payload, (int)('a' + n % 26), sizeof(payload));
	struct outbox_message m = {
		.topic = span_of(topic, (size_t)snprintf(topic, sizeof(topic), "t/%u", n)),
		.payload = span_of(payload, length),
		.retain = n % 2 == 1,
		.content = n % 3 == 0 ? CONTENT_MSGPACK : CONTENT_JSON,
	};
	return outbox_put(o, &m);
}

static void check(const struct outbox_message *m, unsigned n, size_t length)
{
	char topic[32];
	snprintf(topic, sizeof(topic), "t/%u", n);
	assert_true(span_is(m->topic, topic));
	assert_int_equal(m->payload.len, length);
	for (size_t i = 0; i < length; i++)
		assert_int_equal(m->payload.ptr[i], 'a' + n % 26);
	assert_int_equal(m->retain, n % 2 == 1);
	assert_int_equal(m->content, n % 3 == 0 ? CONTENT_MSGPACK : CONTENT_JSON);
}

static void test_order(void **state)
{
	(void)state;
	struct outbox *o = fresh(64 << 20);
	struct outbox_message m;
	enum { COUNT = 5000 };
	uint64_t number[COUNT];
	for (unsigned i = 0; i < COUNT; i++) {
		assert_int_equal(outbox_next_seqnum(o), i == 0 ? outbox_next_seqnum(o) : number[i - 1] + 1);
		number[i] = put(o, i, i % 700);
		assert_true(number[i] != 0);
	}
	assert_false(outbox_next(o, 0, &m)); /* not stored yet */
	assert_true(outbox_sync(o));
	uint64_t after = 0;
	for (unsigned i = 0; i < COUNT; i++) {
		assert_true(outbox_next(o, after, &m));
		assert_int_equal(m.seqnum, number[i]);
		check(&m, i, i % 700);
		after = m.seqnum;
	}
	assert_false(outbox_next(o, after, &m));
	/* a connection breaks: from the start again, without what is done, in whatever order it was done */
	for (unsigned i = 0; i < COUNT; i += 2)
		outbox_done(o, number[i]);
	for (unsigned i = COUNT - 1; i > COUNT / 2; i -= 2)
		outbox_done(o, number[i]);
	after = 0;
	for (unsigned i = 1; i < COUNT / 2; i += 2) {
		assert_true(outbox_next(o, after, &m));
		assert_int_equal(m.seqnum, number[i]);
		after = m.seqnum;
	}
	for (unsigned i = 1; i < COUNT; i += 2)
		outbox_done(o, number[i]);
	assert_true(outbox_sync(o));
	assert_int_equal(outbox_count(o), 0);
	assert_int_equal(outbox_bytes(o), 0);
	assert_false(outbox_next(o, 0, &m));
	assert_int_equal(outbox_next_seqnum(o), number[COUNT - 1] + 1);
	outbox_close(o);
}

static void test_full(void **state)
{
	(void)state;
	struct outbox *o = fresh(2 << 20);
	unsigned n = 0;
	while (outbox_room(o))
		assert_true(put(o, n++, 1000) != 0);
	assert_true(n > 1000);
	uint64_t first = outbox_next_seqnum(o) - n;
	assert_true(put(o, n++, 1000) != 0); /* the reserve */
	while (put(o, n, 1000) != 0)
		n++;
	assert_true(outbox_bytes(o) <= 2 << 20);
	assert_true(outbox_sync(o));
	for (unsigned i = 0; i < n / 2; i++)
		outbox_done(o, first + i);
	assert_true(outbox_sync(o));
	assert_true(outbox_room(o));
	assert_true(put(o, n, 1000) != 0);
	outbox_close(o);
}

static void test_large_and_mixed_use(void **state)
{
	(void)state;
	struct outbox *o = fresh(64 << 20);
	struct outbox_message m;
	uint64_t done = 0, last = 0, base = outbox_next_seqnum(o) - 1;
	srand(1);
	for (unsigned i = 0; i < 3000; i++) {
		last = put(o, i, (size_t)(rand() % 60000));
		assert_true(last != 0 && outbox_sync(o));
		for (int k = rand() % 3; k > 0 && outbox_next(o, done, &m); k--) {
			assert_int_equal(m.seqnum, (done ? done : base) + 1);
			done = m.seqnum;
			outbox_done(o, done);
		}
		while (outbox_count(o) > 500 && outbox_next(o, done, &m)) {
			done = m.seqnum;
			outbox_done(o, done);
		}
		assert_int_equal(outbox_count(o), last - (done ? done : base));
	}
	outbox_close(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_large_and_mixed_use),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
