// SPDX-License-Identifier: MIT
/* assembly_room: who pays for messages in parts, and which of them gives way.
 * Uses: nothing else.
 * Not: know which message a part belongs to. */
#include "bridge/units/assembly_private.h"

#include <stdlib.h>

#define OWN_MOST 8       /* messages of one unit by one address */
#define UNIT_MOST 64     /* messages of one unit, by all addresses that name it */
#define SETTLED_MS 10000 /* a message that has been left alone for so long may give way to any other */

/* --- who pays --- */

/* With the entries in the tables that go with it. */
#define MESSAGE_COST (sizeof(struct multipart) + sizeof(struct sender) + sizeof(struct payer))

static unsigned class_of(size_t bytes)
{
	unsigned n = bytes > 0 ? 63u - (unsigned)__builtin_clzll(bytes) : 0;
	return n < SIZE_CLASSES ? n : SIZE_CLASSES - 1;
}

struct payer *assembly_payer(struct assembly *a, const struct assembly_from *from)
{
	struct payer *p = NULL;
	struct payer_key key = {.known = from->known};
	memcpy(key.address, from->address, sizeof(key.address));
	HASH_FIND(hh, a->payers, &key, sizeof(key), p);
	if (p != NULL)
		return p;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return NULL;
	p->key = key;
	p->pool = from->known ? &a->known : &a->strangers;
	HASH_ADD(hh, a->payers, key, sizeof(p->key), p);
	DL_APPEND(p->pool->by_size[0], p);
	return p;
}

void assembly_free_idle(struct assembly *a, struct payer *p)
{
	if (p->bytes > 0 || p == a->paying)
		return;
	DL_DELETE(p->pool->by_size[p->size_class], p);
	HASH_DEL(a->payers, p);
	free(p);
}

/* The message costs so much from now on, and this address pays. */
static void charge(struct multipart *m, struct payer *p, size_t bytes)
{
	struct payer *before = m->payer;
	before->bytes -= m->bytes;
	before->pool->bytes -= m->bytes;
	p->bytes += bytes;
	p->pool->bytes += bytes;
	m->payer = p;
	m->bytes = bytes;
	struct payer *both[] = {before, p};
	for (size_t i = 0; i < 2; i++) {
		struct payer *x = both[i];
		DL_DELETE(x->pool->by_size[x->size_class], x);
		x->size_class = class_of(x->bytes);
		DL_APPEND(x->pool->by_size[x->size_class], x);
	}
}

/* May this address hold so much more? No more than what is then still free. */
static bool has_room(const struct payer *p, size_t bytes)
{
	const struct pool *pool = p->pool;
	size_t used = pool->bytes + bytes;
	return used <= pool->max_bytes && p->bytes + bytes <= pool->max_bytes - used;
}

/* --- messages --- */

static void leave_lines(struct multipart *m)
{
	DL_DELETE(m->payer->pool->oldest, m);
	DL_DELETE2(m->payer->oldest, m, older, newer);
}

static void join_lines(struct multipart *m)
{
	DL_APPEND(m->payer->pool->oldest, m);
	DL_APPEND2(m->payer->oldest, m, older, newer);
}

void assembly_drop_part(struct multipart *m, unsigned index)
{
	struct part *part = &m->part[index];
	if (part->body == NULL)
		return;
	charge(m, m->payer, m->bytes - part->len - BODY_COST);
	free(part->body);
	*part = (struct part){0};
	m->have--;
}

static void drop_parts(struct multipart *m)
{
	for (unsigned i = 0; m->part != NULL && i < m->total; i++)
		assembly_drop_part(m, i);
}

void assembly_drop(struct assembly *a, struct multipart *m)
{
	struct sender *s = m->sender;
	a->given_up += m->part != NULL && m->have > 0;
	leave_lines(m);
	LL_DELETE2(s->messages, m, next_here);
	if (s->messages == NULL) {
		HASH_DEL(a->senders, s);
		free(s);
	}
	drop_parts(m);
	charge(m, m->payer, 0);
	assembly_free_idle(a, m->payer);
	free(m->part);
	free(m->digest);
	free(m);
}

static struct multipart *oldest_but(const struct payer *p, const struct multipart *except)
{
	struct multipart *m = p->oldest;
	return m != NULL && m == except ? m->newer : m;
}

