// SPDX-License-Identifier: MIT
/* route: see route.h. */
#include "bridge/base/route.h"

static bool contains(struct span text, const char *word)
{
	return text.len > 0 && memmem(text.ptr, text.len, word, strlen(word)) != NULL;
}

bool route_is_named(const struct route_message *m)
{
	return m->correlation.len > 0 || contains(m->payload, "\"id\"") ||
	       contains(m->payload, "\xa2id"); /* JSON, MessagePack */
}
