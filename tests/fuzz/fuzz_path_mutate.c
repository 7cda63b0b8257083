// SPDX-License-Identifier: MIT
/* fuzz_path_mutate: changes whole operations: puts in, takes out, moves, doubles, and changes the arguments of one. */
#include "fuzz_path.h"

#include <stdlib.h>

#define OPERATIONS 512
#define BYTES_MOST 16384

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size, uint8_t *out,
	size_t most, unsigned seed);

/* An input taken apart. */
struct plan {
	uint8_t config[CONFIG_BYTES];
	struct {
		uint8_t op, len, arguments[255];
	} item[OPERATIONS];
	size_t count;
};

static unsigned random_state;

static unsigned random_below(unsigned n)
{
	random_state = random_state * 1103515245u + 12345u;
	return (random_state >> 8) % n;
}

static void take_apart(struct plan *plan, const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	for (size_t i = 0; i < CONFIG_BYTES; i++)
		plan->config[i] = next_byte(&in);
	for (plan->count = 0; in.len > 0 && plan->count < OPERATIONS; plan->count++) {
		uint8_t op = next_byte(&in), len = next_byte(&in);
		if (len > in.len)
			len = (uint8_t)in.len;
		plan->item[plan->count].op = op;
		plan->item[plan->count].len = len;
		if (len > 0)
			memcpy(plan->item[plan->count].arguments, in.ptr, len);
		in = span_after(in, len);
	}
}

static size_t put_together(const struct plan *plan, uint8_t *out, size_t most)
{
	struct writer w = writer_of(out, most);
	writer_bytes(&w, plan->config, CONFIG_BYTES);
	for (size_t i = 0; i < plan->count && !w.full; i++) {
		if (w.cap - w.len < 2u + plan->item[i].len)
			break;
		writer_u8(&w, plan->item[i].op);
		writer_u8(&w, plan->item[i].len);
		writer_bytes(&w, plan->item[i].arguments, plan->item[i].len);
	}
	return w.len;
}

/* Room for `n` operations before number `at`. */
static bool open_gap(struct plan *plan, size_t at, size_t n)
{
	if (plan->count + n > OPERATIONS)
		return false;
	memmove(&plan->item[at + n], &plan->item[at], (plan->count - at) * sizeof(plan->item[0]));
	plan->count += n;
	return true;
}

static void insert_new(struct plan *plan)
{
	/* the more of a kind here, the more often it comes */
	static const uint8_t kinds[] = {OP_TURN, OP_TURN, OP_TURN, OP_CONNECT, OP_CONNECT, OP_SEND, OP_SEND,
		OP_SEND, OP_REST, OP_SERIES, OP_SERIES, OP_DATAGRAM, OP_DATAGRAM, OP_BURST, OP_BURST, OP_READ,
		OP_CLOSE, OP_TIME, OP_COMMAND, OP_COMMAND, OP_ANSWER, OP_BROKER, OP_RELOAD, OP_BIRTH, OP_DISK};
	size_t at = random_below((unsigned)plan->count + 1);
	if (!open_gap(plan, at, 1))
		return;
	plan->item[at].op = kinds[random_below(sizeof(kinds))];
	plan->item[at].len = plan->item[at].op == OP_TURN ? 0 : (uint8_t)(1 + random_below(12));
	for (size_t i = 0; i < plan->item[at].len; i++)
		plan->item[at].arguments[i] = (uint8_t)(random_below(2) ? random_below(8) : random_below(256));
}

static void take_out(struct plan *plan)
{
	if (plan->count == 0)
		return;
	size_t at = random_below((unsigned)plan->count), left = plan->count - at;
	size_t n = 1 + random_below(random_below(4) == 0 ? 8 : 1);
	n = n < left ? n : left;
	memmove(&plan->item[at], &plan->item[at + n], (left - n) * sizeof(plan->item[0]));
	plan->count -= n;
}

/* A few operations once more, elsewhere. */
static void repeat(struct plan *plan)
{
	static struct plan copy;
	if (plan->count == 0)
		return;
	size_t from = random_below((unsigned)plan->count), left = plan->count - from;
	size_t n = 1 + random_below(4), at = random_below((unsigned)plan->count + 1);
	n = n < left ? n : left;
	memcpy(copy.item, &plan->item[from], n * sizeof(plan->item[0]));
	if (open_gap(plan, at, n))
		memcpy(&plan->item[at], copy.item, n * sizeof(plan->item[0]));
}

static void swap(struct plan *plan)
{
	if (plan->count < 2)
		return;
	size_t a = random_below((unsigned)plan->count), b = random_below((unsigned)plan->count);
	static struct plan copy;
	memcpy(&copy.item[0], &plan->item[a], sizeof(plan->item[0]));
	memmove(&plan->item[a], &plan->item[b], sizeof(plan->item[0]));
	memcpy(&plan->item[b], &copy.item[0], sizeof(plan->item[0]));
}

static void change_arguments(struct plan *plan)
{
	if (plan->count == 0)
		return;
	size_t at = random_below((unsigned)plan->count), len = plan->item[at].len;
	if (len > 0 && random_below(2))
		plan->item[at].arguments[random_below((unsigned)len)] =
			(uint8_t)random_below(random_below(2) ? 8 : 256);
	else if (random_below(8) == 0)
		plan->item[at].op = (uint8_t)random_below(OP_COUNT);
	else
		plan->item[at].len = (uint8_t)LLVMFuzzerMutate(
			plan->item[at].arguments, len, sizeof(plan->item[at].arguments));
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
	static struct plan plan;
	random_state = seed;
	if (random_below(20) == 0)
		return LLVMFuzzerMutate(data, size, most);
	take_apart(&plan, data, size);
	for (unsigned n = 1 + random_below(4); n > 0; n--) {
		switch (random_below(8)) {
		case 0:
		case 1:
			insert_new(&plan);
			break;
		case 2:
			take_out(&plan);
			break;
		case 3:
			repeat(&plan);
			break;
		case 4:
			swap(&plan);
			break;
		case 5:
		case 6:
			change_arguments(&plan);
			break;
		case 7:
			plan.config[random_below(CONFIG_BYTES)] = (uint8_t)random_below(256);
			break;
		}
	}
	return put_together(&plan, data, most);
}

/* The beginning of one, the end of the other. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size, uint8_t *out,
	size_t most, unsigned seed)
{
	static struct plan first, second;
	random_state = seed;
	take_apart(&first, a, a_size);
	take_apart(&second, b, b_size);
	first.count = random_below((unsigned)first.count + 1);
	size_t from = random_below((unsigned)second.count + 1), n = second.count - from;
	if (first.count + n > OPERATIONS)
		n = OPERATIONS - first.count;
	memcpy(&first.item[first.count], &second.item[from], n * sizeof(first.item[0]));
	first.count += n;
	return put_together(&first, out, most);
}
