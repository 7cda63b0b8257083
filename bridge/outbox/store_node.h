// SPDX-License-Identifier: MIT
/* store_node: what stands in a page of the store's file: nodes with a key, and data or the page below.
 * Uses: codecs/record.
 * Not: read the file. Only store_check.c includes it. */
#ifndef T2M_STORE_NODE_H
#define T2M_STORE_NODE_H

#include "bridge/outbox/store_meta.h"
#include "codecs/record/bytes.h"

#define HEAD sizeof(struct store_page) /* of a page */
#define KEY_MAX 511
enum { NODE_BIG = 1, NODE_TREE = 2 };

struct node {
	uint16_t low, high; /* size of the data; in a branch, with `flags`: the page below */
	uint16_t flags, key_size;
};

_Static_assert(sizeof(struct node) == 8, "as LMDB has it");

static inline struct node node_at(const uint8_t *page, size_t i, size_t *offset)
{
	uint16_t at;
	struct node n;
	memcpy(&at, page + HEAD + 2 * i, sizeof(at));
	memcpy(&n, page + at, sizeof(n));
	*offset = at;
	return n;
}

static inline size_t node_data(const struct node *n)
{
	return n->low | (size_t)n->high << 16;
}

static inline size_t node_page(const struct node *n)
{
	size_t page = node_data(n);
#if SIZE_MAX > UINT32_MAX
	page |= (size_t)n->flags << 32;
#endif
	return page;
}

static inline size_t even(size_t n)
{
	return (n + 1) & ~(size_t)1;
}

/* How many bytes the node takes; 0: more than any node may, or it is of no kind that an outbox has. */
static inline size_t node_length(size_t page_size, const struct node *n, bool leaf, size_t i)
{
	size_t most = (((page_size - HEAD) / 2) & ~(size_t)1) - 2;
	size_t size = sizeof(*n) + n->key_size;
	if (n->key_size > KEY_MAX || (n->key_size == 0 && (leaf || i > 0)))
		return 0;
	if (!leaf)
		return even(size);
	if (n->flags == NODE_BIG)
		return even(size + sizeof(size_t));
	if ((n->flags != 0 && n->flags != NODE_TREE) || node_data(n) > most || size + node_data(n) > most)
		return 0;
	return even(size + node_data(n));
}

/* As LMDB orders them. `integers`: both are numbers of 4 or 8 bytes. Below 0, 0 or above 0. */
static inline int store_compare_keys(bool integers, struct span a, struct span b)
{
	if (integers && a.len == sizeof(uint64_t)) {
		uint64_t x, y;
		memcpy(&x, a.ptr, sizeof(x));
		memcpy(&y, b.ptr, sizeof(y));
		return x < y ? -1 : x > y;
	}
	if (integers) {
		uint32_t x, y;
		memcpy(&x, a.ptr, sizeof(x));
		memcpy(&y, b.ptr, sizeof(y));
		return x < y ? -1 : x > y;
	}
	int order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
	return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

#endif
