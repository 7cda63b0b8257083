// SPDX-License-Identifier: MIT
/* fuzz_path_broker: the broker's side of the outbox: what was put comes, in order and unchanged, until it is acknowledged.
 *
 * The linker leads the bridge's calls of outbox_put and outbox_sync to here. */
#include "fuzz_path.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define MESSAGES (1u << 15)
#define ORDERS 1024

/* A message that the bridge has put, by its number. */
struct message {
	uint64_t order;
	uint32_t before; /* the one before it of the same order, counted from 1; 0: none */
	uint32_t sum;
	bool done, given;
};

static struct message messages[MESSAGES];
static size_t count, undone;
static uint64_t first, stored; /* numbers: before the first message; up to here all is stored */
static struct {
	uint64_t order;
	uint32_t last;
} orders[ORDERS];
static uint64_t waiting[MESSAGES]; /* given, and not acknowledged */
static size_t waiting_count;

void broker_reset(void)
{
	count = undone = waiting_count = 0;
	stored = first = 0;
	memset(orders, 0, sizeof(orders));
}

uint64_t outbox_put_last(void)
{
	return first + count;
}

uint64_t outbox_stored_last(void)
{
	return stored;
}

size_t broker_undone(void)
{
	return undone;
}

static uint32_t sum_of(const struct outbox_message *m)
{
	uint32_t sum = (uint32_t)(m->topic.len * 31 + m->payload.len * 7 + m->correlation.len);
	sum += m->retain && !m->retain_if_newest; /* that may end meanwhile */
	for (size_t i = 0; i < m->payload.len; i += 1 + m->payload.len / 64)
		sum = sum * 33 + m->payload.ptr[i];
	for (size_t i = 0; i < m->topic.len; i++)
		sum = sum * 33 + m->topic.ptr[i];
	return sum;
}

/* The place of the last message of this order; two orders may share one, then nothing is said of them. */
static uint32_t *last_of(uint64_t order)
{
	size_t at = (size_t)(order % ORDERS);
	if (orders[at].last == 0)
		orders[at].order = order;
	return orders[at].order == order ? &orders[at].last : NULL;
}

uint64_t __real_outbox_put(struct outbox *outbox, const struct outbox_message *message);
uint64_t __wrap_outbox_put(struct outbox *outbox, const struct outbox_message *message);
uint64_t __wrap_outbox_put(struct outbox *outbox, const struct outbox_message *message)
{
	uint64_t number = __real_outbox_put(outbox, message);
	if (number != 0) {
		if (count == 0)
			first = number - 1;
		must("number", number == first + count + 1, "message %llu behind %llu",
			(unsigned long long)number, (unsigned long long)(first + count));
		if (count == MESSAGES)
			abort();
		uint32_t *last = last_of(message->order);
		messages[count] = (struct message){
			.order = message->order, .before = last != NULL ? *last : 0, .sum = sum_of(message)};
		count++;
		undone++;
		if (last != NULL)
			*last = (uint32_t)count;
	}
	check_put(message, number != 0);
	return number;
}

bool __real_outbox_sync(struct outbox *outbox);
bool __wrap_outbox_sync(struct outbox *outbox);
bool __wrap_outbox_sync(struct outbox *outbox)
{
	bool all = __real_outbox_sync(outbox);
	must("stored",
		!all || !world.disk_refuses || first + count == world.put_before_refusal ||
			world.bridge.config.outbox.sync != CONFIG_SYNC_ALWAYS,
		"the disk refuses, and all is said to be stored");
	if (all)
		stored = first + count;
	return all;
}

/* --- taking --- */

static void see(const struct outbox_message *m)
{
	size_t at = (size_t)(m->seqnum - first - 1);
	must("broker-number", at < count, "message %llu was never put", (unsigned long long)m->seqnum);
	struct message *known = &messages[at];
	must("broker-early", m->seqnum <= stored || world.disk, "message %llu leaves before it is stored",
		(unsigned long long)m->seqnum);
	must("broker-done", !known->done || world.disk_refused,
		"message %llu comes again though it was acknowledged", (unsigned long long)m->seqnum);
	must("broker-twice", !known->given, "message %llu comes twice on one connection",
		(unsigned long long)m->seqnum);
	must("broker-changed", known->sum == sum_of(m), "message %llu has changed",
		(unsigned long long)m->seqnum);
	const struct message *before = known->before > 0 ? &messages[known->before - 1] : NULL;
	must("broker-order", before == NULL || before->done || before->given,
		"message %llu overtakes its unit's own", (unsigned long long)m->seqnum);
	known->given = true;
	waiting[waiting_count++] = m->seqnum;
}

static void acknowledge(size_t at)
{
	uint64_t number = waiting[at];
	struct message *m = &messages[number - first - 1];
	memmove(waiting + at, waiting + at + 1, (waiting_count - at - 1) * sizeof(waiting[0]));
	waiting_count--;
	undone -= m->done ? 0 : 1;
	m->done = true;
	outbox_done(world.bridge.outbox, number);
}

/* `mode`: in order, the newest first, every second one, none. */
void broker_take(unsigned most, unsigned mode)
{
	struct outbox_message m;
	unsigned n = 0;
	bool more = true;
	while (n < most && waiting_count < MESSAGES && (more = outbox_next(world.bridge.outbox, &m))) {
		see(&m);
		n++;
	}
	if (!more && !world.disk) /* in memory, no message waits but the ones given */
		must("broker-lost",
			undone == waiting_count || stored < first + count || outbox_more(world.bridge.outbox),
			"%zu messages are not acknowledged, only %zu were given", undone, waiting_count);
	for (unsigned i = 0; i < most && waiting_count > 0 && mode % 4 < 3; i++) {
		bool newest = mode % 4 == 1 || (mode % 4 == 2 && i % 2 == 0);
		acknowledge(newest ? waiting_count - 1 : 0);
	}
}

void broker_rewind(void)
{
	for (size_t i = 0; i < count; i++)
		messages[i].given = false;
	waiting_count = 0;
	outbox_rewind(world.bridge.outbox);
}

/* LMDB asks for it; -1: the disk refuses. */
int fdatasync(int fd)
{
	(void)fd;
	if (!world.disk_refuses)
		return 0;
	errno = EIO;
	return -1;
}

/* Flushes happen at once, so that a run is the same each time. */
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *arg)
{
	(void)thread;
	(void)attributes;
	(void)run;
	(void)arg;
	return EAGAIN;
}
