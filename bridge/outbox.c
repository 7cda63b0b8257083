/* outbox: a bounded ring of chunks in memory; see outbox.h.
 * May use: the C library. May not: know MQTT, units or formats. */
#include "outbox.h"

#include <stdio.h>
#include <stdlib.h>

#define CHUNK_BYTES (256 * 1024)
#define RESERVE_BYTES (256 * 1024) /* kept for what is not a record, and for the frame at hand */

struct entry {
	uint64_t seqnum;
	uint32_t length; /* topic, correlation data and payload */
	uint16_t topic_length, correlation_length;
	uint8_t content;
	bool retain, done;
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

struct outbox {
	struct chunk *head, *tail, *spare;
	struct cursor next, done; /* where the last call ended: hints */
	uint64_t seqnum, stored;
	size_t size, bytes, count;
};

static size_t entry_size(size_t length)
{
	return (sizeof(struct entry) + length + 7) & ~(size_t)7;
}

static struct entry *entry_at(const struct cursor *c)
{
	return (struct entry *)(void *)(c->chunk->data + c->offset);
}

struct outbox *outbox_open(size_t size, char *why, size_t why_size)
{
	struct outbox *o = calloc(1, sizeof(*o));
	if (o == NULL) {
		snprintf(why, why_size, "no memory for the outbox");
		return NULL;
	}
	o->size = size;
	return o;
}

void outbox_close(struct outbox *o)
{
	while (o->head != NULL) {
		struct chunk *next = o->head->next;
		free(o->head);
		o->head = next;
	}
	free(o->spare);
	free(o);
}

uint64_t outbox_next_seqnum(const struct outbox *o)
{
	return o->seqnum + 1;
}

bool outbox_room(const struct outbox *o)
{
	return o->bytes + RESERVE_BYTES <= o->size;
}

static struct chunk *chunk_for(struct outbox *o, size_t need)
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

uint64_t outbox_put(struct outbox *o, const struct outbox_message *m)
{
	size_t length = m->topic.len + m->correlation.len + m->payload.len, need = entry_size(length);
	if (o->bytes + need > o->size || m->topic.len > UINT16_MAX || m->correlation.len > UINT16_MAX ||
		length > UINT32_MAX)
		return 0;
	struct chunk *c = chunk_for(o, need);
	if (c == NULL)
		return 0;
	struct entry *e = (struct entry *)(void *)(c->data + c->used);
	*e = (struct entry){
		.seqnum = ++o->seqnum,
		.length = (uint32_t)length,
		.topic_length = (uint16_t)m->topic.len,
		.correlation_length = (uint16_t)m->correlation.len,
		.content = (uint8_t)m->content,
		.retain = m->retain,
	};
	uint8_t *body = (uint8_t *)(e + 1);
	struct writer w = writer_of(body, length);
	writer_span_put(&w, m->topic);
	writer_span_put(&w, m->correlation);
	writer_span_put(&w, m->payload);
	c->used += need;
	c->live++;
	o->bytes += need;
	o->count++;
	return e->seqnum;
}

bool outbox_sync(struct outbox *o)
{
	o->stored = o->seqnum;
	return true;
}

/* Moves to the first entry with this number or a later one, from the hint when it is not behind. */
static bool seek(struct outbox *o, struct cursor *c, uint64_t seqnum)
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

bool outbox_next(struct outbox *o, uint64_t after, struct outbox_message *out)
{
	for (uint64_t from = after + 1; from <= o->stored && seek(o, &o->next, from); from++) {
		struct entry *e = entry_at(&o->next);
		if (e->seqnum > o->stored)
			return false;
		from = e->seqnum;
		if (e->done)
			continue;
		const uint8_t *body = (const uint8_t *)(e + 1);
		*out = (struct outbox_message){
			.seqnum = e->seqnum,
			.topic = span_of(body, e->topic_length),
			.correlation = span_of(body + e->topic_length, e->correlation_length),
			.payload = span_of(body + e->topic_length + e->correlation_length,
				e->length - e->topic_length - e->correlation_length),
			.content = (enum content)e->content,
			.retain = e->retain,
		};
		return true;
	}
	return false;
}

static void drop_empty_chunks(struct outbox *o)
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

void outbox_done(struct outbox *o, uint64_t seqnum)
{
	if (!seek(o, &o->done, seqnum))
		return;
	struct entry *e = entry_at(&o->done);
	if (e->seqnum != seqnum || e->done)
		return;
	e->done = true;
	o->bytes -= entry_size(e->length);
	o->count--;
	if (--o->done.chunk->live == 0)
		drop_empty_chunks(o);
}

size_t outbox_count(const struct outbox *o)
{
	return o->count;
}

size_t outbox_bytes(const struct outbox *o)
{
	return o->bytes;
}
