// SPDX-License-Identifier: MIT
/* window: see window.h. */
#include "bridge/broker/window.h"

/* A rate is measured over so long at least, and over twice as many messages as the window has. */
#define LEAST_US 200000
/* The window was full for so long before another size is tried: the rate of a stream that begins grows anyway. */
#define SETTLE_US 1000000
#define REST_US 3000000 /* between two tries */

static unsigned bounded(const struct window *w, unsigned n)
{
	if (n < WINDOW_LEAST)
		n = WINDOW_LEAST;
	return n < w->most ? n : w->most;
}

void window_open(struct window *w, unsigned most)
{
	*w = (struct window){.most = most, .grown = true};
	w->now = bounded(w, WINDOW_FIRST);
}

static void begin(struct window *w, int64_t now_us)
{
	w->acknowledged = 0;
	w->since_us = now_us;
}

/* Tries another size: up and down in turns, up again while that helps. */
static void try_another(struct window *w, int64_t rate)
{
	unsigned up = bounded(w, w->now * 2), down = bounded(w, w->now / 2);
	unsigned next = w->grown ? up : down;
	w->grown = !w->grown;
	if (next == w->now)
		return;
	w->before = w->now;
	w->rate = rate;
	w->now = next;
}

/* Keeps the size that was tried, or goes back to the one before. */
static void judge(struct window *w, int64_t rate, int64_t now_us)
{
	bool up = w->now > w->before;
	bool keep = up ? rate > w->rate + w->rate / 4 : rate > w->rate - w->rate / 10;
	if (!keep)
		w->now = w->before;
	w->before = 0;
	w->grown = up ? keep : !keep;
	w->rest_until_us = up && keep ? 0 : now_us + REST_US;
}

void window_update(struct window *w, unsigned inflight)
{
	unsigned again = w->now < WINDOW_TIGHT ? w->now - 1 : w->now / 2; /* a small one must not run empty */
	w->full = inflight >= w->now || (w->full && inflight > again);
}

bool window_tight(const struct window *w)
{
	return w->full && w->now < WINDOW_TIGHT;
}

void window_acknowledged(struct window *w, int64_t now_us)
{
	/* too few messages to fill the window: their rate says nothing about its size */
	if (w->since_us == 0 || !w->full) {
		if (w->before != 0)
			w->now = w->before;
		w->before = 0;
		if (w->rest_until_us < now_us + SETTLE_US)
			w->rest_until_us = now_us + SETTLE_US;
		begin(w, now_us);
		return;
	}
	w->acknowledged++;
	int64_t elapsed = now_us - w->since_us;
	if (elapsed < LEAST_US || w->acknowledged < 2 * w->now)
		return;
	int64_t rate = (int64_t)w->acknowledged * 1000000 / elapsed;
	if (w->before != 0)
		judge(w, rate, now_us);
	else if (now_us >= w->rest_until_us)
		try_another(w, rate);
	begin(w, now_us);
}
