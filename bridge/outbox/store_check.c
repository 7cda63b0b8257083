// SPDX-License-Identifier: MIT
/* store_check: see store_check.h. */
#include "bridge/outbox/store_check.h"

#include "bridge/outbox/store_node.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NO_PAGE ((size_t)-1)
#define DEPTH_MAX 32
#define NAMES_MAX 6
#define FREE_TAIL (1u << 20) /* so many free pages may lie behind the end of the file */

enum { PAGE_BRANCH = 1, PAGE_LEAF = 2, PAGE_OVERFLOW = 4 };
enum { TREE_INTEGER_KEY = 8 };
enum tree_kind { FREE_PAGES, NAMES, MESSAGES, MEMORY, REFUSED, KEPT, UNITS };

static const char *const kind_names[] = {
	[FREE_PAGES] = "free pages",
	[NAMES] = "names",
	[MESSAGES] = "messages",
	[MEMORY] = "memory",
	[REFUSED] = "refused",
	[KEPT] = "kept",
	[UNITS] = "units",
};

_Static_assert(sizeof(struct store_page) == sizeof(size_t) + 8, "as LMDB has it");
_Static_assert(sizeof(struct store_tree) == 8 + 5 * sizeof(size_t), "as LMDB has it");

struct tree {
	enum tree_kind kind;
	struct store_tree has, counted;
	uint8_t key[KEY_MAX]; /* the key before the one at hand */
	size_t key_size;
	bool any;       /* there is a key before */
	bool may_equal; /* that key stood in a branch: the first key of the page below may be the same */
};

struct walk {
	int fd;
	const struct store_meta *meta;
	struct store_findings *out;
	bool quick;
	store_each_unit *each; /* NULL: units are not asked for */
	void *ctx;
	size_t page_size, file_pages;
	uint8_t *seen; /* a bit for each page */
	uint8_t *level[DEPTH_MAX +
		       1];   /* room for a page of each level; the last one for data on pages of its own */
	uint16_t *node_size; /* of the page at hand: the size of the node at an offset, by offset / 2 */
	struct tree names[NAMES_MAX];
	size_t name_count;
	enum store_condition condition;
};

__attribute__((format(printf, 2, 3))) static bool bad(struct walk *w, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(w->out->why, sizeof(w->out->why), format, args);
	va_end(args);
	w->condition = STORE_DAMAGED;
	return false;
}

static bool cannot(struct walk *w)
{
	snprintf(w->out->why, sizeof(w->out->why), "data.mdb: %s", strerror(errno));
	w->condition = STORE_ERROR;
	return false;
}

/* --- pages --- */

static bool read_at(struct walk *w, void *to, size_t size, uint64_t offset)
{
	ssize_t n = pread(w->fd, to, size, (off_t)offset);
	if (n == (ssize_t)size)
		return true;
	return n < 0 ? cannot(w)
		     : bad(w, "data.mdb ends at byte %llu, inside of page %llu",
			       (unsigned long long)(offset + (uint64_t)n),
			       (unsigned long long)(offset / w->page_size));
}

/* Notes that these pages are used. False: they are not in the file, or are used already. */
static bool take_pages(struct walk *w, const struct tree *t, size_t page, size_t count)
{
	if (page < 2 || page > w->meta->last_page || count > w->meta->last_page - page + 1)
		return bad(w, "tree %s: page %zu is not one of the file's %zu", kind_names[t->kind], page,
			w->meta->last_page + 1);
	if (w->quick)
		return true;
	for (size_t i = page; i < page + count; i++) {
		if (w->seen[i / 8] & 1u << i % 8)
			return bad(w, "tree %s: page %zu is used twice", kind_names[t->kind], i);
		w->seen[i / 8] |= (uint8_t)(1u << i % 8);
	}
	return true;
}

static bool read_page(struct walk *w, const struct tree *t, size_t page, uint8_t *to, struct store_page *head)
{
	if (page > w->meta->last_page)
		return bad(w, "tree %s: page %zu is not one of the file's %zu", kind_names[t->kind], page,
			w->meta->last_page + 1);
	if (!read_at(w, to, w->page_size, (uint64_t)page * w->page_size))
		return false;
	memcpy(head, to, sizeof(*head));
	if (head->number != page)
		return bad(w, "tree %s: page %zu says that it is page %zu", kind_names[t->kind], page,
			head->number);
	return true;
}

/* --- nodes --- */

