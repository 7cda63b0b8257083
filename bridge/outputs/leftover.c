// SPDX-License-Identifier: MIT
/* leftover: see leftover.h. */
#include "bridge/outputs/leftover.h"

#include "bridge/outputs/notebook.h"

#include <stdlib.h>

struct leftover {
	const struct config *config;
	struct publish *publish;
	struct sessions *sessions;
	const struct leftover_kind *kind;
	size_t place; /* in each session: bool, something is left */
	struct unit_listener listener;
};

static bool *of(const struct leftover *l, struct session *session)
{
	return session_memory(session, l->place);
}

/* Stands in the note while it is not cleared yet; no output writes such a part. */
static const char mark[] = "left";

static void save(void *ctx, struct session *session, struct writer *out)
{
	if (*of(ctx, session))
		writer_text(out, mark);
}

static void recall(void *ctx, struct session *session, struct span part)
{
	struct leftover *l = ctx;
	if (part.len == 0 || !(span_is(part, mark) || l->kind->is_left(part)))
		return;
	*of(l, session) = true;
	session_tell_later(l->sessions, session, &l->listener);
}

static bool tell(void *ctx, struct session *session, struct moment now)
{
	struct leftover *l = ctx;
	if (!*of(l, session))
		return true;
	if (!l->kind->clear(l->config, l->publish, session, now))
		return false;
	*of(l, session) = false;
	notebook_change(publish_notebook(l->publish), session, true, now);
	return true;
}

struct leftover *leftover_open(const struct config *config, struct publish *publish, struct sessions *sessions,
	const struct leftover_kind *kind)
{
	struct leftover *l = calloc(1, sizeof(*l));
	if (l == NULL)
		return NULL;
	l->config = config;
	l->publish = publish;
	l->sessions = sessions;
	l->kind = kind;
	l->place = sessions_reserve(sessions, sizeof(bool));
	l->listener = (struct unit_listener){.ctx = l,
		.tell = tell,
		.letter = kind->letter,
		.save = save,
		.recall = recall,
		.forgotten = tell};
	return l;
}

void leftover_free(struct leftover *l)
{
	free(l);
}

const struct unit_listener *leftover_listener(struct leftover *l)
{
	return &l->listener;
}
