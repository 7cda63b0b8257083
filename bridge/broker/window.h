// SPDX-License-Identifier: MIT
/* window: how many messages may be in flight, which means sent to the broker and not acknowledged: as many as help, and no more.
 * Uses: nothing else.
 * Not: know MQTT, the clock (`now_us` is an argument).
 *
 * libmosquitto searches all messages in flight for each acknowledgement, so a large window costs CPU; only a far broker needs one. The
 * window tries sizes between WINDOW_LEAST and its limit. Doubling stays if the throughput grows by more than a quarter; halving stays if
 * the throughput falls by less than a tenth.
 *
 * A window that was full opens again when half of it is acknowledged, so that messages are sent in large pieces; those cost all
 * sides less than many small ones. A window below WINDOW_TIGHT (mosquitto's default is 20) would run empty meanwhile, so it
 * opens again at the first acknowledgement. */
#ifndef T2M_WINDOW_H
#define T2M_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#define WINDOW_LEAST 64u
#define WINDOW_FIRST 128u /* of a new connection */
#define WINDOW_TIGHT 64u

struct window {
	unsigned now, most;
	unsigned acknowledged; /* since since_us */
	int64_t since_us, rest_until_us;
	unsigned before; /* while another size is tried: the size before it; 0: none is tried */
	int64_t rate;    /* of `before`: acknowledged a second */
	bool grown;      /* the next size that is tried is a larger one */
	bool full;       /* nothing may be sent: the window was full, and not yet half of it is acknowledged */
};

/* A new connection; `most`: the lower of the limits that the configuration and the broker set, 1 or more. */
void window_open(struct window *w, unsigned most);
/* Before each message: sets `full`, with so many in flight. */
void window_update(struct window *w, unsigned inflight);
/* Is it full, and so small that a near broker acknowledges all of it within a millisecond? Then its answers are to be read at once. */
bool window_tight(const struct window *w);
/* One message is acknowledged; `now_us` by a clock that never jumps. Sets the size for the messages to come. */
void window_acknowledged(struct window *w, int64_t now_us);

#endif
