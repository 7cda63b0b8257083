// SPDX-License-Identifier: MIT
/* guard: see guard.h. */
#include "bridge/base/guard.h"

#include <assert.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

/* The innermost guarded call of this thread, and the assertion that failed in it. */
struct guarded {
	jmp_buf back;
	char *what;
	unsigned size;
};

static _Thread_local struct guarded *running;

/* This takes the place of the C library's function of the same name, for all libraries of the program. */
void __assert_fail(const char *assertion, const char *file, unsigned line, const char *function)
{
	struct guarded *g = running;
	if (g == NULL) {
		fprintf(stderr, "%s:%u: %s: Assertion `%s' failed.\n", file, line, function, assertion);
		abort();
	}
	snprintf(g->what, g->size, "assertion %s in %s", assertion, function);
	running = NULL;
	longjmp(g->back, 1);
}

bool guard_call(int (*call)(void *ctx), void *ctx, int *result, char *what, unsigned size)
{
	struct guarded g = {.what = what, .size = size};
	struct guarded *const outer = running;
	if (setjmp(g.back) != 0) {
		running = outer;
		return false;
	}
	running = &g;
	*result = call(ctx);
	running = outer;
	return true;
}

void *guard_leave(void)
{
	struct guarded *g = running;
	running = NULL;
	return g;
}

void guard_return(void *guard)
{
	running = guard;
}
