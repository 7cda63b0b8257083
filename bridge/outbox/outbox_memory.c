// SPDX-License-Identifier: MIT
/* outbox_memory: see outbox_memory.h. */
#include "bridge/outbox/outbox_memory.h"

#include "bridge/base/hash.h"

#include <stdlib.h>

struct remembered {
	UT_hash_handle hh;
	int64_t value, put_ms;
	size_t length;
	uint8_t key[];
};

static void forget_key(struct outbox_memory *o, struct remembered *r)
{
	HASH_DEL(o->by_key, r);
	free(r);
	o->count--;
}

void outbox_memory_put(struct outbox_memory *o, const struct outbox_message *m, size_t most)
{
	struct remembered *r;
	struct span key = m->memory_key;
	HASH_FIND(hh, o->by_key, key.ptr, key.len, r);
	if (r != NULL)
		forget_key(o, r);
	if (m->memory_value == MESSAGE_FORGET && most != OUTBOX_MEMORY_ALL)
		return;
	r = malloc(sizeof(*r) + key.len);
	if (r == NULL)
		return;
	memset(r, 0, sizeof(*r));
	r->value = m->memory_value;
	r->put_ms = m->put_ms;
	r->length = key.len;
	memcpy(r->key, key.ptr, key.len);
	HASH_ADD(hh, o->by_key, key, r->length, r);
	o->count++;
	if (o->count > most)
		forget_key(o, o->by_key); /* uthash keeps the order in which they were added */
}

bool outbox_memory_get(const struct outbox_memory *o, struct span key, int64_t *value)
{
	struct remembered *r;
	HASH_FIND(hh, o->by_key, key.ptr, key.len, r);
	if (r != NULL)
		*value = r->value;
	return r != NULL;
}

void outbox_memory_each(const struct outbox_memory *o,
	void (*each)(void *ctx, struct span key, int64_t value, int64_t put_ms), void *ctx)
{
	for (struct remembered *r = o->by_key; r != NULL; r = r->hh.next)
		if (r->value != MESSAGE_FORGET)
			each(ctx, span_of(r->key, r->length), r->value, r->put_ms);
}

void outbox_memory_clear(struct outbox_memory *o)
{
	struct remembered *r, *next;
	HASH_ITER(hh, o->by_key, r, next)
		forget_key(o, r);
}
