// SPDX-License-Identifier: MIT
/* wishes: units that people want to be forgotten, as files beside the outbox: who has the outbox open takes them up, now or at its next
 * start.
 * Uses: nothing else.
 * Not: know what is forgotten of a unit. */
#ifndef T2M_WISHES_H
#define T2M_WISHES_H

#include <stdbool.h>
#include <stddef.h>

#define WISH_MAX 64 /* of an ident, with its end */

/* Leaves the wish in the directory of the outbox. 0 or errno. */
int wish_leave(const char *path, const char *ident);
/* One of the wishes; false: there is none. */
bool wish_find(const char *path, char ident[WISH_MAX]);
/* It is fulfilled, or cannot be. False: it stays, and will be found again. */
bool wish_done(const char *path, const char *ident);

#endif
