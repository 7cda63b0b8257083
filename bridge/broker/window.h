/* window: how many messages may be on their way to the broker: no more than help.
 * May use: the C library. May not: know MQTT, the clock (`now_us` is an argument).
 *
 * libmosquitto walks over all that is on its way for each acknowledgement, and what waits at a near broker is no faster there
 * than here; a far broker needs many. So it is tried: twice as many are kept when that makes the stream a quarter faster, half as many
 * when that makes it no slower than a tenth. Between WINDOW_LEAST and the limit.
 *
 * A window that was full is filled again when half of it is acknowledged: so what is sent goes in large pieces, which cost all
 * sides less than as many small ones. But one under WINDOW_TIGHT (mosquitto's default is 20) would run dry meanwhile. */
#ifndef T2M_WINDOW_H
#define T2M_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#define WINDOW_LEAST 256u
#define WINDOW_TIGHT 64u

struct window {
	unsigned now, most;
	unsigned acknowledged; /* since since_us */
	int64_t since_us, rest_until_us;
	unsigned before; /* while another size is tried: the one before; 0: none is */
	int64_t rate;    /* of `before`: acknowledged a second */
	bool grown;      /* did growing help last? Then it goes on at once */
	bool full;       /* it was, and not yet half is acknowledged */
};

/* A new connection, with the limit of configuration and broker. */
void window_open(struct window *w, unsigned most);
/* May one more be sent, with `inflight` on their way? */
bool window_room(struct window *w, unsigned inflight);
/* Full, and so small that a near broker is through with it within a millisecond: what it says should be heard at once. */
bool window_tight(const struct window *w);
/* One of them is acknowledged. */
void window_acknowledged(struct window *w, int64_t now_us);

#endif
