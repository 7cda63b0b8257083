// SPDX-License-Identifier: MIT
/* asked: see asked.h. */
#include "bridge/outputs/asked.h"

#include "bridge/outputs/dated.h"

#include <stdlib.h>
#include <utlist.h>

#define KEY "alarm-"
#define WAIT_MOST 64 /* of a unit; more are published at once */

struct asked_message {
	struct asked_message *next;
	uint64_t number; /* under which it is kept; 0: it is not */
	uint16_t field;
	enum content content;
	char ident[CODEC_IDENT_MAX + 1], name[61]; /* name: in topics */
	size_t len;
	uint8_t payload[];
};

/* --- kept --- */

static struct span key_of(uint64_t number, char key[40])
{
	snprintf(key, 40, KEY "%020llu", (unsigned long long)number);
	return span_text(key);
}

static void keep(struct asked *all, struct asked_message *m)
{
	char key[40];
	size_t size = m->len + 200;
	uint8_t *value = malloc(size);
	struct writer w = writer_of(value, value != NULL ? size : 0);
	writer_u64(&w, ++all->number);
	writer_u8(&w, (uint8_t)m->content);
	writer_counted(&w, span_text(m->ident));
	writer_counted(&w, span_text(m->name));
	writer_bytes(&w, m->payload, m->len);
	m->number = all->number;
	if (w.full || !publish_keep(all->publish, key_of(m->number, key), writer_span(&w)))
		m->number = 0;
	free(value);
}

static void forget(struct asked *all, struct asked_message *m)
{
	char key[40];
	if (m->number != 0)
		publish_keep(all->publish, key_of(m->number, key), span_of(NULL, 0));
	free(m);
}

static struct asked_message *message_new(
	const char *ident, const char *name, size_t field, struct span payload, enum content content)
{
	struct asked_message *m = calloc(1, sizeof(*m) + payload.len);
	if (m == NULL)
		return NULL;
	snprintf(m->ident, sizeof(m->ident), "%s", ident);
	snprintf(m->name, sizeof(m->name), "%s", name);
	m->field = (uint16_t)field;
	m->content = content;
	m->len = payload.len;
	memcpy(m->payload, payload.ptr, payload.len);
	return m;
}

static void on_kept(void *ctx, struct span key, struct span value)
{
	struct asked *all = ctx;
	struct reader r = reader_of(value);
	char ident[CODEC_IDENT_MAX + 1], name[61];
	if (!span_is(span_part(key, 0, sizeof(KEY) - 1), KEY))
		return;
	uint64_t number = reader_u64(&r);
	uint8_t content = reader_u8(&r);
	struct span who = reader_counted(&r), topic = reader_counted(&r),
		    payload = reader_take(&r, reader_left(&r));
	if (r.bad || who.len > CODEC_IDENT_MAX || topic.len == 0 || topic.len > 60 || content > CONTENT_MSGPACK)
		return;
	span_copy(who, ident, sizeof(ident));
	span_copy(topic, name, sizeof(name));
	struct asked_message *m = message_new(ident, name, 0, payload, (enum content)content);
	if (m == NULL)
		return;
	m->number = number;
	all->number = m->number > all->number ? m->number : all->number;
	LL_APPEND(all->late, m);
}

void asked_restore(struct asked *all)
{
	publish_kept(all->publish, on_kept, all);
}

/* --- published --- */

/* False: no room. */
static bool put(struct asked *all, struct asked_message *m, struct moment now)
{
	struct topic topic = topic_unit(all->config->publish.prefix, m->name, "alarm");
	struct outbox_message message = publish_message(all->publish, m->ident, &topic, now.unix_ms);
	struct writer w = writer_of(m->payload, m->len);
	w.len = m->len;
	message.content = m->content;
	bool ok = publish_put(all->publish, &message, &w, NULL, now);
	stats_add(all->stats, STAT_ALARMS, ok);
	return ok;
}