/* The nodes fill the page from `upper` to its end, without gaps and without overlapping. */
static bool check_nodes(
	struct walk *w, const struct tree *t, const uint8_t *page, const struct store_page *head)
{
	size_t upper = head->node.upper, lower = head->node.lower, count;
	if (lower < HEAD || lower % 2 != 0 || upper % 2 != 0 || upper < lower || upper > w->page_size)
		return bad(w, "tree %s: page %zu: its free space goes from %zu to %zu", kind_names[t->kind],
			head->number, lower, upper);
	count = (lower - HEAD) / 2;
	bool leaf = head->flags == PAGE_LEAF;
	if (count < (leaf || t->kind == FREE_PAGES ? 1 : 2))
		return bad(w, "tree %s: page %zu has %zu nodes", kind_names[t->kind], head->number, count);
	memset(w->node_size, 0, w->page_size);
	for (size_t i = 0; i < count; i++) {
		uint16_t at;
		struct node n;
		memcpy(&at, page + HEAD + 2 * i, sizeof(at));
		if (at % 2 != 0 || at < upper || at + sizeof(n) > w->page_size)
			return bad(w, "tree %s: page %zu: node %zu at %u", kind_names[t->kind], head->number, i,
				at);
		memcpy(&n, page + at, sizeof(n));
		size_t length = node_length(w->page_size, &n, leaf, i);
		if (length == 0 || at + length > w->page_size || w->node_size[at / 2] != 0)
			return bad(w, "tree %s: page %zu: node %zu is too long, or of no known kind",
				kind_names[t->kind], head->number, i);
		w->node_size[at / 2] = (uint16_t)length;
	}
	size_t at = upper, seen = 0;
	while (at < w->page_size && w->node_size[at / 2] != 0) {
		at += w->node_size[at / 2];
		seen++;
	}
	return (at == w->page_size && seen == count) ||
	       bad(w, "tree %s: page %zu: its nodes overlap", kind_names[t->kind], head->number);
}

/* --- keys --- */

static bool integer_keys(const struct tree *t)
{
	return t->kind == FREE_PAGES || t->has.flags & TREE_INTEGER_KEY;
}

/* Notes this key. False: it is not higher than the one before, in this page or the page before. */
static bool key_follows(struct walk *w, struct tree *t, struct span key, bool from_branch)
{
	size_t width = t->kind == FREE_PAGES ? sizeof(size_t) : sizeof(uint64_t);
	if (integer_keys(t) && key.len != width)
		return bad(w, "tree %s: a key of %zu bytes", kind_names[t->kind], key.len);
	if (t->any) {
		int order = store_compare_keys(integer_keys(t), span_of(t->key, t->key_size), key);
		if (order > 0 || (order == 0 && !t->may_equal))
			return bad(w, "tree %s: its keys are not in order", kind_names[t->kind]);
	}
	memcpy(t->key, key.ptr, key.len);
	t->key_size = key.len;
	t->any = true;
	t->may_equal = from_branch;
	return true;
}

/* --- what is in a leaf --- */

/* Data on pages of its own: checks its place and size. Only the first page is read. */
static bool read_big(struct walk *w, struct tree *t, const uint8_t *at, size_t size, struct span *first)
{
	size_t page;
	struct store_page head;
	uint8_t *to = w->level[DEPTH_MAX];
	memcpy(&page, at, sizeof(page));
	if (!read_page(w, t, page, to, &head))
		return false;
	if (head.flags != PAGE_OVERFLOW || head.pages == 0 ||
		(HEAD + size + w->page_size - 1) / w->page_size > head.pages)
		return bad(w, "tree %s: page %zu: no room for the %zu bytes that should be in it",
			kind_names[t->kind], page, size);
	if (!take_pages(w, t, page, head.pages))
		return false;
	if (page + head.pages > w->file_pages)
		return bad(w, "data.mdb ends inside of page %zu", page + head.pages - 1);
	t->counted.overflow_pages += head.pages;
	*first = span_of(to + HEAD, size < w->page_size - HEAD ? size : w->page_size - HEAD);
	return true;
}

static bool check_name(struct walk *w, struct span key, const struct node *n, struct span data)
{
	struct tree t = {0};
	if (n->flags != NODE_TREE || data.len != sizeof(t.has))
		return bad(w, "it is no outbox: data that is not in a database");
	for (t.kind = UNITS; t.kind > NAMES && !span_is(key, kind_names[t.kind]); t.kind--)
		;
	if (t.kind == NAMES || w->name_count == NAMES_MAX)
		return bad(w, "it is no outbox: it has a database that no outbox has");
	memcpy(&t.has, data.ptr, sizeof(t.has));
	if (t.has.flags != (t.kind == MEMORY || t.kind == KEPT || t.kind == UNITS ? 0 : TREE_INTEGER_KEY))
		return bad(w, "database %s has the flags %x", kind_names[t.kind], t.has.flags);
	w->names[w->name_count++] = t;
	return true;
}

