/* conn_private: what conn.c, conn_life.c, conn_limits.c and conn_out.c share; nobody else includes it. */
#ifndef T2M_CONN_PRIVATE_H
#define T2M_CONN_PRIVATE_H

#include "bridge/base/clock.h"
#include "bridge/peers/conn.h"
#include "bridge/base/log.h"

#include <utlist.h>

#define CONN_INPUT (128 * 1024) /* the shared input buffer */

#define ECHOES 8192

struct conns {
	struct ev_loop *loop;
	const struct config *config;
	struct sessions *sessions;
	struct sources *sources;
	struct stats *stats;
	struct conn *udp; /* hash */
	/* speaking: those whose last words are to be taken; drained: they were */
	struct conn *idle_fresh, *idle_tcp, *idle_udp, *idle_udp_known, *speaking, *drained, *leaving,
		*quiet_short, *quiet_long, *work, *stalled, *slowed;
	struct spare *spares; /* buffers of SPARE_BYTES that nobody uses now */
	unsigned spare_count;
	size_t count, fresh, fresh_weight; /* fresh: those that have not named a unit */
	size_t places,
		strangers; /* connections with units, none of them of the units file; units that are not in it */
	size_t kept, owed; /* buffers of input that waits, and of answers */
	uint64_t number;
	int64_t echo_from_ms[ECHOES]; /* UDP, by a hash of the peer: for those that are new */
	struct log_limit full_lines;
	bool told_full;
	ev_timer tick, quiet_timer, pace, slow_timer;
	uint8_t input[CONN_INPUT];
};

/* So much may wait in all of either kind; beyond it, each connection may keep only a little. */
#define WAITING_MOST (32u << 20)

/* Input and output come and go with each frame: their buffers are kept. */
#define SPARE_BYTES 2048
#define SPARES_MOST 512
struct spare {
	struct spare *next;
};
/* At least `need` bytes with the first `len` of `old`, which it replaces; NULL: no memory, and the old one stays. */
uint8_t *conns_buffer(struct conns *conns, uint8_t *old, uint32_t *cap, size_t len, size_t need);
void conns_buffer_done(struct conns *conns, uint8_t *buffer, uint32_t cap);

#define LEAVE(conn, kind)                                                                                      \
	do {                                                                                                   \
		if ((conn)->kind.line != NULL)                                                                 \
			DL_DELETE2(*(conn)->kind.line, conn, kind.prev, kind.next);                            \
		(conn)->kind.line = NULL;                                                                      \
	} while (0)

#define JOIN(conn, kind, to)                                                                                   \
	do {                                                                                                   \
		LEAVE(conn, kind);                                                                             \
		(conn)->kind.line = (to);                                                                      \
		(conn)->kind.since_ms = clock_steady_ms();                                                     \
		DL_APPEND2(*(conn)->kind.line, conn, kind.prev, kind.next);                                    \
	} while (0)

struct moment conns_now(struct conns *conns);
/* conn.c: what is not used up yet; `bytes` may be the conn's own. */
void conn_keep(struct conn *conn, const uint8_t *bytes, size_t len);
/* Works on the first `len` bytes of the shared buffer: the kept ones before the new ones. */
void conn_feed(struct conn *conn, size_t len, int32_t quiet_ms);
/* The same, and sees whether the conn is to end. */
void conn_take(struct conn *conn, size_t len, int32_t quiet_ms);
/* Takes what is kept once more. False: it cannot go on yet. */
bool conn_take_again(struct conn *conn, int32_t quiet_ms);
/* As what one that speaks TLS counts among those that have not named a unit; its handshake holds some 50 KiB. */
#define TLS_WEIGHT 10

/* Of the TCP connections. */
void conn_on_io(struct ev_loop *loop, ev_io *io, int events);
/* Reads from a TCP connection what there is. */
void conn_read(struct conn *conn);
/* It has spoken: not idle. */
void conn_touch(struct conn *conn);
/* As recv, without waiting. */
ssize_t conn_receive(struct conn *conn, void *to, size_t size);
/* Something is to be sent: looked at in the next conns_flush. */
void conn_want_work(struct conn *conn);
void conn_leave_work(struct conn *conn);
void conn_free_output(struct conn *conn);
/* Watch for input, as far as the conn may read, and for room to write. */
void conn_listen(struct conn *conn, bool writable);

/* conn_life.c: reads the PROXY header; false: it is not whole yet, or the conn is marked. */
bool conn_header(struct conn *conn);

/* conn_limits.c: as what a conn counts, for its address and in all, after anything that decides it has changed. */
void conn_settle(struct conn *conn);
/* It goes: it counts no more. */
void conn_leave_accounts(struct conn *conn);
/* Is there a place for a new connection, free, or one that another will give up when this one names a unit? When not, there still
 * is one as long as units of the units file may come. */
bool conns_has_place(const struct conns *conns, const struct source *account);
/* The connections that have not named a unit are too many: the oldest of the address with most gives way. */
void conns_trim_fresh(struct conns *conns);

void conns_out_open(struct conns *conns);
void conns_out_close(struct conns *conns);

#endif
