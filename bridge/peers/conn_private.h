// SPDX-License-Identifier: MIT
/* conn_private: what the conn files share; nobody else includes it. Each of them calls only those below it:
 * Uses: bridge/base; <ev.h>.
 *
 *   conn_all      all of them: accept, datagrams, timers, flush, reap
 *   conn_limits   who has a place, and who gives way when there is none left
 *   conn_silent   what people are told of those that say nothing
 *   conn          one peer: its input, its PROXY header, its end
 *   conn_out      what it is owed, and when it goes
 *   conn_account  as what it counts, for its address and in all
 *   conn_state    what may be asked of it
 *   conn_io       its socket, plain or TLS, TCP or UDP; the clock; who is refused */
#ifndef T2M_CONN_PRIVATE_H
#define T2M_CONN_PRIVATE_H

#include "bridge/base/hash.h"
#include "bridge/base/log.h"
#include "bridge/base/tls.h"
#include "bridge/peers/buffers.h"
#include "bridge/peers/conn_all.h"
#include "bridge/peers/ways.h"

#include <ev.h>
#include <utlist.h>

#define CONN_INPUT (128 * 1024) /* the shared input buffer */

#define ECHOES 8192

/* A conn's place in a list of equal timeouts. A restarted timeout goes to the end of its list, so the list is sorted by due time and
 * only its head need be checked. */
struct place {
	struct conn *prev, *next, **line;
	int64_t since_ms;
};

struct outgoing {
	struct outgoing *next;
	const void *whose;
	conn_sent *sent;
	void *ctx;
	uint64_t id;
	bool begun, ended; /* begun: TLS holds a part of it; ended: nobody waits for it any more */
	size_t len;
	uint8_t bytes[];
};

/* As what a conn counts. */
enum account { ACCOUNT_NONE = 0, ACCOUNT_FRESH, ACCOUNT_UNITS };

struct conn {
	struct conns *conns;
	struct {
		union address addr;
		int fd;     /* of the connection, or of the UDP socket */
	} peer;             /* the key of the UDP table */
	union address *way; /* UDP: the proxy's port through which it speaks and is answered; NULL: its own */
	struct source *source;
	struct tls_link *tls;   /* NULL: plain */
	uint64_t number;        /* in the order of arrival: what tests know it by */
	const char *leaving;    /* why it goes with the next conns_reap; NULL: it stays */
	const char *last_words; /* why it goes after what has arrived is taken; NULL: it stays */
	bool udp, ended;
	bool recognized;    /* its owner can tell what is spoken */
	bool spoke;         /* something came, if only a part of a header */
	bool hashed;        /* UDP: datagrams find it */
	bool guest;         /* UDP: it stays for a while without a unit: conn_keep_guest */
	uint8_t account;    /* enum account */
	bool answered_last; /* what went out last was an answer: a command that waits has its turn */
	bool partial;       /* half an answer is on its way: nothing may come between */
	bool header_due;    /* a PROXY header comes first */
	union {
		ev_io io;          /* TCP */
		UT_hash_handle hh; /* UDP: by peer */
	};
	uint32_t units,
		known; /* that speak here, and so many of the units file: then no stranger takes its place */
	uint32_t strangers; /* so many of the others are counted: conn_account.c */
	uint32_t credit;    /* UDP: bytes that may be answered */
	uint8_t *in;        /* bytes not yet used up */
	uint32_t in_len, in_cap;
	uint8_t *out; /* owed; UDP: each frame behind two bytes of length */
	uint32_t out_len, out_cap;
	uint32_t out_safe, out_sealed;                  /* up to out_safe: what it answers is safe; up to
							out_sealed: it is when the flush under way has ended */
	uint32_t answers, answers_safe, answers_sealed; /* so many are owed, and of these, up to there */
	uint32_t out_first;                             /* up to there it leaves before any command */
	struct outgoing *commands;
	int64_t answers_from_ms, commands_from_ms; /* not before; for the silence around a command */
	int64_t echo_from_ms;     /* UDP: no answer that is what came, before; 0: there was none */
	struct conn *prev, *next; /* of the same source */
	struct place idle, quiet, work,
		stalled; /* stalled: not read, for want of room or because it is too fast */
	uint64_t owner[];
};

struct conns {
	struct ev_loop *loop;
	const struct config *config;
	struct conn_ops ops;
	struct sources *sources;
	struct stats *stats;
	struct conn *udp; /* hash */
	struct ways ways;
	/* speaking: those whose last words are to be taken; drained: they were */
	struct conn *idle_fresh, *idle_tcp, *idle_udp, *idle_udp_known, *speaking, *drained, *leaving,
		*quiet_short, *quiet_long, *stalled, *slowed, *work,
		*owing,  /* to be looked at in this turn; owing only answers that are not safe yet */
		*silent; /* TCP: nothing came so far, for less than SILENT_MS; by `quiet` */
	struct buffers buffers;
	size_t count, fresh, fresh_weight; /* fresh: those that have not named a unit */
	size_t places,
		strangers; /* connections with units, none of them of the units file; units that are not in it */
	size_t kept, owed;      /* buffers of input that waits, and of answers */
	uint64_t sealed;        /* the flush of out_sealed; 0: none is under way */
	const struct conn *fed; /* its input is at work; NULL: none */
	bool fed_command;       /* and has queued a command for it */
	uint64_t number;
	int64_t echo_from_ms[ECHOES]; /* UDP, by a hash of the peer: for those that are new */
	struct log_limit full_lines;
	bool told_full;
	int64_t opened_ms; /* 0: that nobody comes is told, or somebody came */
	ev_timer tick, quiet_timer, pace, slow_timer;
	uint8_t input[CONN_INPUT];
};

