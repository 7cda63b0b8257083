// SPDX-License-Identifier: MIT
/* errand: a slow call in a thread of its own; its end is reported on the loop, unless the errand was abandoned.
 * Uses: <ev.h>.
 * Not: know what the call does.
 *
 * The argument belongs to the thread while `run` runs, and to the loop afterwards. Nobody ever waits for the thread. */
#ifndef T2M_ERRAND_H
#define T2M_ERRAND_H

#include <ev.h>

struct errand;

/* Each of the three gets the argument of errand_start. */
struct errand_work {
	/* In the thread. */
	void (*run)(void *arg);
	/* On the loop, after `run`, unless the errand was abandoned. The errand is freed already. */
	void (*done)(void *arg);
	/* Instead of `done`, after `run`, on the loop or in the thread: frees the argument. */
	void (*drop)(void *arg);
};

/* Starts the thread. `work` must live as long as the thread, so it is a constant. The loop stays alive until the errand is done or
 * abandoned; an errand that is under way keeps ev_run from returning, like any watcher.
 * NULL: no memory or no thread; none of the three is called, and the argument stays the caller's. */
struct errand *errand_start(struct ev_loop *loop, const struct errand_work *work, void *arg);
/* The result is not wanted any more: `done` is not called. `drop` is called by whoever comes second, here or in the thread. The loop may be
 * destroyed at once, and the process may end while `run` still runs. NULL: does nothing. */
void errand_abandon(struct errand *errand);

#endif
