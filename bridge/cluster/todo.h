// SPDX-License-Identifier: MIT
/* todo: units with which something is to be done later, each once.
 * Uses: bridge/base, bridge/units.
 * Not: know what is to be done. */
#ifndef T2M_TODO_H
#define T2M_TODO_H

#include "bridge/base/hash.h"
#include "bridge/units/session.h"

/* A list of them is a pointer, NULL when it is empty; HASH_ITER(hh, …) walks over it. */
struct todo {
	char ident[CODEC_IDENT_MAX + 1];
	int64_t due_ms; /* steady time */
	bool again;     /* only its status is to be told once more */
	UT_hash_handle hh;
};

/* The unit in the list; when it was not there, it is added, with zeros, and *fresh is set. NULL: no memory. */
struct todo *todo_of(struct todo **list, const char *ident, bool *fresh);
/* It is done. */
void todo_drop(struct todo **list, struct todo *todo);
void todo_free(struct todo **list);

#endif
