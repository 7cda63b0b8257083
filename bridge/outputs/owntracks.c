// SPDX-License-Identifier: MIT
/* owntracks: see owntracks.h. */
#include "bridge/outputs/owntracks.h"

#include "codecs/formats/owntracks.h"

#include <stdlib.h>

struct owntracks {
	const struct config *config;
	struct publish *publish;
	struct unit_listener listener;
};

/* trackers/{ident}/x with the unit's name in topics in place of {ident}. */
static struct topic fill_topic(const char *pattern, const char *name)
{
	static const char place[] = "{ident}";
	const char *at = strstr(pattern, place);
	struct topic t;
	struct writer w = writer_of(t.text, sizeof(t.text) - 1);
	writer_bytes(&w, pattern, at != NULL ? (size_t)(at - pattern) : strlen(pattern));
	if (at != NULL) {
		writer_text(&w, name);
		writer_text(&w, at + strlen(place));
	}
	t.text[w.len] = '\0';
	t.len = w.len;
	return t;
}

/* Never retained: the OwnTracks Recorder ignores what is. */
static bool on_record(
	void *ctx, struct session *session, const struct conn *conn, struct telemetry *t, struct moment now)
{
	struct owntracks *o = ctx;
	const char *name = session_topic(session);
	struct span tid = span_text(name);
	if (!owntracks_can(t))
		return true;
	struct topic topic = fill_topic(o->config->owntracks.topic, name);
	struct writer w = publish_writer(o->publish);
	struct emitter e = emitter_of(&emit_json, &w);
	owntracks_emit(t, tid.len > 2 ? span_after(tid, tid.len - 2) : tid, &e);
	struct outbox_message m = publish_message(o->publish, session->unit.ident, &topic, now.unix_ms);
	return publish_put(o->publish, &m, &w, conn, now);
}

struct owntracks *owntracks_open(const struct config *config, struct publish *publish)
{
	struct owntracks *o = calloc(1, sizeof(*o));
	if (o == NULL)
		return NULL;
	o->config = config;
	o->publish = publish;
	o->listener = (struct unit_listener){.ctx = o, .record = on_record};
	return o;
}

void owntracks_free(struct owntracks *o)
{
	free(o);
}

const struct unit_listener *owntracks_listener(struct owntracks *o)
{
	return &o->listener;
}
