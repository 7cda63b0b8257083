// SPDX-License-Identifier: MIT
/* notebook: see notebook.h. */
#include "bridge/outputs/notebook.h"

#include "bridge/base/log.h"
#include "bridge/outputs/queue.h"

#include <stdlib.h>

#define NOTE_BYTES (32 << 10)
#define AT_ONCE 500 /* notes in one turn, of those that wait */

/* What is remembered of a unit. */
struct place {
	bool changed;        /* since its note was written */
	bool waits, hurries; /* it is in that queue */
};

struct notebook {
	const struct config *config;
	struct outbox *outbox;
	struct sessions *sessions;
	size_t place; /* in each session: struct place */
	struct unit_listener listener;
	struct queue waiting, hurrying;
	struct log_limit full;
	uint8_t note[NOTE_BYTES];
};

static struct place *of(const struct notebook *n, struct session *session)
{
	return session_memory(session, n->place);
}

/* Without memory, the next change tries again. */
void notebook_change(struct notebook *n, struct session *session, bool at_once, struct moment now)
{
	struct place *place = of(n, session);
	if (!session->trusted)
		return;
	place->changed = true;
	if (at_once && !place->hurries)
		place->hurries = queue_put(&n->hurrying, session, 0);
	else if (!place->waits && !place->hurries)
		place->waits =
			queue_put(&n->waiting, session, now.steady_ms + n->config->publish.state_interval);
}

void notebook_hurry(struct notebook *n, struct session *session)
{
	struct place *place = of(n, session);
	if (place->changed && !place->hurries)
		place->hurries = queue_put(&n->hurrying, session, 0);
}

/* --- writing --- */

static bool write_note(struct notebook *n, struct session *session, struct moment now)
{
	struct writer w = writer_of(n->note, sizeof(n->note));
	sessions_save(n->sessions, session, &w, now);
	if (!w.full && outbox_keep(n->outbox, KEEP_UNITS, span_text(session->unit.ident), writer_span(&w)))
		return true;
	if (log_limit_take(&n->full, 1, now.steady_ms))
		log_warning("there is no room to keep what is known of unit %s; a restart forgets it: give "
			    "[outbox] size more",
			session->unit.ident);
	return false;
}

static void write_if_changed(struct notebook *n, struct session *session, struct moment now)
{
	struct place *place = of(n, session);
	if (!place->changed)
		return;
	place->changed = false;
	if (!write_note(n, session, now))
		notebook_change(n, session, false, now);
}

void notebook_turn(struct notebook *n, bool last, struct moment now)
{
	for (size_t left = queue_count(&n->hurrying); left > 0; left--) {
		struct session *session = queue_first(&n->hurrying)->session;
		queue_drop_first(&n->hurrying);
		if (session == NULL)
			continue;
		of(n, session)->hurries = false;
		write_if_changed(n, session, now);
	}
	for (size_t left = last ? queue_count(&n->waiting) : AT_ONCE; left > 0; left--) {
		const struct queued *q = queue_first(&n->waiting);
		if (q == NULL || (!last && q->due_ms > now.steady_ms))
			break;
		struct session *session = q->session;
		queue_drop_first(&n->waiting);
		if (session == NULL)
			continue;
		of(n, session)->waits = false;
		write_if_changed(n, session, now);
	}
}

bool notebook_keep(struct notebook *n, const char *name, struct span value)
{
	return outbox_keep(n->outbox, KEEP_UNITS, span_text(name), value);
}

void notebook_read(struct notebook *n, void (*each)(void *ctx, struct span name, struct span value), void *ctx)
{
	outbox_kept(n->outbox, KEEP_UNITS, each, ctx);
}

/* --- what units do --- */

static bool tell(void *ctx, struct session *session, struct moment now)
{
	notebook_change(ctx, session, true, now);
	return true;
}

static bool on_forgotten(void *ctx, struct session *session, struct moment now)
{
	struct notebook *n = ctx;
	(void)now;
	if (!outbox_keep(n->outbox, KEEP_UNITS, span_text(session->unit.ident), span_of(NULL, 0)))
		return false;
	if (of(n, session)->waits)
		queue_leave(&n->waiting, session);
	if (of(n, session)->hurries)
		queue_leave(&n->hurrying, session);
	*of(n, session) = (struct place){0};
	return true;
}

struct notebook *notebook_open(const struct config *config, struct outbox *outbox, struct sessions *sessions)
{
	struct notebook *n = calloc(1, sizeof(*n));
	if (n == NULL)
		return NULL;
	n->config = config;
	n->outbox = outbox;
	n->sessions = sessions;
	n->place = sessions_reserve(sessions, sizeof(struct place));
	n->listener = (struct unit_listener){
		.ctx = n, .tell = tell, .tells_presence = true, .forgotten = on_forgotten};
	return n;
}

void notebook_free(struct notebook *n)
{
	queue_free(&n->waiting);
	queue_free(&n->hurrying);
	free(n);
}

const struct unit_listener *notebook_listener(struct notebook *n)
{
	return &n->listener;
}
