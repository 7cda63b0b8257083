/* window: how many messages may be on their way to the broker: as many as the way holds, twice over, and no more.
 * May use: the C library. May not: know MQTT, the clock (`now_us` is an argument).
 *
 * libmosquitto walks over all that is on its way for each acknowledgement, and what waits at a near broker is no faster
 * there than here. So: twice what is acknowledged within the shortest round trip seen lately, between WINDOW_LEAST and the limit. To a far
 * broker it doubles with each interval until the limit, or the way, is full. */
#ifndef T2M_WINDOW_H
#define T2M_WINDOW_H

#include <stdint.h>

#define WINDOW_LEAST 256u

struct window {
	unsigned now, most;
	unsigned acknowledged; /* in this interval */
	int64_t since_us;      /* of this interval */
	int64_t shortest_us;   /* round trip of this interval's samples; 0: none yet */
	int64_t before_us;     /* of the interval before */
	int sample;            /* the message whose round trip is taken; 0: none */
	int64_t sample_us;
};

/* A new connection, with the limit of configuration and broker. */
void window_open(struct window *w, unsigned most);
void window_sent(struct window *w, int mid, int64_t now_us);
/* `inflight`: on their way when this one was acknowledged. */
void window_acknowledged(struct window *w, int mid, unsigned inflight, int64_t now_us);

#endif
