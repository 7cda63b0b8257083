// SPDX-License-Identifier: MIT
/* settling: see settling.h. */
#include "bridge/commands/settling.h"

#include <stdlib.h>

static struct span copy(char **to, struct span from)
{
	char *at = *to;
	if (from.len > 0)
		memcpy(at, from.ptr, from.len);
	*to += from.len;
	return span_of(from.len > 0 ? at : NULL, from.len);
}

bool settling_note(struct waiting *w, const struct outcome *o, struct moment now)
{
	size_t reason = o->reason != NULL ? strlen(o->reason) + 1 : 0;
	size_t reply = o->reply != NULL ? o->reply->frame.len + o->reply->result.len : 0;
	struct settling *s = malloc(sizeof(*s) + reason + reply + o->written.len);
	if (s == NULL)
		return false;
	*s = (struct settling){.outcome = *o, .before = w->stage, .at = now};
	char *to = s->bytes;
	if (reason > 0)
		s->outcome.reason = (const char *)copy(&to, span_of(o->reason, reason)).ptr;
	if (o->reply != NULL) {
		s->reply = *o->reply;
		s->reply.frame = copy(&to, o->reply->frame);
		s->reply.result = copy(&to, o->reply->result);
		s->outcome.reply = &s->reply;
	}
	s->outcome.written = copy(&to, o->written);
	free(w->settling);
	w->settling = s;
	w->stage = STAGE_SETTLING;
	return true;
}