/* So much may wait in all of either kind; beyond it, each connection may keep only a little. */
#define WAITING_MOST (32u << 20)

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
		(conn)->kind.since_ms = conns_now((conn)->conns).steady_ms;                                    \
		DL_APPEND2(*(conn)->kind.line, conn, kind.prev, kind.next);                                    \
	} while (0)

/* Does so much wait for the disk that it is not read for now? Else answers would be left out, and the unit would send again. */
static inline bool conn_owes_much(const struct conn *conn)
{
	return !conn->udp && conn->out_len - conn->out_safe > (size_t)conn->conns->config->limits.output / 2;
}

/* Has nothing to go but answers? A command that its own frame brought about, as one that was held, goes behind the answer to that frame. */
static inline bool conn_owes_only_answers(const struct conn *conn)
{
	return conn->out_len > 0 && (conn->commands == NULL || conn->out_first > 0);
}

/* --- conn_limits.c --- */

/* Is there a place for a new connection, free, or one that another will give up when this one names a unit? When not, there still
 * is one as long as units of the units file may come. */
bool conns_has_place(const struct conns *conns, const struct source *account);
/* The connections that have not named a unit are too many: the oldest of the address with most gives way. */
void conns_trim_fresh(struct conns *conns);

/* --- conn_silent.c --- */

/* A new TCP connection: it is told when it says nothing. */
void conn_expect_words(struct conn *conn);
/* The peer has closed it and never said anything. */
void conn_tell_wordless(struct conn *conn);
/* It is about to be closed, for no unit has spoken on it in time. */
void conn_tell_no_frame(struct conn *conn);
/* Time passes: those that say nothing are told; and when nobody has come at all. */
void conns_tell_silent(struct conns *conns);

/* --- conn.c --- */

/* May the address have no more connections? */
bool source_full(const struct conns *conns, const struct source *source, bool udp);
/* Works on the first `len` bytes of the shared buffer, the kept ones before the new ones, and sees whether the conn is to end. */
void conn_take(struct conn *conn, size_t len, int32_t quiet_ms);
/* Takes what is kept once more. False: it cannot go on yet. */
bool conn_take_again(struct conn *conn, int32_t quiet_ms);
/* Of the TCP connections. */
void conn_on_io(struct ev_loop *loop, ev_io *io, int events);
/* It has spoken: not idle. */
void conn_touch(struct conn *conn);
/* Takes what the peer has sent and nobody has read yet. */
void conn_drain(struct conn *conn);
/* Ends and frees it; it is marked. */
void conn_end(struct conn *conn);

/* --- conn_out.c --- */

/* Over UDP no more may be answered than this: whoever forges an address gets no more than was sent. */
void conn_add_credit(struct conn *conn, size_t bytes);
/* Something is to be sent: looked at in the next conns_flush. */
void conn_want_work(struct conn *conn);
void conn_leave_work(struct conn *conn);
/* All that it is owed so far is safe; or will be when the flush under way has ended; or that flush has ended well. */
void conn_make_safe(struct conn *conn);
void conn_seal(struct conn *conn);
void conn_unseal(struct conn *conn);
/* Sends what may go; answers only when `stored`, or when they were before. When should the conn be looked at again, by the steady
 * clock? 0: not by itself; -1: it is broken. */
int64_t conn_work(struct conn *conn, bool stored, int64_t now);
/* All commands that wait end as not sent. */
void conn_drop_commands(struct conn *conn);
void conn_free_output(struct conn *conn);

/* --- conn_account.c --- */

/* As what a conn counts, for its address and in all, after anything that decides it has changed. */
void conn_settle(struct conn *conn);
/* So many more, or fewer, of its units are strangers. */
void conn_count_strangers(struct conn *conn, int64_t by);
/* It goes: it counts no more. */
void conn_leave_accounts(struct conn *conn);
/* As what one that speaks TLS counts among those that have not named a unit; its handshake holds some 50 KiB. */
#define TLS_WEIGHT 10

/* --- conn_state.c --- */

/* In whose name it counts: the address, or over UDP all strangers together, whatever it speaks for. */
struct source *conn_holder(const struct conn *conn);

/* --- conn_io.c --- */

enum sent { SENT_ALL, SENT_LATER, SENT_NEVER };

/* The only clock of this folder. */
struct moment conns_now(const struct conns *conns);
/* A TCP connection begins to be watched; `tls`: NULL for a plain one. False: no memory for TLS. */
bool conn_open_socket(
	struct conn *conn, struct tls_server *tls, void (*on_io)(struct ev_loop *loop, ev_io *io, int events));
/* The socket of a UDP peer belongs to its listener and stays. */
void conn_close_socket(struct conn *conn);
/* As recv, without waiting. */
ssize_t conn_receive(struct conn *conn, void *to, size_t size);
/* The same beneath TLS; `look`: the bytes stay where they are. */
ssize_t conn_receive_plain(struct conn *conn, void *to, size_t size, bool look);
/* One send: a segment, or a datagram. `gone`: so many bytes of it. */
enum sent conn_send(struct conn *conn, const uint8_t *bytes, size_t len, size_t *gone);
/* Does the kernel still hold bytes that a command would share a segment with? */
bool conn_kernel_holds(const struct conn *conn);
/* Watches for input, as far as the conn may read, and for room to write. */
void conn_listen(struct conn *conn, bool writable);
/* TLS may hold bytes that the socket does not have any more: they are input, too. */
void conn_listen_tls(struct conn *conn);
/* Not watched any more. */
void conn_ignore(struct conn *conn);

#endif
