// SPDX-License-Identifier: MIT
/* events: see events.h. */
#include "bridge/units/events.h"

#include "bridge/base/note.h"

/* Walks over those that are interested in an event. */
#define EACH(l, e, event)                                                                                      \
	for (unsigned left_ = (e)->hears[event];                                                               \
		left_ != 0 && ((l) = (e)->listener[__builtin_ctz(left_)]) != NULL; left_ &= left_ - 1)

static void note(uint16_t *set, unsigned bit, bool wanted)
{
	*set = (uint16_t)(wanted ? *set | bit : *set & ~bit);
}

bool events_listen(struct events *e, const struct unit_listener *l)
{
	unsigned bit = events_bit(e, l);
	if (bit == 0 && e->count == EVENTS_LISTENERS_MOST)
		return false;
	if (bit == 0) {
		bit = 1u << e->count;
		e->listener[e->count++] = l;
	}
	note(&e->hears[EVENT_ROOM], bit, l->room != NULL);
	note(&e->hears[EVENT_SHARE], bit, l->share != NULL);
	note(&e->hears[EVENT_BATCH], bit, l->batch != NULL);
	note(&e->hears[EVENT_RECORD], bit, l->record != NULL);
	note(&e->hears[EVENT_REPLY], bit, l->reply != NULL);
	note(&e->hears[EVENT_READY], bit, l->ready != NULL);
	note(&e->hears[EVENT_OFFLINE], bit, l->offline != NULL);
	note(&e->hears[EVENT_FRAME], bit, l->frame != NULL);
	note(&e->hears[EVENT_UNKNOWN], bit, l->unknown != NULL);
	note(&e->hears[EVENT_REMEMBERED], bit, l->remembered != NULL);
	note(&e->hears[EVENT_TELL], bit, l->tell != NULL);
	note(&e->hears[EVENT_NOTE], bit, l->letter != 0);
	note(&e->presence, bit, l->tell != NULL && l->tells_presence);
	note(&e->again, bit, l->tell != NULL && l->tells_again);
	return true;
}

unsigned events_bit(const struct events *e, const struct unit_listener *listener)
{
	for (unsigned i = 0; i < e->count; i++)
		if (e->listener[i] == listener)
			return 1u << i;
	return 0;
}

bool events_room(const struct events *e)
{
	const struct unit_listener *l;
	EACH(l, e, EVENT_ROOM)
		if (!l->room(l->ctx))
			return false;
	return true;
}

bool events_share(const struct events *e, const struct conn *conn, struct moment now)
{
	const struct unit_listener *l;
	EACH(l, e, EVENT_SHARE)
		if (!l->share(l->ctx, conn, now))
			return false;
	return true;
}

enum codec_room events_batch(const struct events *e, size_t records)
{
	enum codec_room room = CODEC_ROOM_YES;
	const struct unit_listener *l;
	EACH(l, e, EVENT_BATCH)
		if (room == CODEC_ROOM_YES)
			room = l->batch(l->ctx, records);
	return room;
}

bool events_record(const struct events *e, struct session *session, const struct conn *conn,
	struct telemetry *t, struct moment now)
{
	const struct unit_listener *l;
	EACH(l, e, EVENT_RECORD)
		if (!l->record(l->ctx, session, conn, t, now))
			return false;
	return true;
}

void events_reply(
	const struct events *e, struct session *session, const struct command_reply *reply, struct moment now)
{
	const struct unit_listener *l;
	EACH(l, e, EVENT_REPLY)
		l->reply(l->ctx, session, reply, now);
}

void events_ready(const struct events *e, struct session *session, struct moment now)
{
	const struct unit_listener *l;
	EACH(l, e, EVENT_READY)
		l->ready(l->ctx, session, now);
}

void events_offline(const struct events *e, struct session *session, const char *reason, struct moment now)
{
	const struct unit_listener *l;
	EACH(l, e, EVENT_OFFLINE)
		l->offline(l->ctx, session, reason, now);
}

void events_frame(const struct events *e, const struct session *session, bool in, struct span frame,
	const char *error, struct moment now)
{
	const struct unit_listener *l;
	EACH(l, e, EVENT_FRAME)
		l->frame(l->ctx, session, in, frame, error, now);
}

void events_unknown(
	const struct events *e, const struct conn *conn, const struct stranger *stranger, struct moment now)
{
	const struct unit_listener *l;
	EACH(l, e, EVENT_UNKNOWN)
		l->unknown(l->ctx, conn, stranger, now);
}

void events_save(const struct events *e, struct session *session, struct writer *out)
{
	const struct unit_listener *l;
	EACH(l, e, EVENT_NOTE) {
		size_t begin = note_part_begin(out, l->letter);
		l->save(l->ctx, session, out);
		note_part_end(out, begin);
	}
}

void events_recall(const struct events *e, struct session *session, struct span kept)
{
	const struct unit_listener *l;
	EACH(l, e, EVENT_NOTE)
		l->recall(l->ctx, session, note_part(kept, l->letter));
}

void events_join(const struct events *e, struct session *session, struct span kept, struct moment now)
{
	const struct unit_listener *l;
	EACH(l, e, EVENT_NOTE)
		if (l->join != NULL && note_part(kept, l->letter).len > 0)
			l->join(l->ctx, session, note_part(kept, l->letter), now);
}

void events_remembered(const struct events *e, struct session *session, int64_t value)
{
	const struct unit_listener *l;
	EACH(l, e, EVENT_REMEMBERED)
		l->remembered(l->ctx, session, value);
}

bool events_forgotten(const struct events *e, struct session *session, struct moment now)
{
	for (unsigned i = e->count; i-- > 0;)
		if (e->listener[i]->forgotten != NULL &&
			!e->listener[i]->forgotten(e->listener[i]->ctx, session, now))
			return false;
	return true;
}

bool events_cleared(const struct events *e, const char *ident, const char *name, struct moment now)
{
	for (unsigned i = e->count; i-- > 0;)
		if (e->listener[i]->cleared != NULL &&
			!e->listener[i]->cleared(e->listener[i]->ctx, ident, name, now))
			return false;
	return true;
}

unsigned events_tell(const struct events *e, unsigned who, struct session *session, struct moment now)
{
	who &= e->hears[EVENT_TELL];
	for (unsigned i = 0; i < e->count && who >> i != 0; i++) {
		if ((who >> i & 1) == 0)
			continue;
		if (!e->listener[i]->tell(e->listener[i]->ctx, session, now))
			break;
		who &= ~(1u << i);
	}
	return who;
}
