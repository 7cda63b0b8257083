// SPDX-License-Identifier: MIT
/* outcome: see outcome.h. */
#include "bridge/commands/outcome.h"

#define LINES_A_MINUTE 30 /* of each kind */

/* In each FLOOD_MS so many requests that no unit takes now (rejected, held, or offline at once) get a reply. Further ones
 * are only counted, so that those who may publish requests cannot fill the outbox. */
#define FLOOD_MOST 10000
#define FLOOD_MS 10000

static const struct {
	const char *word;
	enum counter counter; /* STAT_COUNT: none */
	const char *more;     /* for the line that says how many were left out of the log */
} outcome_table[OUTCOME_COUNT] = {
	[OUTCOME_HELD] = {"held", STAT_COUNT, "held"},
	[OUTCOME_SENT] = {"sent", STAT_COMMANDS_SENT, "sent"},
	[OUTCOME_ANSWERED] = {"answered", STAT_COMMANDS_ANSWERED, "answered"},
	[OUTCOME_TIMEOUT] = {"timeout", STAT_COMMANDS_TIMEOUT, "not sent or not answered in time"},
	[OUTCOME_OFFLINE] = {"offline", STAT_COMMANDS_OFFLINE, "for units that were or went off line"},
	[OUTCOME_EXPIRED] = {"expired", STAT_COMMANDS_EXPIRED, "expired"},
	[OUTCOME_REJECTED] = {"rejected", STAT_COMMANDS_REJECTED, "rejected"},
};

static bool is_text(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] == 0x7e || s.ptr[i] > 0x7e ||
			(s.ptr[i] < 0x20 && s.ptr[i] != '\r' && s.ptr[i] != '\n'))
			return false;
	return true;
}

/* A text frame is written as text, a binary frame as hex. */
static void emit_frame(struct emitter *e, const char *key, struct span frame)
{
	uint8_t hex[8 * 1024];
	struct writer w = writer_of(hex, sizeof(hex));
	if (!is_text(frame))
		writer_hex(&w, frame);
	emit_pair_text(e, key, is_text(frame) ? frame : writer_span(&w));
}

static unsigned one_if(bool there)
{
	return there ? 1 : 0;
}

/* A message that comes twice has the same number. In a cluster a reply is written before it is published, perhaps by another bridge: its number is
 * that of no other reply of this bridge. */
static uint64_t next_seqnum(struct outcomes *all)
{
	uint64_t next = publish_next_seqnum(all->publish);
	if (all->instance == NULL)
		return next;
	all->seqnum = next > all->seqnum ? next : all->seqnum + 1;
	return all->seqnum;
}

bool outcome_write(struct outcomes *all, const struct outcome_subject *s, struct outcome o, struct moment now,
	struct writer *out)
{
	struct emitter e = emitter_of(&emit_json, out);
	bool id = *s->id != '\0', name = *s->name != '\0', frame = s->frame.len > 0;
	bool reply = o.reply != NULL, result = reply && o.reply->result.len > 0;
	bool instance = all->instance != NULL;
	emit_map(&e, 4 + one_if(instance) + one_if(id) + one_if(name) + one_if(frame) +
			     one_if(o.reason != NULL) + 2 * one_if(reply) + one_if(result));
	emit_pair_text(&e, "ident", span_text(s->ident));
	if (id)
		emit_pair_text(&e, "id", span_text(s->id));
	emit_pair_text(&e, "status", span_text(outcome_table[o.status].word));
	if (name)
		emit_pair_text(&e, "command", span_text(s->name));
	if (frame)
		emit_frame(&e, "frame", s->frame);
	if (reply)
		emit_frame(&e, "reply", o.reply->frame);
	if (result)
		emit_pair_text(&e, "result", o.reply->result);
	if (o.reason != NULL)
		emit_pair_text(&e, "reason", span_text(o.reason));
	if (reply) {
		emit_key(&e, "elapsed");
		emit_fixed(&e, s->answered_ms - s->sent_ms, 3);
	}
	emit_key(&e, "server.timestamp");
	emit_fixed(&e, now.unix_ms, 3);
	emit_key(&e, "server.seqnum");
	emit_integer(&e, (int64_t)next_seqnum(all));
	if (instance)
		emit_pair_text(&e, "server.instance", span_text(all->instance));
	emit_end(&e);
	return !out->full;
}

