/* guard: a call into a library in which an assertion may fail; without the guard, that would end the process.
 * May use: the C library. May not: know which library.
 *
 * An assertion of libmosquitto fails at an MQTT 5 property that the library does not know: whoever sends it bytes could end the bridge. A
 * guarded call returns instead. Memory that the library had allocated in it is lost. */
#ifndef T2M_GUARD_H
#define T2M_GUARD_H

#include <stdbool.h>

/* Runs call(ctx) and stores what it returns in *result. False: an assertion failed, and `what` (of `size` bytes) names it. */
bool guard_call(int (*call)(void *ctx), void *ctx, int *result, char *what, unsigned size);
/* Suspends the guard and resumes it, in pairs: around our own code that the library calls back. An assertion that fails in it ends the
 * process. */
void *guard_leave(void);
void guard_return(void *guard);

#endif
