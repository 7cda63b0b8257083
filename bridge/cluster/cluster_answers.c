// SPDX-License-Identifier: MIT
/* cluster_answers: a unit may answer through another bridge than the one that sent the command: its datagrams go where a balancer sends them. The
 * answer follows the command.
 * Uses: bridge/base.
 * Not: send units anything. */
#include "bridge/cluster/cluster_private.h"

#include "bridge/base/topic.h"

#define AT_ONCE 100                /* in a tick: units can say what they like */
#define CAME_MS (10 * 60 * 1000LL) /* the unit came from another bridge no longer ago */
#define WORDS 14

static struct span yes_or_no(bool yes)
{
	return span_text(yes ? "1" : "0");
}

static void answer(void *ctx, struct session *session, const struct command_reply *reply)
{
	struct cluster *c = ctx;
	const struct unit_claim *u = claim_of(c, session);
	char serial[24];
	bool elsewhere =
		u->state != CLAIM_MINE || (u->came_ms != 0 && cluster_now(c).steady_ms - u->came_ms < CAME_MS);
	if (!elsewhere || reply->token.report || c->answers++ >= AT_ONCE)
		return;
	const struct span argv[] = {span_text(c->me), span_text(session->unit.ident), span_text("word"),
		span_text(reply->token.word), span_text("time"), span_text(reply->token.time),
		span_text("serial"), cluster_number(reply->token.serial, serial), span_text("any"),
		yes_or_no(reply->token.any_serial), span_text("receipt"), yes_or_no(reply->receipt),
		span_text("frame"), reply->frame, span_text("result"), reply->result};
	cluster_call(c, SCRIPT_ANSWER, sizeof(argv) / sizeof(argv[0]), argv, NULL, 0, "");
}

void answers_read(struct cluster *c, const struct redisReply *words)
{
	struct span ident = registry_text(words, 1);
	struct command_reply reply = {.result = registry_text(words, 15), .frame = registry_text(words, 13)};
	if (!topic_ident_ok(ident) || words->elements < 2 + WORDS)
		return;
	span_copy(registry_text(words, 3), reply.token.word, sizeof(reply.token.word));
	span_copy(registry_text(words, 5), reply.token.time, sizeof(reply.token.time));
	reply.token.serial = (int32_t)registry_number(words, 7);
	reply.token.any_serial = registry_number(words, 9) != 0;
	reply.receipt = registry_number(words, 11) != 0;
	downlink_answered(c->parts.downlink, ident, &reply, cluster_now(c));
}

void answers_tick(struct cluster *c)
{
	c->answers = 0;
}

void answers_open(struct cluster *c)
{
	downlink_use_answers(c->parts.downlink, answer, c);
}
