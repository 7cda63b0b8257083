/* conn: one peer, TCP or UDP alike: what it sent and is not yet understood, what it is owed, when it goes.
 * May use: libev, session. May not: parse, know MQTT.
 *
 * Answers to units leave only through conns_flush, once per turn of the loop, after the outbox has stored
 * what they answer. A command leaves alone, with `gap` of silence before and after it. */
#ifndef T2M_CONN_H
#define T2M_CONN_H

#include "address.h"
#include "codec.h"
#include "config.h"
#include "hash.h"
#include "source.h"
#include "tls.h"

#include <ev.h>

struct session;
struct sessions;
struct conns;
struct conn;

#define CONN_PEER_MAX ADDRESS_TEXT_MAX

/* A place in one of the waiting lines of its kind. All in a line wait the same time, and who moves goes to the
 * end, so only the head can be due. */
struct place {
	struct conn *prev, *next, **line;
	int64_t since_ms;
};

/* Called exactly once: the bytes have gone (ok), or never will. */
typedef void conn_sent(void *ctx, uint64_t id, bool ok, int64_t now_ms);

struct outgoing {
	struct outgoing *next;
	struct session *session;
	conn_sent *sent;
	void *ctx;
	uint64_t id;
	size_t len;
	uint8_t bytes[];
};

struct conn {
	struct conns *conns;
	struct {
		union address addr;
		int fd; /* of the connection, or of the UDP socket */
	} peer;         /* the key of the UDP table */
	struct source *source;
	struct tls_link *tls; /* NULL: plain */
	uint64_t number;      /* in the order of arrival */
	bool udp, ended, told, superseded;
	bool answered_last; /* what went out last was an answer: a command that waits has its turn */
	bool partial;       /* half an answer is on its way: nothing may come between */
	bool header_due;    /* a PROXY header comes first */
	uint32_t credit;    /* UDP: bytes that may be answered; never more than came */
	ev_io io;           /* TCP only */
	struct codec_stream stream;
	struct session *sessions; /* units that speak here */
	uint32_t units;           /* so many */
	uint8_t *in;              /* bytes not yet used up */
	uint32_t in_len, in_cap;
	uint8_t *out;                        /* owed; UDP: each frame behind two bytes of length */
	uint32_t out_len, out_cap, out_safe; /* up to out_safe: what it answers is stored */
	struct outgoing *commands;
	int64_t answers_from_ms, commands_from_ms; /* not before; for the silence around a command */
	struct place idle, quiet, work,
		stalled;   /* stalled: not read, for want of room or because it is too fast */
	UT_hash_handle hh; /* UDP: by peer */
};

struct conns *conns_open(struct ev_loop *loop, const struct config *config, struct sessions *sessions,
	struct sources *sources, struct stats *stats);
/* Closes all, each with this reason. */
void conns_close_all(struct conns *conns, const char *reason);
void conns_free(struct conns *conns);

/* A new TCP connection; takes the descriptor over, also when it refuses. `tls`: NULL for a plain one. `proxied`: it comes
 * through a proxy, and a PROXY header says from whom. */
void conns_accept(struct conns *conns, int fd, const union address *peer, struct tls_server *tls, bool proxied);
/* A datagram. false: not now (the outbox is full), do not read on. */
bool conns_datagram(struct conns *conns, int fd, const union address *peer, struct span bytes);

/* Sends what is owed; answers only when `stored`. Once per turn of the loop. */
void conns_flush(struct conns *conns, bool stored);
/* The outbox has room again: take up what was left. */
void conns_resume(struct conns *conns);
bool conns_stalled(const struct conns *conns);
size_t conns_count(const struct conns *conns);

/* For the session. */
void conn_answer(struct conn *conn, struct span frame);
/* false: no memory, and `sent` is not called. */
bool conn_command(
	struct conn *conn, struct session *session, struct span frame, conn_sent *sent, void *ctx, uint64_t id);
/* The session no longer speaks here; its waiting commands end as not sent. */
void conn_forget(struct conn *conn, struct session *session);
void conn_close(struct conn *conn, const char *reason);
/* Its unit speaks elsewhere now: what has arrived here is still taken, at the end of the turn, then it is closed. */
void conn_supersede(struct conn *conn);
void conn_identified(struct conn *conn);
/* One unit more than the limit wants to come on line here: closes the UDP peer that has been silent longest, which is only a
 * memory. False: there is none but this one. */
bool conn_make_place(struct conn *conn);
/* Counts, and logs now and then, what is refused to this peer. */
void conn_refused(struct conn *conn, enum counter reason);
/* Address and port as text. */
void conn_peer(const struct conn *conn, char buf[CONN_PEER_MAX]);
const char *conn_transport(const struct conn *conn);

#endif
