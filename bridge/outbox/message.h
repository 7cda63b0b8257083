// SPDX-License-Identifier: MIT
/* message: one outgoing MQTT publication, and its form as bytes, in memory and on disk.
 * Uses: codecs/record.
 * Not: know MQTT or units.
 *
 * The form: struct message_head, then topic, correlation data, memory key and payload. Host byte order: an outbox stays on
 * its machine. */
#ifndef T2M_MESSAGE_H
#define T2M_MESSAGE_H

#include "codecs/record/bytes.h"

enum content { CONTENT_JSON = 0, CONTENT_MSGPACK };

struct outbox_message {
	uint64_t seqnum; /* its number; outbox_put gives it */
	struct span topic, payload;
	struct span correlation; /* MQTT 5 correlation data; mostly empty */
	enum content content;
	bool retain;
	bool retain_if_newest; /* `retain` holds only while nothing newer than memory_value is remembered under memory_key */
	uint64_t order;         /* messages with the same `order` stay in order: see outbox_order */
	int64_t put_ms;         /* Unix time */
	struct span memory_key; /* the outbox remembers memory_value and put_ms under it; empty: nothing */
	int64_t memory_value;   /* MESSAGE_FORGET: the outbox forgets the key */
};

#define MESSAGE_FORM 1
#define MESSAGE_FORGET INT64_MIN

enum { MESSAGE_RETAIN = 1, MESSAGE_RETAIN_IF_NEWEST = 2 };

struct message_head {
	uint8_t form, content, flags, zero;             /* form: MESSAGE_FORM; flags: MESSAGE_RETAIN ... */
	uint16_t topic, correlation, memory_key, zeros; /* lengths */
	uint64_t order;
	int64_t put_ms, memory_value;
};

static inline size_t message_packed_size(const struct outbox_message *m)
{
	return sizeof(struct message_head) + m->topic.len + m->correlation.len + m->memory_key.len +
	       m->payload.len;
}

/* Writes message_packed_size bytes. The topic, the correlation data and the memory key are shorter than 65,536 bytes each. */
static inline void message_pack(const struct outbox_message *m, uint8_t *out)
{
	struct message_head head = {
		.form = MESSAGE_FORM,
		.content = (uint8_t)m->content,
		.flags = (uint8_t)((m->retain ? MESSAGE_RETAIN : 0) |
				   (m->retain_if_newest ? MESSAGE_RETAIN_IF_NEWEST : 0)),
		.topic = (uint16_t)m->topic.len,
		.correlation = (uint16_t)m->correlation.len,
		.memory_key = (uint16_t)m->memory_key.len,
		.order = m->order,
		.put_ms = m->put_ms,
		.memory_value = m->memory_value,
	};
	struct writer w = writer_of(out, message_packed_size(m));
	writer_bytes(&w, &head, sizeof(head));
	writer_span_put(&w, m->topic);
	writer_span_put(&w, m->correlation);
	writer_span_put(&w, m->memory_key);
	writer_span_put(&w, m->payload);
}

/* False: these bytes are no message. The spans of *m point into them. */
static inline bool message_unpack(struct span in, uint64_t seqnum, struct outbox_message *m)
{
	struct message_head head;
	if (in.len < sizeof(head))
		return false;
	memcpy(&head, in.ptr, sizeof(head));
	struct reader r = reader_of(span_after(in, sizeof(head)));
	m->seqnum = seqnum;
	m->topic = reader_take(&r, head.topic);
	m->correlation = reader_take(&r, head.correlation);
	m->memory_key = reader_take(&r, head.memory_key);
	m->payload = reader_take(&r, reader_left(&r));
	m->content = (enum content)head.content;
	m->retain = head.flags & MESSAGE_RETAIN;
	m->retain_if_newest = head.flags & MESSAGE_RETAIN_IF_NEWEST;
	m->order = head.order;
	m->put_ms = head.put_ms;
	m->memory_value = head.memory_value;
	return !r.bad && head.form == MESSAGE_FORM && head.content <= CONTENT_MSGPACK;
}

/* The same for the first bytes of a message that has `size` bytes in all; only order, put_ms and memory_value are set. */
static inline bool message_begins(struct span start, size_t size, struct outbox_message *m)
{
	struct message_head head;
	if (start.len < sizeof(head) || size < sizeof(head))
		return false;
	memcpy(&head, start.ptr, sizeof(head));
	*m = (struct outbox_message){
		.order = head.order, .put_ms = head.put_ms, .memory_value = head.memory_value};
	return (size_t)head.topic + head.correlation + head.memory_key <= size - sizeof(head) &&
	       head.form == MESSAGE_FORM && head.content <= CONTENT_MSGPACK;
}

#endif
