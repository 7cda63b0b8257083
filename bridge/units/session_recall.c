// SPDX-License-Identifier: MIT
/* session_recall: what is known of a unit outlives the process: it is written as a note, and taken from it at the next start. A unit that
 * was on line is awaited then: it counts as on line until it has had its time to come back.
 * Uses: bridge/base.
 * Not: know where notes are kept, tell anybody. */
#include "bridge/units/session_private.h"

#include "bridge/base/note.h"
#include "bridge/base/topic.h"

#include <stdlib.h>

#define LETTER 's'
#define REASONS_MOST 100
#define REASON_BYTES_MOST 100

static const char not_back[] = "did not come back after a restart";
static const char not_kept[] = "not kept over the restart";

enum { WAS_ONLINE = 1 };

void sessions_save(struct sessions *s, struct session *session, struct writer *note, struct moment now)
{
	bool online = session_is_online(session);
	note_begin(note);
	size_t begin = note_part_begin(note, LETTER);
	writer_u8(note, online ? WAS_ONLINE : 0);
	note_put_number(note, session->since_ms);
	note_put_number(note, session->conn != NULL ? now.unix_ms : session->since_ms);
	note_put_number(note, (int64_t)session->number);
	note_put_text(note, span_text(session->codec != NULL ? session->codec->name : ""));
	note_put_text(note, span_text(session->reason != NULL ? session->reason : ""));
	note_put_text(note, span_text(session->info != NULL ? session->info->topic : ""));
	note_part_end(note, begin);
	events_save(&s->events, session, note);
}

void sessions_remember(struct sessions *s, struct span ident, int64_t value, int64_t heard_ms)
{
	struct session *session =
		topic_ident_ok(ident) && sessions_find(s, ident) == NULL ? sessions_add(s, ident) : NULL;
	if (session == NULL)
		return;
	session->since_ms = heard_ms;
	session->reason = "not heard since the bridge has started";
	session->trusted = true;
	s->trusted++;
	sessions_go(s, session);
	events_remembered(&s->events, session, value);
}

/* A text that lasts as long as the sessions. */
static const char *keep_reason(struct sessions *s, struct span text)
{
	unsigned count = 0;
	for (const struct reason *r = s->reasons; r != NULL; r = r->next, count++)
		if (span_is(text, r->text))
			return r->text;
	struct reason *r = count < REASONS_MOST && text.len <= REASON_BYTES_MOST
				   ? calloc(1, sizeof(*r) + text.len + 1)
				   : NULL;
	if (r == NULL)
		return not_kept;
	struct writer w = writer_of(r->text, text.len);
	writer_span_put(&w, text);
	LL_PREPEND(s->reasons, r);
	return r->text;
}

void sessions_drop_reasons(struct sessions *s)
{
	while (s->reasons != NULL) {
		struct reason *r = s->reasons;
		LL_DELETE(s->reasons, r);
		free(r);
	}
}

bool session_note_read(struct span note, struct unit_note *out)
{
	struct span part = note_part(note, LETTER);
	struct reader r = reader_of(part);
	out->online = reader_u8(&r) & WAS_ONLINE;
	out->since_ms = note_take_number(&r);
	out->heard_ms = note_take_number(&r);
	out->number = note_take_number(&r);
	out->codec = note_take_text(&r);
	out->reason = note_take_text(&r);
	out->name = reader_left(&r) > 0 ? note_take_text(&r) : span_of(NULL, 0);
	return !r.bad;
}

bool sessions_recall(struct sessions *s, struct span ident, struct span note)
{
	struct unit_note n;
	if (!session_note_read(note, &n) || !note_is_one(note) || !topic_ident_ok(ident))
		return false;
	if (sessions_find(s, ident) == NULL)
		sessions_remember(s, ident, 0, n.heard_ms);
	struct session *session = sessions_find(s, ident);
	if (session == NULL)
		return true; /* no memory */
	session->since_ms = n.since_ms;
	session->number = (uint64_t)n.number;
	session->codec = codec_find(n.codec);
	session->reason = n.online ? not_back : keep_reason(s, n.reason);
	session->awaited = n.online;
	session->recalled = true;
	if (n.name.len > 0)
		session->was = strndup((const char *)n.name.ptr, n.name.len);
	events_recall(&s->events, session, note);
	return true;
}

bool sessions_join(struct sessions *s, struct session *session, struct span note, struct moment now)
{
	if (!note_is_one(note))
		return false;
	events_join(&s->events, session, note, now);
	return true;
}

void sessions_expect(struct sessions *s, struct moment now)
{
	struct session *session, *next;
	s->expect_since_ms = now.unix_ms;
	HASH_ITER(hh, s->by_ident, session, next) {
		if (!session->recalled) {
			session->awaited = true;
			session->reason = not_back;
		}
		if (session->awaited)
			s->expect_until_ms = now.steady_ms + s->config->units.comes_back;
		else
			session_set_due(s, session, session->due | s->events.again);
	}
	sessions_sort_gone(s);
}

void sessions_expect_no_more(struct sessions *s, struct moment now)
{
	struct session *session, *next;
	unsigned count = 0;
	if (s->expect_until_ms == 0 || now.steady_ms < s->expect_until_ms)
		return;
	s->expect_until_ms = 0;
	HASH_ITER(hh, s->by_ident, session, next) {
		if (!session->awaited)
			continue;
		session->awaited = false;
		session->since_ms = s->expect_since_ms;
		session_set_due(s, session, session->due | s->events.presence);
		count++;
	}
	sessions_sort_gone(s);
	if (count > 0)
		log_notice("units that were on line before the start and have not come back: %u", count);
}

void sessions_tell_all_again(struct sessions *s)
{
	struct session *session, *next;
	HASH_ITER(hh, s->by_ident, session, next)
		if (session->trusted)
			session_set_due(s, session, session->due | s->events.again);
}
