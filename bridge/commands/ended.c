// SPDX-License-Identifier: MIT
/* ended: see ended.h. */
#include "bridge/commands/ended.h"

void ended_note(struct ended *all, const char *ident, const struct command_token *token)
{
	if (token->serial < 0 && token->time[0] == '\0')
		return;
	struct ended_one *one = &all->one[all->next++ % ENDED_MOST];
	memcpy(one->ident, ident, sizeof(one->ident));
	one->token = *token;
}

bool ended_has(const struct ended *all, const char *ident, const struct command_token *reply)
{
	if (reply->serial < 0 && reply->time[0] == '\0')
		return false;
	for (unsigned i = 0; i < ENDED_MOST && all->one[i].ident[0] != '\0'; i++)
		if (strcmp(all->one[i].ident, ident) == 0 && command_matches(&all->one[i].token, reply) == 2)
			return true;
	return false;
}