static bool check_message(struct walk *w, struct tree *t, struct span key, struct span data, size_t size)
{
	struct outbox_message m;
	uint64_t number;
	memcpy(&number, key.ptr, sizeof(number));
	size_t before =
		t->kind == REFUSED && size >= sizeof(struct refused_head) ? sizeof(struct refused_head) : 0;
	if (t->kind == REFUSED && number == 0) { /* sums */
		if (data.len >= sizeof(w->out->dropped))
			memcpy(&w->out->dropped, data.ptr, sizeof(w->out->dropped));
		return true;
	}
	if (number == 0 || !message_begins(span_after(data, before), size - before, &m))
		return bad(w, "database %s: number %llu is no message", kind_names[t->kind],
			(unsigned long long)number);
	if (t->kind == REFUSED) {
		refused_show(data, size, &w->out->shown[w->out->refused++ % STORE_SHOWN]);
		return true;
	}
	if (w->out->messages++ == 0) {
		w->out->first = number;
		w->out->first_put_ms = m.put_ms;
	}
	w->out->bytes += size;
	w->out->last = number;
	return true;
}

static bool check_memory(struct walk *w, struct span key, struct span data)
{
	int64_t value;
	bool special = *key.ptr == '#';
	if (data.len < sizeof(value) ||
		(!special && data.len != sizeof(value) && data.len != 2 * sizeof(value)))
		return bad(w, "database memory: %zu bytes under one key", data.len);
	memcpy(&value, data.ptr, sizeof(value));
	*(special ? &w->out->special : &w->out->remembered) += 1;
	int64_t put_ms = 0;
	if (data.len == 2 * sizeof(value))
		memcpy(&put_ms, data.ptr + sizeof(value), sizeof(put_ms));
	if (w->each != NULL && !special)
		w->each(w->ctx, key, span_of(NULL, 0), put_ms);
	if (span_is(key, "#last")) {
		w->out->last_seqnum = (uint64_t)value;
		if (data.len > sizeof(value))
			memcpy(&w->out->last_bytes, data.ptr + sizeof(value), sizeof(value));
	}
	return true;
}

/* A list of free pages: a count, and so many page numbers, the highest first. */
static bool check_free(struct walk *w, struct tree *t, struct span key, const struct node *n, const uint8_t *at)
{
	size_t size = node_data(n), txnid, count, before = w->meta->last_page + 1;
	struct span first = span_of(at, size);
	uint8_t *all = NULL;
	memcpy(&txnid, key.ptr, sizeof(txnid));
	if (n->flags == NODE_BIG) {
		if (!read_big(w, t, at, size, &first))
			return false;
		size_t page;
		memcpy(&page, at, sizeof(page));
		all = malloc(size > 0 ? size : 1);
		if (all == NULL)
			return cannot(w);
		if (!read_at(w, all, size, (uint64_t)page * w->page_size + HEAD)) {
			free(all);
			return false;
		}
		first = span_of(all, size);
	}
	bool ok = txnid <= w->meta->txnid && size >= sizeof(count);
	if (ok)
		memcpy(&count, first.ptr, sizeof(count));
	ok = ok && count <= size / sizeof(count) - 1;
	for (size_t i = 1; ok && i <= count; i++) {
		size_t page;
		memcpy(&page, first.ptr + i * sizeof(page), sizeof(page));
		ok = page < before && take_pages(w, t, page, 1);
		before = page;
	}
	free(all);
	return ok || w->condition != STORE_FINE || bad(w, "tree free pages: a list that is none");
}

static bool check_leaf(struct walk *w, struct tree *t, const uint8_t *page, size_t i)
{
	size_t at;
	struct node n = node_at(page, i, &at);
	struct span key = span_of(page + at + sizeof(n), n.key_size), data;
	size_t size = node_data(&n);
	if (!key_follows(w, t, key, false))
		return false;
	t->counted.entries++;
	const uint8_t *value = key.ptr + key.len;
	if (t->kind == FREE_PAGES)
		return check_free(w, t, key, &n, value);
	if (n.flags == NODE_TREE && t->kind != NAMES)
		return bad(w, "database %s has a database in it", kind_names[t->kind]);
	data = span_of(value, size);
	if (n.flags == NODE_BIG && !read_big(w, t, value, size, &data))
		return false;
	if (t->kind == NAMES)
		return check_name(w, key, &n, data);
	if (t->kind == UNITS && w->each != NULL && *key.ptr != '#')
		w->each(w->ctx, key, data, 0);
	if (t->kind == KEPT || t->kind == UNITS) /* who kept it checks it */
		return true;
	return t->kind == MEMORY ? check_memory(w, key, data) : check_message(w, t, key, data, size);
}

/* --- trees --- */