static void put_or_late(struct asked *all, struct asked_message *m, struct moment now)
{
	if (put(all, m, now))
		forget(all, m);
	else
		LL_APPEND(all->late, m);
}

void asked_turn(struct asked *all, struct moment now)
{
	while (all->late != NULL && put(all, all->late, now)) {
		struct asked_message *m = all->late;
		LL_DELETE(all->late, m);
		forget(all, m);
	}
}

/* --- a unit --- */

/* One alarm of the record. */
static bool ask(struct asked *all, struct asked_unit *u, const struct session *session, const struct conn *conn,
	struct telemetry *t, size_t field, struct moment now)
{
	struct asked_message *last = NULL, *m;
	unsigned count = 0;
	LL_COUNT(u->messages, last, count);
	struct topic topic = topic_unit(all->config->publish.prefix, session_topic(session), "alarm");
	struct outbox_message message = publish_message(all->publish, session->unit.ident, &topic, now.unix_ms);
	memset(t->alarms, 0, sizeof(t->alarms));
	params_add(t->alarms, field);
	struct writer w = publish_record(all->publish, t, &message);
	bool waits = !params_have(u->off, field) && count < WAIT_MOST && !w.full;
	m = waits ? message_new(session->unit.ident, session_topic(session), field, writer_span(&w),
			    message.content)
		  : NULL;
	if (m == NULL) {
		bool ok = publish_put(all->publish, &message, &w, conn, now);
		stats_add(all->stats, STAT_ALARMS, ok);
		return ok;
	}
	keep(all, m);
	LL_APPEND(u->messages, m);
	return true;
}

bool asked_record(struct asked *all, struct asked_unit *u, const struct session *session,
	const struct conn *conn, struct telemetry *t, struct moment now)
{
	int64_t date_ms = date_of(t, now.unix_ms);
	struct alarms after = u->own;
	uint64_t raised[TM_WORDS];
	bool newest = date_ms >= u->own.newest_ms;
	alarms_raise(&after, t, date_ms);
	memcpy(raised, t->alarms, sizeof(raised));
	for (size_t field = 0; field < TM_FIELD_COUNT; field++)
		if (params_have(raised, field) && !ask(all, u, session, conn, t, field, now))
			return false;
	u->own = after;
	for (size_t w = 0; w < TM_WORDS && newest; w++) {
		u->seen[w] |= t->present[w];
		u->off[w] |= t->present[w] & ~t->truth[w];
	}
	return true;
}

/* What the records here said, behind what was known before. */
static void add_own(const struct asked_unit *u, struct alarms *known)
{
	bool newest = u->own.newest_ms >= known->newest_ms;
	uint64_t *set = newest ? known->now : known->stored;
	if (!newest && u->own.newest_ms > known->until_ms) {
		memset(known->stored, 0, sizeof(known->stored));
		known->until_ms = known->newest_ms;
	}
	for (size_t w = 0; w < TM_WORDS; w++)
		set[w] = (set[w] & ~u->seen[w]) | (u->own.now[w] & u->seen[w]);
	if (newest)
		known->newest_ms = u->own.newest_ms;
}

void asked_answer(struct asked *all, struct asked_unit *u, struct alarms *known, struct moment now)
{
	bool newest = u->own.newest_ms >= known->newest_ms;
	while (u->messages != NULL) {
		struct asked_message *m = u->messages;
		LL_DELETE(u->messages, m);
		if (params_have(known->now, m->field) || (!newest && params_have(known->stored, m->field))) {
			forget(all, m);
			continue;
		}
		put_or_late(all, m, now);
	}
	if (params_any(u->seen))
		add_own(u, known);
}

void asked_free(struct asked *all)
{
	while (all->late != NULL) {
		struct asked_message *m = all->late;
		LL_DELETE(all->late, m);
		free(m); /* it stays kept */
	}
}
