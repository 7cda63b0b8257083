/* events: see events.h. */
#include "bridge/units/events.h"

#include "bridge/base/note.h"

bool events_listen(struct events *e, const struct unit_listener *listener)
{
	if (e->count == EVENTS_LISTENERS_MOST)
		return false;
	unsigned bit = 1u << e->count;
	e->listener[e->count++] = listener;
	e->tellers |= listener->tell != NULL ? bit : 0;
	e->presence |= listener->tell != NULL && listener->tells_presence ? bit : 0;
	e->again |= listener->tell != NULL && listener->tells_again ? bit : 0;
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
	for (unsigned i = 0; i < e->count; i++)
		if (e->listener[i]->room != NULL && !e->listener[i]->room(e->listener[i]->ctx))
			return false;
	return true;
}

bool events_share(const struct events *e, const struct conn *conn, struct moment now)
{
	for (unsigned i = 0; i < e->count; i++)
		if (e->listener[i]->share != NULL && !e->listener[i]->share(e->listener[i]->ctx, conn, now))
			return false;
	return true;
}

enum codec_room events_batch(const struct events *e, size_t records)
{
	enum codec_room room = CODEC_ROOM_YES;
	for (unsigned i = 0; i < e->count && room == CODEC_ROOM_YES; i++)
		if (e->listener[i]->batch != NULL)
			room = e->listener[i]->batch(e->listener[i]->ctx, records);
	return room;
}

bool events_record(const struct events *e, struct session *session, const struct conn *conn,
	struct telemetry *t, struct moment now)
{
	for (unsigned i = 0; i < e->count; i++)
		if (e->listener[i]->record != NULL &&
			!e->listener[i]->record(e->listener[i]->ctx, session, conn, t, now))
			return false;
	return true;
}

void events_reply(
	const struct events *e, struct session *session, const struct command_reply *reply, struct moment now)
{
	for (unsigned i = 0; i < e->count; i++)
		if (e->listener[i]->reply != NULL)
			e->listener[i]->reply(e->listener[i]->ctx, session, reply, now);
}

void events_ready(const struct events *e, struct session *session, struct moment now)
{
	for (unsigned i = 0; i < e->count; i++)
		if (e->listener[i]->ready != NULL)
			e->listener[i]->ready(e->listener[i]->ctx, session, now);
}

void events_offline(const struct events *e, struct session *session, const char *reason, struct moment now)
{
	for (unsigned i = 0; i < e->count; i++)
		if (e->listener[i]->offline != NULL)
			e->listener[i]->offline(e->listener[i]->ctx, session, reason, now);
}

void events_frame(const struct events *e, const struct session *session, bool in, struct span frame,
	const char *error, struct moment now)
{
	for (unsigned i = 0; i < e->count; i++)
		if (e->listener[i]->frame != NULL)
			e->listener[i]->frame(e->listener[i]->ctx, session, in, frame, error, now);
}

void events_unknown(const struct events *e, const struct conn *conn, struct span head, struct moment now)
{
	for (unsigned i = 0; i < e->count; i++)
		if (e->listener[i]->unknown != NULL)
			e->listener[i]->unknown(e->listener[i]->ctx, conn, head, now);
}

void events_save(const struct events *e, struct session *session, struct writer *note)
{
	for (unsigned i = 0; i < e->count; i++) {
		if (e->listener[i]->letter == 0)
			continue;
		size_t begin = note_part_begin(note, e->listener[i]->letter);
		e->listener[i]->save(e->listener[i]->ctx, session, note);
		note_part_end(note, begin);
	}
}

void events_recall(const struct events *e, struct session *session, struct span note)
{
	for (unsigned i = 0; i < e->count; i++)
		if (e->listener[i]->letter != 0)
			e->listener[i]->recall(
				e->listener[i]->ctx, session, note_part(note, e->listener[i]->letter));
}

void events_remembered(const struct events *e, struct session *session, int64_t value)
{
	for (unsigned i = 0; i < e->count; i++)
		if (e->listener[i]->remembered != NULL)
			e->listener[i]->remembered(e->listener[i]->ctx, session, value);
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
	who &= e->tellers;
	for (unsigned i = 0; i < e->count && who >> i != 0; i++) {
		if ((who >> i & 1) == 0)
			continue;
		if (!e->listener[i]->tell(e->listener[i]->ctx, session, now))
			break;
		who &= ~(1u << i);
	}
	return who;
}
