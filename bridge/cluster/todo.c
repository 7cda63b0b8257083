// SPDX-License-Identifier: MIT
/* todo: see todo.h. */
#include "bridge/cluster/todo.h"

#include <stdio.h>
#include <stdlib.h>

struct todo *todo_of(struct todo **list, const char *ident, bool *fresh)
{
	struct todo *t = NULL;
	HASH_FIND_STR(*list, ident, t);
	*fresh = t == NULL;
	if (t != NULL || (t = calloc(1, sizeof(*t))) == NULL)
		return t;
	snprintf(t->ident, sizeof(t->ident), "%s", ident);
	HASH_ADD_STR(*list, ident, t);
	return t;
}

void todo_drop(struct todo **list, struct todo *t)
{
	HASH_DEL(*list, t);
	free(t);
}

void todo_free(struct todo **list)
{
	struct todo *t, *next;
	HASH_ITER(hh, *list, t, next)
		todo_drop(list, t);
}