static bool outcome_publish(
	struct outcomes *all, const struct outcome_subject *s, struct outcome o, struct moment now)
{
	uint8_t buf[OUTCOME_WRITTEN_MOST];
	struct writer out = writer_of(buf, sizeof(buf));
	bool end = o.status > OUTCOME_SENT;
	struct span none = span_of(NULL, 0);
	if (o.written.len == 0 && !outcome_write(all, s, o, now, &out))
		return false;
	return publish_reply(all->publish, s->ident, s->topic,
		o.written.len > 0 ? o.written : writer_span(&out), end ? s->response_topic : none,
		end ? s->correlation : none, now.unix_ms);
}

/* What a command is called in the log: engine.stop, S20, RELAY. A word that looks different may be a password, so it is not
 * logged. */
static const char *shown_name(const struct outcome_subject *s)
{
	size_t letters = 0, digits = 0;
	if (s->named)
		return s->name[strspn(s->name, "abcdefghijklmnopqrstuvwxyz.")] == '\0' ? s->name
										       : "an unknown name";
	while (s->name[letters] >= 'A' && s->name[letters] <= 'Z')
		letters++;
	while (byte_is_digit((uint8_t)s->name[letters + digits]))
		digits++;
	bool word = letters >= 1 && letters <= 8 && digits <= 2 && s->name[letters + digits] == '\0';
	return word ? s->name : "a text";
}

static void log_it(struct outcomes *all, const struct outcome_subject *s, struct outcome o, struct moment now)
{
	const char *word = outcome_table[o.status].word;
	if (log_wants(LOG_LEVEL_DEBUG))
		log_debug("command for unit %s: %s: frame %s%s%s", s->ident, word, log_frame(s->frame).text,
			o.reason ? ": " : "", o.reason ? o.reason : "");
	if (o.status <= OUTCOME_SENT || !log_limit_take(&all->lines[o.status], LINES_A_MINUTE, now.steady_ms))
		return;
	bool reason = o.reason != NULL && !o.quotes;
	log_notice("command for unit %s: %s: %s%s%s", s->ident, shown_name(s), word, reason ? ": " : "",
		reason ? o.reason : "");
}

bool outcome_room(const struct outcomes *all, struct moment now)
{
	return now.steady_ms - all->flood_since_ms >= FLOOD_MS || all->flood < FLOOD_MOST;
}

/* Counts a request of which nothing was told before. False: it is one too many in the seconds at hand. */
static bool count_fresh(struct outcomes *all, const struct outcome_subject *s, struct moment now)
{
	if (!s->fresh)
		return true;
	if (now.steady_ms - all->flood_since_ms >= FLOOD_MS) {
		all->flood_since_ms = now.steady_ms;
		all->flood = 0;
	}
	return all->flood++ < FLOOD_MOST;
}

bool outcome_tell(struct outcomes *all, const struct outcome_subject *s, struct outcome o, struct moment now)
{
	if (outcome_table[o.status].counter != STAT_COUNT)
		stats_add(all->stats, outcome_table[o.status].counter, 1);
	log_it(all, s, o, now);
	if (!count_fresh(all, s, now)) {
		stats_add(all->stats, STAT_COMMANDS_UNTOLD, 1);
		if (log_limit_take(&all->untold, 1, now.steady_ms))
			log_warning(
				"more than %d commands in %d s were rejected or had no unit: the others get no "
				"reply (counter commands.untold)",
				FLOOD_MOST, FLOOD_MS / 1000);
		return true;
	}
	if (outcome_publish(all, s, o, now))
		return true;
	if (log_limit_take(&all->lost, LINES_A_MINUTE, now.steady_ms))
		log_error("the reply to a command for unit %s is lost: no room in the outbox", s->ident);
	return false;
}

void outcome_tick(struct outcomes *all, struct moment now)
{
	for (size_t i = 0; i < OUTCOME_COUNT; i++) {
		uint64_t more = log_limit_rest(&all->lines[i], now.steady_ms);
		if (more > 0)
			log_notice("and %llu more commands were %s in the last minute",
				(unsigned long long)more, outcome_table[i].more);
	}
	uint64_t lost = log_limit_rest(&all->lost, now.steady_ms);
	if (lost > 0)
		log_error("and %llu more replies to commands were lost in the last minute",
			(unsigned long long)lost);
}
