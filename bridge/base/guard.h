// SPDX-License-Identifier: MIT
/* guard: a call into a library in which an assertion may fail; without the guard, that would end the process.
 * Uses: nothing else.
 * Not: know which library.
 *
 * An assertion of libmosquitto fails at an MQTT 5 property that the library does not know: whoever sends it bytes could end the bridge. A
 * guarded call returns instead. Memory that the library had allocated in it is lost. */
#ifndef T2M_GUARD_H
#define T2M_GUARD_H

#include <stdbool.h>

/* Runs call(ctx) and puts what it returns into *result. False: an assertion failed, which ended the call; `what` (of `size`
 * bytes) says which. Calls may be nested, and each thread has its own. */
bool guard_call(int (*call)(void *ctx), void *ctx, int *result, char *what, unsigned size);
/* In a function that the library calls back, an assertion is ours and must end the process. guard_leave comes first there,
 * guard_return last, with what guard_leave returned. */
void *guard_leave(void);
void guard_return(void *guard);

#endif
