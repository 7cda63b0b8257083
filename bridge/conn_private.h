/* conn_private: what conn.c and conn_out.c share; nobody else includes it. */
#ifndef T2M_CONN_PRIVATE_H
#define T2M_CONN_PRIVATE_H

#include "conn.h"

#include <utlist.h>

#define CONN_INPUT (128 * 1024) /* the shared input buffer */

struct conns {
	struct ev_loop *loop;
	const struct config *config;
	struct sessions *sessions;
	struct stats *stats;
	struct conn *udp; /* hash */
	struct conn *idle_fresh, *idle_tcp, *idle_udp, *quiet_short, *quiet_long, *work, *stalled;
	size_t count;
	uint64_t number;
	ev_timer tick, quiet_timer, pace;
	uint8_t input[CONN_INPUT];
};

int64_t conns_now_ms(struct conns *conns);
/* Something is to be sent: looked at in the next conns_flush. */
void conn_want_work(struct conn *conn);
void conn_leave_work(struct conn *conn);
/* Watch for input, as far as the conn may read, and for room to write. */
void conn_listen(struct conn *conn, bool writable);

/* Takes what the connection still holds, and closes it. */
void conn_drain(struct conn *conn, const char *reason);

void conns_out_open(struct conns *conns);
void conns_out_close(struct conns *conns);

#endif
