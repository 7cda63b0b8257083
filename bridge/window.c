/* window: see window.h. */
#include "window.h"

#define INTERVAL_US 100000

void window_open(struct window *w, unsigned most)
{
	*w = (struct window){.most = most, .now = most < WINDOW_LEAST ? most : WINDOW_LEAST};
}

void window_sent(struct window *w, int mid, int64_t now_us)
{
	if (w->sample != 0)
		return;
	w->sample = mid;
	w->sample_us = now_us;
}

static void adjust(struct window *w, int64_t elapsed_us)
{
	int64_t trip = w->before_us > 0 && w->before_us < w->shortest_us ? w->before_us : w->shortest_us;
	int64_t want = 2 * (int64_t)w->acknowledged * trip / elapsed_us;
	if (want < WINDOW_LEAST)
		want = WINDOW_LEAST;
	w->now = want < w->most ? (unsigned)want : w->most;
}

void window_acknowledged(struct window *w, int mid, unsigned inflight, int64_t now_us)
{
	w->acknowledged++;
	if (mid == w->sample) {
		int64_t trip = now_us - w->sample_us;
		w->sample = 0;
		if (w->shortest_us == 0 || trip < w->shortest_us)
			w->shortest_us = trip > 0 ? trip : 1;
	}
	if (w->since_us == 0)
		w->since_us = now_us;
	int64_t elapsed = now_us - w->since_us;
	if (elapsed < INTERVAL_US || w->shortest_us == 0)
		return;
	if (inflight >= w->now / 2) /* only when there was enough to send does it say something */
		adjust(w, elapsed);
	w->before_us = w->shortest_us;
	w->shortest_us = 0;
	w->acknowledged = 0;
	w->since_us = now_us;
}