static bool walk_page(struct walk *w, struct tree *t, size_t number, size_t depth)
{
	struct store_page head;
	uint8_t *page = w->level[depth];
	if (!take_pages(w, t, number, 1) || !read_page(w, t, number, page, &head))
		return false;
	bool leaf = depth + 1 == t->has.depth;
	if (head.flags != (leaf ? PAGE_LEAF : PAGE_BRANCH))
		return bad(w, "tree %s: page %zu is of kind %x, %s was expected", kind_names[t->kind], number,
			head.flags, leaf ? "a leaf" : "a branch");
	if (!check_nodes(w, t, page, &head))
		return false;
	size_t count = (head.node.lower - HEAD) / 2;
	*(leaf ? &t->counted.leaf_pages : &t->counted.branch_pages) += 1;
	for (size_t i = 0; i < count; i++) {
		if (leaf) {
			if (!check_leaf(w, t, page, i))
				return false;
			continue;
		}
		size_t at;
		struct node n = node_at(page, i, &at);
		if (i > 0 && !key_follows(w, t, span_of(page + at + sizeof(n), n.key_size), true))
			return false;
		if (!walk_page(w, t, node_page(&n), depth + 1))
			return false;
		if (w->quick) /* the first ones are enough */
			return true;
	}
	return true;
}

static bool walk_tree(struct walk *w, struct tree *t)
{
	const struct store_tree *has = &t->has, *counted = &t->counted;
	if (has->root == NO_PAGE)
		return (has->depth == 0 && has->entries == 0) ||
		       bad(w, "tree %s has %zu entries and no page", kind_names[t->kind], has->entries);
	if (has->depth == 0 || has->depth > DEPTH_MAX)
		return bad(w, "tree %s is %u pages deep", kind_names[t->kind], has->depth);
	if (!walk_page(w, t, has->root, 0))
		return false;
	return w->quick ||
	       (has->entries == counted->entries && has->leaf_pages == counted->leaf_pages &&
		       has->branch_pages == counted->branch_pages &&
		       has->overflow_pages == counted->overflow_pages) ||
	       bad(w, "tree %s has %zu entries on %zu pages, %zu on %zu were expected", kind_names[t->kind],
		       counted->entries, counted->leaf_pages, has->entries, has->leaf_pages);
}

static bool walk_all(struct walk *w)
{
	struct tree free_pages = {.kind = FREE_PAGES, .has = w->meta->free};
	struct tree names = {.kind = NAMES, .has = w->meta->main};
	bool all = !w->quick && w->each == NULL;
	if ((all && !walk_tree(w, &free_pages)) || !walk_tree(w, &names))
		return false;
	for (size_t i = 0; i < w->name_count; i++) {
		struct tree *t = &w->names[i];
		if (w->each != NULL && t->kind != UNITS && t->kind != MEMORY)
			continue;
		if (!walk_tree(w, t))
			return false;
		if (w->quick && t->kind == REFUSED && t->has.entries > 0)
			w->out->refused = t->has.entries - 1; /* less the sums */
		if (w->quick && t->kind == MEMORY)
			w->out->remembered = t->has.entries - w->out->special;
		if (w->quick && t->kind == MESSAGES)
			w->out->messages = t->has.entries;
	}
	if (w->quick)
		w->out->bytes = (size_t)w->out->last_bytes;
	return true;
}

static bool get_memory(struct walk *w)
{
	bool ok = true;
	w->node_size = malloc(w->page_size);
	w->seen = calloc(w->meta->last_page / 8 + 1, 1);
	for (size_t i = 0; i <= DEPTH_MAX; i++)
		ok &= (w->level[i] = malloc(w->page_size)) != NULL;
	return ok && w->node_size != NULL && w->seen != NULL;
}

static enum store_condition walk_file(struct walk *w)
{
	struct stat st;
	*w->out = (struct store_findings){0};
	if (fstat(w->fd, &st) != 0) {
		cannot(w);
		return w->condition;
	}
	w->file_pages = (size_t)st.st_size / w->page_size;
	if (w->meta->last_page / 2 > w->file_pages + FREE_TAIL)
		bad(w, "data.mdb has %zu pages, %zu were expected", w->file_pages, w->meta->last_page + 1);
	else if (!get_memory(w))
		cannot(w);
	else
		walk_all(w);
	free(w->node_size);
	free(w->seen);
	for (size_t i = 0; i <= DEPTH_MAX; i++)
		free(w->level[i]);
	return w->condition;
}

enum store_condition store_check(int fd, const struct store_meta *meta, bool quick, struct store_findings *out)
{
	struct walk w = {.fd = fd, .meta = meta, .out = out, .quick = quick, .page_size = meta->free.pad};
	return walk_file(&w);
}

enum store_condition store_read_units(
	int fd, const struct store_meta *meta, store_each_unit *each, void *ctx, struct store_findings *out)
{
	struct walk w = {
		.fd = fd, .meta = meta, .out = out, .each = each, .ctx = ctx, .page_size = meta->free.pad};
	return walk_file(&w);
}
