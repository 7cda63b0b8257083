// SPDX-License-Identifier: MIT
/* cluster_commands: a command that is this bridge's is handled once, whatever the registry says later: a copy that takes over from a registry that
 * died may not have heard what was told that one last.
 * Uses: bridge/base.
 * Not: decide whose it is. */
#include "bridge/cluster/cluster_private.h"

#include "bridge/base/sum.h"

static uint64_t sum_of(const char *id)
{
	return sum_text(SUM_OF_NOTHING, span_text(id));
}

static uint64_t *find(struct cluster *c, const char *id)
{
	uint64_t sum = sum_of(id);
	for (unsigned i = 0; i < HAD_MOST; i++)
		if (c->had[i] == sum)
			return &c->had[i];
	return NULL;
}

void command_take(struct cluster *c, const struct route_message *m, const char *id)
{
	if (downlink_has(c->parts.downlink, id) || command_was_had(c, id))
		return;
	c->had[c->had_next++ % HAD_MOST] = sum_of(id);
	downlink_take(c->parts.downlink, m, id, cluster_now(c));
}

bool command_was_had(struct cluster *c, const char *id)
{
	const struct span argv[] = {span_text(c->me), span_text(id)};
	if (find(c, id) == NULL || downlink_has(c->parts.downlink, id))
		return false;
	cluster_call(c, SCRIPT_DROP, 2, argv, NULL, 0, "");
	return true;
}

void command_let_go(struct cluster *c, const char *id)
{
	uint64_t *had = find(c, id);
	if (had != NULL)
		*had = 0;
}
