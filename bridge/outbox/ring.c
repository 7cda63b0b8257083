// SPDX-License-Identifier: MIT
/* ring: see ring.h. */
#include "bridge/outbox/ring.h"

#include <stdlib.h>

#define CHUNK_BYTES (256 * 1024)

struct entry {
	size_t length; /* of the message in message.h's form */
	uint64_t seqnum;
	bool done;
};

struct chunk {
	struct chunk *next;
	size_t used, live; /* bytes; entries that are not done */
	size_t size;
	_Alignas(8) uint8_t data[];
};

struct cursor {
	struct chunk *chunk;
	size_t offset;
};

struct outbox_ring {
	struct chunk *head, *tail, *spare;
	struct cursor next, done; /* where the last search ended, and the next one begins */
	size_t bytes, count;
};

static size_t entry_size(size_t length)
{
	return (sizeof(struct entry) + length + 7) & ~(size_t)7;
}

static struct entry *entry_at(const struct cursor *c)
{
	return (struct entry *)(void *)(c->chunk->data + c->offset);
}

struct outbox_ring *ring_open(void)
{
	return calloc(1, sizeof(struct outbox_ring));
}

void ring_clear(struct outbox_ring *o)
{
	struct chunk *spare = o->spare;
	while (o->head != NULL) {
		struct chunk *next = o->head->next;
		if (spare == NULL && o->head->size == CHUNK_BYTES)
			spare = o->head; /* the next turn of the loop needs a chunk */
		else
			free(o->head);
		o->head = next;
	}
	*o = (struct outbox_ring){.spare = spare};
}

void ring_close(struct outbox_ring *o)
{
	ring_clear(o);
	free(o->spare);
	free(o);
}

static struct chunk *chunk_for(struct outbox_ring *o, size_t need)
{
	if (o->tail != NULL && o->tail->size - o->tail->used >= need)
		return o->tail;
	size_t size = need > CHUNK_BYTES ? need : CHUNK_BYTES;
	struct chunk *c = size == CHUNK_BYTES ? o->spare : NULL;
	if (c != NULL)
		o->spare = NULL;
	else
		c = malloc(sizeof(*c) + size);
	if (c == NULL)
		return NULL;
	*c = (struct chunk){.size = size};
	if (o->tail != NULL)
		o->tail->next = c;
	else
		o->head = c;
	o->tail = c;
	return c;
}

bool ring_put(struct outbox_ring *o, const struct outbox_message *m)
{
	size_t length = message_packed_size(m), need = entry_size(length);
	struct chunk *c = chunk_for(o, need);
	if (c == NULL)
		return false;
	struct entry *e = (struct entry *)(void *)(c->data + c->used);
	*e = (struct entry){.length = length, .seqnum = m->seqnum};
	message_pack(m, (uint8_t *)(e + 1));
	c->used += need;
	c->live++;
	o->bytes += length;
	o->count++;
	return true;
}

/* Moves the cursor to the first entry with this number or a higher one. The search begins at the cursor, or at the first
 * entry when the cursor is behind that number. False: there is none. */
static bool seek_entry(struct outbox_ring *o, struct cursor *c, uint64_t seqnum)
{
	bool usable = c->chunk != NULL && c->offset < c->chunk->used && entry_at(c)->seqnum <= seqnum;
	if (!usable)
		*c = (struct cursor){o->head, 0};
	while (c->chunk != NULL) {
		if (c->offset >= c->chunk->used) {
			if (c->chunk->next == NULL)
				return false;
			*c = (struct cursor){c->chunk->next, 0};
			continue;
		}
		struct entry *e = entry_at(c);
		if (e->seqnum >= seqnum)
			return true;
		c->offset += entry_size(e->length);
	}
	return false;
}

bool ring_next(struct outbox_ring *o, uint64_t after, struct outbox_message *out)
{
	for (uint64_t from = after + 1; seek_entry(o, &o->next, from); from++) {
		struct entry *e = entry_at(&o->next);
		from = e->seqnum;
		if (e->done)
			continue;
		message_unpack(span_of(e + 1, e->length), e->seqnum, out);
		return true;
	}
	return false;
}

static void drop_empty_chunks(struct outbox_ring *o)
{
	while (o->head != NULL && o->head->live == 0) {
		struct chunk *c = o->head;
		o->head = c->next;
		if (o->head == NULL)
			o->tail = NULL;
		if (o->next.chunk == c)
			o->next.chunk = NULL;
		if (o->done.chunk == c)
			o->done.chunk = NULL;
		if (o->spare == NULL && c->size == CHUNK_BYTES)
			o->spare = c;
		else
			free(c);
	}
}

void ring_done(struct outbox_ring *o, uint64_t seqnum)
{
	if (!seek_entry(o, &o->done, seqnum))
		return;
	struct entry *e = entry_at(&o->done);
	if (e->seqnum != seqnum || e->done)
		return;
	e->done = true;
	o->bytes -= e->length;
	o->count--;
	if (--o->done.chunk->live == 0)
		drop_empty_chunks(o);
}

void ring_drop(struct outbox_ring *o, uint64_t upto)
{
	struct outbox_message m;
	for (uint64_t after = 0; ring_next(o, after, &m) && m.seqnum <= upto; after = m.seqnum)
		ring_done(o, m.seqnum);
}

size_t ring_count(const struct outbox_ring *o)
{
	return o->count;
}

size_t ring_bytes(const struct outbox_ring *o)
{
	return o->bytes;
}
