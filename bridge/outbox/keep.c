// SPDX-License-Identifier: MIT
/* keep: see keep.h. */
#include "bridge/outbox/keep.h"

#include <stdlib.h>

static void append(struct keep_list *list, struct keep_change *c)
{
	if (list->last != NULL)
		list->last->next = c;
	else
		list->first = c;
	list->last = c;
	list->bytes[c->of] += c->key_len + c->value_len;
}

static struct keep_change *take_first(struct keep_list *list)
{
	struct keep_change *c = list->first;
	list->first = c->next;
	if (list->first == NULL)
		list->last = NULL;
	list->bytes[c->of] -= c->key_len + c->value_len;
	c->next = NULL;
	return c;
}

bool keep_add(struct keep_list *list, enum keep_of of, struct span key, struct span value, uint64_t after)
{
	if (key.len == 0 || key.len > KEEP_KEY_MAX || value.len > KEEP_VALUE_MAX)
		return false;
	struct keep_change *c = malloc(sizeof(*c) + key.len + value.len);
	if (c == NULL)
		return false;
	*c = (struct keep_change){.of = of, .after = after, .key_len = key.len, .value_len = value.len};
	memcpy(c->bytes, key.ptr, key.len);
	if (value.len > 0)
		memcpy(c->bytes + key.len, value.ptr, value.len);
	append(list, c);
	return true;
}

void keep_move(struct keep_list *list, const struct keep_change *up_to, struct keep_list *to)
{
	while (list->first != NULL && list->first != up_to)
		append(to, take_first(list));
}

void keep_drop(struct keep_list *list, const struct keep_change *up_to)
{
	while (list->first != NULL && list->first != up_to)
		free(take_first(list));
}
