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
	uint64_t last;            /* the highest number in it */
	size_t used, count, live; /* bytes; entries; entries that are not done */
	size_t size;
	_Alignas(8) uint8_t data[]; /* the entries; where each begins stands at the end, the first one last */
};

struct place {
	size_t chunk, entry;
};

struct outbox_ring {
	struct chunk **chunk; /* those from `head` on, `chunks` of them; there is room for `room` */
	size_t head, chunks, room;
	struct chunk *spare;
	size_t bytes, count;
};

static size_t entry_size(size_t length)
{
	return (sizeof(struct entry) + length + 7) & ~(size_t)7;
}

static uint32_t *offset_of(struct chunk *c, size_t i)
{
	return (uint32_t *)(void *)(c->data + c->size) - 1 - i;
}

static struct entry *entry_of(struct chunk *c, size_t i)
{
	return (struct entry *)(void *)(c->data + *offset_of(c, i));
}

static struct chunk *chunk_of(const struct outbox_ring *o, size_t i)
{
	return o->chunk[o->head + i];
}

struct outbox_ring *ring_open(void)
{
	return calloc(1, sizeof(struct outbox_ring));
}

/* The first chunk goes; the next one that is needed may take its memory. */
static void drop_chunk(struct outbox_ring *o)
{
	struct chunk *c = chunk_of(o, 0);
	o->head++;
	if (--o->chunks == 0)
		o->head = 0;
	if (o->spare == NULL && c->size == CHUNK_BYTES)
		o->spare = c;
	else
		free(c);
}

void ring_clear(struct outbox_ring *o)
{
	while (o->chunks > 0)
		drop_chunk(o);
	o->bytes = o->count = 0;
}

void ring_close(struct outbox_ring *o)
{
	ring_clear(o);
	free(o->spare);
	free(o->chunk);
	free(o);
}

/* Makes room for one more in the list of chunks. */
static bool make_place(struct outbox_ring *o)
{
	if (o->head + o->chunks < o->room)
		return true;
	if (o->head > o->room / 2) {
		memmove(o->chunk, o->chunk + o->head, o->chunks * sizeof(*o->chunk));
		o->head = 0;
		return true;
	}
	size_t room = o->room > 0 ? o->room * 2 : 16;
	struct chunk **grown = realloc(o->chunk, room * sizeof(*grown));
	if (grown == NULL)
		return false;
	o->chunk = grown;
	o->room = room;
	return true;
}

static struct chunk *chunk_for(struct outbox_ring *o, size_t need)
{
	struct chunk *c = o->chunks > 0 ? chunk_of(o, o->chunks - 1) : NULL;
	if (c != NULL && c->size - c->used - c->count * sizeof(uint32_t) >= need)
		return c;
	if (!make_place(o))
		return NULL;
	size_t size = need > CHUNK_BYTES ? (need + 7) & ~(size_t)7 : CHUNK_BYTES;
	c = size == CHUNK_BYTES ? o->spare : NULL;
	if (c != NULL)
		o->spare = NULL;
	else
		c = malloc(sizeof(*c) + size);
	if (c == NULL)
		return NULL;
	*c = (struct chunk){.size = size};
	o->chunk[o->head + o->chunks++] = c;
	return c;
}

bool ring_put(struct outbox_ring *o, const struct outbox_message *m)
{
	size_t length = message_packed_size(m), need = entry_size(length);
	struct chunk *c = chunk_for(o, need + sizeof(uint32_t));
	if (c == NULL)
		return false;
	*offset_of(c, c->count++) = (uint32_t)c->used;
	struct entry *e = entry_of(c, c->count - 1);
	*e = (struct entry){.length = length, .seqnum = m->seqnum};
	message_pack(m, (uint8_t *)(e + 1));
	c->last = m->seqnum;
	c->used += need;
	c->live++;
	o->bytes += length;
	o->count++;
	return true;
}

/* Where the first entry with this number or a higher one is. False: there is none. */
static bool seek(const struct outbox_ring *o, uint64_t seqnum, struct place *out)
{
	size_t from = 0, to = o->chunks;
	while (from < to) {
		size_t middle = from + (to - from) / 2;
		if (chunk_of(o, middle)->last < seqnum)
			from = middle + 1;
		else
			to = middle;
	}
	out->chunk = from;
	if (from == o->chunks)
		return false;
	struct chunk *c = chunk_of(o, from);
	/* the place of the entry when no number is missing behind it; else it is behind this place */
	uint64_t behind = c->last - seqnum;
	from = behind < c->count ? c->count - 1 - (size_t)behind : 0;
	to = entry_of(c, from)->seqnum >= seqnum ? from : c->count;
	while (from < to) {
		size_t middle = from + (to - from) / 2;
		if (entry_of(c, middle)->seqnum < seqnum)
			from = middle + 1;
		else
			to = middle;
	}
	out->entry = from;
	return true;
}

bool ring_next(struct outbox_ring *o, uint64_t after, struct outbox_message *out)
{
	struct place at;
	if (!seek(o, after + 1, &at))
		return false;
	for (; at.chunk < o->chunks; at = (struct place){at.chunk + 1, 0}) {
		struct chunk *c = chunk_of(o, at.chunk);
		for (; c->live > 0 && at.entry < c->count; at.entry++) {
			struct entry *e = entry_of(c, at.entry);
			if (e->done)
				continue;
			message_unpack(span_of(e + 1, e->length), e->seqnum, out);
			return true;
		}
	}
	return false;
}

void ring_done(struct outbox_ring *o, uint64_t seqnum)
{
	struct place at;
	struct entry *e = seek(o, seqnum, &at) ? entry_of(chunk_of(o, at.chunk), at.entry) : NULL;
	if (e == NULL || e->seqnum != seqnum || e->done)
		return;
	e->done = true;
	o->bytes -= e->length;
	o->count--;
	chunk_of(o, at.chunk)->live--;
	while (o->chunks > 0 && chunk_of(o, 0)->live == 0)
		drop_chunk(o);
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