/* Who gives way to this address: the oldest message of an address that pays for much more; else its own oldest; else the
 * oldest of all, if that has been left alone. */
static struct multipart *victim(
	const struct assembly *a, const struct payer *p, size_t bytes, const struct multipart *except)
{
	const struct pool *pool = p->pool;
	struct multipart *m;
	for (unsigned n = SIZE_CLASSES - 1; n > class_of(p->bytes + bytes); n--)
		if (pool->by_size[n] != NULL && (m = oldest_but(pool->by_size[n], except)) != NULL)
			return m;
	m = oldest_but(p, except);
	if (m != NULL || pool->oldest == NULL)
		return m;
	m = pool->oldest == except ? except->next : pool->oldest;
	return m != NULL && a->now_ms - m->touched_ms >= SETTLED_MS ? m : NULL;
}

bool assembly_make_room(struct assembly *a, struct payer *p, size_t bytes, const struct multipart *except)
{
	while (!has_room(p, bytes)) {
		struct multipart *m = victim(a, p, bytes, except);
		if (m == NULL)
			return false;
		assembly_drop(a, m);
	}
	return true;
}

struct sender *assembly_sender(const struct assembly *a, const char *ident)
{
	struct sender *s = NULL;
	HASH_FIND(hh, a->senders, ident, (unsigned)strlen(ident), s);
	return s;
}

static struct sender *sender_of(struct assembly *a, const char *ident)
{
	struct sender *s = assembly_sender(a, ident);
	if (s != NULL)
		return s;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return NULL;
	memcpy(s->ident, ident, strlen(ident));
	HASH_ADD(hh, a->senders, ident, (unsigned)strlen(ident), s);
	return s;
}

/* A unit has only so many messages at a time: its oldest gives way, of this address if that has its share. */
static void limit_messages(struct assembly *a, const struct sender *s, const struct payer *p)
{
	struct multipart *m, *oldest = NULL, *own = NULL;
	unsigned all = 0, count = 0;
	if (s == NULL)
		return;
	LL_FOREACH2(s->messages, m, next_here)
	{
		all++;
		count += m->payer == p;
		if (oldest == NULL || m->touched_ms < oldest->touched_ms)
			oldest = m;
		if (m->payer == p && (own == NULL || m->touched_ms < own->touched_ms))
			own = m;
	}
	if (count >= OWN_MOST)
		assembly_drop(a, own);
	else if (all >= UNIT_MOST)
		assembly_drop(a, oldest);
}

struct multipart *assembly_begin(
	struct assembly *a, const struct assembly_from *from, const struct codec_part *part)
{
	struct payer *p = a->paying;
	limit_messages(a, assembly_sender(a, from->ident), p);
	size_t cost = MESSAGE_COST + part->total * sizeof(struct part);
	if (!assembly_make_room(a, p, cost + part->body.len + BODY_COST, NULL))
		return NULL;
	struct multipart *m = calloc(1, sizeof(*m));
	struct part *parts = calloc(part->total, sizeof(*parts));
	struct sender *s = m != NULL && parts != NULL ? sender_of(a, from->ident) : NULL;
	if (s == NULL) {
		free(m);
		free(parts);
		return NULL;
	}
	*m = (struct multipart){
		.sender = s, .payer = p, .kind = part->kind, .total = part->total, .part = parts};
	m->touched_ms = a->now_ms;
	m->asked_ms = m->late_ms = a->now_ms - ASKED_FOR_MS;
	charge(m, p, cost);
	LL_APPEND2(s->messages, m, next_here);
	join_lines(m);
	return m;
}

void assembly_touch(struct assembly *a, struct multipart *m, struct payer *p, size_t bytes)
{
	struct payer *before = m->payer;
	leave_lines(m);
	charge(m, p, bytes);
	join_lines(m);
	m->touched_ms = a->now_ms;
	assembly_free_idle(a, before);
}

void assembly_keep_digests(struct multipart *m, uint64_t *digest)
{
	drop_parts(m);
	charge(m, m->payer, MESSAGE_COST + m->total * sizeof(*digest));
	free(m->part);
	m->part = NULL;
	m->digest = digest;
}
