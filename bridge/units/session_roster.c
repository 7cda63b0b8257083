// SPDX-License-Identifier: MIT
/* session_roster: ident -> session: all units, on line and remembered, and those that have been gone longest.
 * Uses: nothing else.
 * Not: know connections, tell anybody. */
#include "bridge/units/session_private.h"

#include <stdlib.h>

#define CROWDED_MS                                                                                             \
	(24 * 3600 * 1000LL) /* when all places are taken, who has been away for so long gives one up */

struct session *sessions_find(const struct sessions *s, struct span ident)
{
	struct session *session = NULL;
	HASH_FIND(hh, s->by_ident, ident.ptr, (unsigned)ident.len, session);
	return session;
}

struct session *session_known(struct sessions *s, struct span ident)
{
	return sessions_find(s, ident);
}

struct session *session_find(struct sessions *s, struct span ident)
{
	struct session *session = sessions_find(s, ident);
	return session != NULL && session->conn != NULL ? session : NULL;
}

void sessions_each(struct sessions *s, void (*each)(void *ctx, struct session *session), void *ctx)
{
	struct session *session, *next;
	HASH_ITER(hh, s->by_ident, session, next)
		each(ctx, session);
}

struct session *sessions_add(struct sessions *s, struct span ident)
{
	struct session *session = calloc(1, s->session_bytes);
	if (session == NULL)
		return NULL;
	memcpy(session->unit.ident, ident.ptr, ident.len);
	HASH_ADD(hh, s->by_ident, unit.ident, (unsigned)ident.len, session);
	return session;
}

const struct codec *session_codec(struct sessions *s, struct span ident)
{
	struct session *session = sessions_find(s, ident);
	return session != NULL ? session->codec : NULL;
}

void session_set_due(struct sessions *s, struct session *session, unsigned due)
{
	s->due += session->due == 0 && due != 0;
	s->due -= session->due != 0 && due == 0;
	session->due = (uint16_t)due;
}

/* --- those that are gone --- */

/* NULL: in none. */
static struct gone_list *list_of(struct sessions *s, const struct session *session)
{
	if (session->info != NULL)
		return NULL;
	return &s->gone[session->trusted ? GONE_TRUSTED : GONE_STRANGERS];
}

void sessions_go(struct sessions *s, struct session *session)
{
	struct gone_list *list = list_of(s, session);
	if (list == NULL)
		return;
	DL_APPEND(list->head, session);
	list->count++;
}

void sessions_come_back(struct sessions *s, struct session *session)
{
	struct gone_list *list = list_of(s, session);
	if (list == NULL || session->prev == NULL)
		return;
	DL_DELETE(list->head, session);
	list->count--;
	session->prev = session->next = NULL;
}

void sessions_forget(struct sessions *s, struct session *session)
{
	if (session->conn == NULL)
		sessions_come_back(s, session);
	if (s->walk == session)
		s->walk = session->hh.next;
	s->due -= session->due != 0;
	s->trusted -= session->trusted && session->info == NULL;
	HASH_DEL(s->by_ident, session);
	free(session->was);
	free(session);
}

static int by_age(const struct session *a, const struct session *b)
{
	return (a->since_ms > b->since_ms) - (a->since_ms < b->since_ms);
}

void sessions_sort_gone(struct sessions *s)
{
	for (size_t kind = 0; kind < GONE_KINDS; kind++)
		DL_SORT(s->gone[kind].head, by_age);
}

static size_t memory_most(const struct sessions *s)
{
	size_t wanted = (size_t)s->config->units.remembered;
	return wanted < s->memory_most ? wanted : s->memory_most;
}

bool sessions_remember_more(const struct sessions *s)
{
	return s->trusted < memory_most(s);
}

struct session *sessions_outdated(struct sessions *s, struct moment now)
{
	struct session *oldest = s->gone[GONE_TRUSTED].head;
	if (oldest == NULL || oldest->awaited)
		return NULL;
	if (oldest->since_ms < CLOCK_SET_MS || oldest->since_ms > now.unix_ms)
		oldest->since_ms = now.unix_ms; /* one of the two clocks was wrong: it counts from now */
	int64_t away = now.unix_ms - oldest->since_ms;
	size_t most = memory_most(s);
	bool go = away > s->config->units.remember || s->trusted > most ||
		  (s->trusted == most && away > CROWDED_MS);
	return go ? oldest : NULL;
}
