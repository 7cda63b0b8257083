// SPDX-License-Identifier: MIT
/* homeassistant: see homeassistant.h. */
#include "bridge/outputs/homeassistant.h"

#include "bridge/base/log.h"
#include "bridge/base/topic.h"
#include "bridge/outputs/homeassistant_device.h"
#include "bridge/outputs/notebook.h"

#include <stdio.h>
#include <stdlib.h>

#define HINTS_A_MINUTE 1
#define LETTER 'h' /* of its part of a note */

struct homeassistant {
	const struct config *config;
	struct publish *publish;
	struct sessions *sessions;
	size_t place; /* in each session: struct homeassistant_unit */
	struct unit_listener listener;
	struct log_limit hints;
};

static struct homeassistant_unit *of(const struct homeassistant *h, struct session *session)
{
	return session_memory(session, h->place);
}

static struct topic plain_topic(const char *format, const char *prefix, const char *ident)
{
	struct topic t;
	int n = snprintf(t.text, sizeof(t.text), format, prefix, ident);
	t.len = n > 0 && (size_t)n < sizeof(t.text) ? (size_t)n : 0;
	return t;
}

struct topic homeassistant_birth_topic(const struct config *config)
{
	return plain_topic("%s/status%s", config->homeassistant.prefix, "");
}

/* --- who is told --- */

/* Are units told that are not in the units file? */
static bool strangers_are_meant(const struct homeassistant *h)
{
	return h->config->homeassistant.unknown && h->config->units.unknown == UNITS_UNKNOWN_ACCEPT;
}

static bool is_meant(const struct homeassistant *h, const struct session *s)
{
	return s->trusted && (s->info != NULL || strangers_are_meant(h));
}

static void hint(struct homeassistant *h, const struct session *s, struct moment now)
{
	if (s->info == NULL && log_limit_take(&h->hints, HINTS_A_MINUTE, now.steady_ms))
		log_notice("Home Assistant is not told of unit %s, which is not in the units file; add it "
			   "there, or set [homeassistant] unknown = yes to tell of all",
			s->unit.ident);
}

/* --- telling --- */

/* `payload` NULL: an empty one, which removes the device there and clears what is retained. */
static bool put_config(const struct config *config, struct publish *publish, const char *ident,
	const struct writer *payload, struct moment now)
{
	struct topic topic =
		plain_topic("%s/device/tracker2mqtt_%s/config", config->homeassistant.prefix, ident);
	struct outbox_message m = publish_message(publish, ident, &topic, now.unix_ms);
	m.retain = payload == NULL || config->homeassistant.retain;
	return publish_put(publish, &m, payload, NULL, now);
}

/* --- when it is switched off --- */

static bool is_left(struct span part)
{
	struct homeassistant_unit unit = {0};
	homeassistant_unit_recall(&unit, part);
	return unit.told;
}

static bool clear_left(
	const struct config *config, struct publish *publish, const struct session *session, struct moment now)
{
	return put_config(config, publish, session->unit.ident, NULL, now);
}

const struct leftover_kind homeassistant_leftover = {LETTER, is_left, clear_left};

/* --- */

/* What is there now; kept at once, for what was told must not be forgotten. */
static void now_told(struct homeassistant *h, struct session *s, bool told, bool retained, struct moment now)
{
	struct homeassistant_unit *u = of(h, s);
	bool changed = u->told != told || u->retained != retained;
	u->told = told;
	u->retained = retained;
	if (changed)
		notebook_change(publish_notebook(h->publish), s, true, now);
}

/* Only what was told is removed: else Home Assistant complains of it in its log. */
static bool remove_unit(struct homeassistant *h, struct session *s, struct moment now)
{
	if (!of(h, s)->told)
		return true;
	if (!put_config(h->config, h->publish, s->unit.ident, NULL, now))
		return false;
	now_told(h, s, false, false, now);
	return true;
}

