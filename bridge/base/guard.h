/* guard: a call into a library that may fail an assertion, which would end the process.
 * May use: the C library. May not: know which library.
 *
 * libmosquitto fails one at an MQTT 5 property that it does not know: anybody who can send bytes to it could end the bridge.
 * While a call runs here, a failed assertion ends the call instead; whatever the library held stays held. */
#ifndef T2M_GUARD_H
#define T2M_GUARD_H

#include <stdbool.h>

/* Runs call(ctx) and puts what it returns into *result. False: an assertion failed, and `what` (of `size`) says which. */
bool guard_call(int (*call)(void *ctx), void *ctx, int *result, char *what, unsigned size);
/* What the library calls back is not guarded: around it, and in pairs. */
void *guard_leave(void);
void guard_return(void *guard);

#endif