/* Once it has said something: nothing is told of a unit that has not. */
static bool tell(void *ctx, struct session *s, struct moment now)
{
	struct homeassistant *h = ctx;
	struct homeassistant_unit *u = of(h, s);
	bool retain = h->config->homeassistant.retain;
	if (!is_meant(h, s))
		return remove_unit(h, s, now);
	if (u->seen == 0 || publish_is_asking(h->publish, s))
		return true;
	if (u->retained && !retain && !remove_unit(h, s, now)) /* else the broker would keep the old one */
		return false;
	struct writer w = publish_writer(h->publish);
	struct emitter e = emitter_of(&emit_json, &w);
	homeassistant_document(h->config, s, u, &e);
	if (!put_config(h->config, h->publish, s->unit.ident, &w, now))
		return false;
	now_told(h, s, true, retain, now);
	return true;
}

static void tell_later(void *ctx, struct session *s)
{
	struct homeassistant *h = ctx;
	if (of(h, s)->told || (of(h, s)->seen != 0 && is_meant(h, s)))
		session_tell_later(h->sessions, s, &h->listener);
}

void homeassistant_birth(void *ctx, const struct route_message *message, struct moment now)
{
	struct homeassistant *h = ctx;
	(void)now;
	if (span_is(message->payload, "online"))
		sessions_each(h->sessions, tell_later, h);
}

void homeassistant_reload(struct homeassistant *h)
{
	sessions_each(h->sessions, tell_later, h);
}

/* --- what units do --- */

static bool on_record(
	void *ctx, struct session *session, const struct conn *conn, struct telemetry *t, struct moment now)
{
	struct homeassistant *h = ctx;
	(void)conn;
	if (!session->trusted || !homeassistant_note(of(h, session), session, t))
		return true;
	notebook_change(publish_notebook(h->publish), session, false, now);
	if (!is_meant(h, session))
		hint(h, session, now);
	else if (!tell(h, session, now))
		session_tell_later(h->sessions, session, &h->listener);
	return true;
}

static bool on_forgotten(void *ctx, struct session *session, struct moment now)
{
	struct homeassistant *h = ctx;
	if (!remove_unit(h, session, now))
		return false;
	*of(h, session) = (struct homeassistant_unit){0};
	return true;
}

static void save(void *ctx, struct session *session, struct writer *out)
{
	struct homeassistant *h = ctx;
	if (of(h, session)->seen != 0)
		homeassistant_unit_save(of(h, session), out);
}

/* What was told is told again, as it is now, or removed. */
static void recall(void *ctx, struct session *session, struct span part)
{
	struct homeassistant *h = ctx;
	homeassistant_unit_recall(of(h, session), part);
	if (of(h, session)->told)
		session_tell_later(h->sessions, session, &h->listener);
}

/* Another bridge has told of the unit before: what its records have had is told here, too. */
static void join(void *ctx, struct session *session, struct span part, struct moment now)
{
	struct homeassistant *h = ctx;
	if (!homeassistant_unit_join(of(h, session), part) || !session->trusted)
		return;
	notebook_change(publish_notebook(h->publish), session, false, now);
	session_tell_later(h->sessions, session, &h->listener);
}

/* --- */

struct homeassistant *homeassistant_open(
	const struct config *config, struct publish *publish, struct sessions *sessions)
{
	struct homeassistant *h = calloc(1, sizeof(*h));
	if (h == NULL)
		return NULL;
	h->config = config;
	h->publish = publish;
	h->sessions = sessions;
	h->place = sessions_reserve(sessions, sizeof(struct homeassistant_unit));
	h->listener = (struct unit_listener){
		.ctx = h,
		.record = on_record,
		.tell = tell,
		.tells_again = true,
		.forgotten = on_forgotten,
		.letter = LETTER,
		.save = save,
		.recall = recall,
		.join = join,
	};
	return h;
}

void homeassistant_free(struct homeassistant *h)
{
	free(h);
}

const struct unit_listener *homeassistant_listener(struct homeassistant *h)
{
	return &h->listener;
}
