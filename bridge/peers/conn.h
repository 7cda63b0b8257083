/* conn: one peer, TCP or UDP alike: what it sent and is not yet understood, what it is owed, when it goes.
 * May use: libev, session. May not: parse, know MQTT.
 *
 * Nothing that happens while the bytes of one peer are worked on frees a conn or a unit: who is to go is marked, is no longer
 * read or written, and goes in conns_reap, at the top of the turn.
 *
 * Answers to units leave only through conns_flush, once per turn of the loop, after the outbox has stored
 * what they answer. A command leaves alone, with `gap` of silence before and after it. */
#ifndef T2M_CONN_H
#define T2M_CONN_H

#include "bridge/base/address.h"
#include "bridge/base/clock.h"
#include "codecs/codec.h"
#include "bridge/settings/config.h"
#include "bridge/base/hash.h"
#include "bridge/peers/source.h"
#include "bridge/base/tls.h"

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
typedef void conn_sent(void *ctx, uint64_t id, bool ok, struct moment now);

struct outgoing {
	struct outgoing *next;
	struct session *session;
	conn_sent *sent;
	void *ctx;
	uint64_t id;
	bool begun, ended; /* begun: TLS holds a part of it; ended: nobody waits for it any more */
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
	struct tls_link *tls;   /* NULL: plain */
	uint64_t number;        /* in the order of arrival */
	const char *leaving;    /* why it goes with the next conns_reap; NULL: it stays */
	const char *last_words; /* why it goes after what has arrived is taken; NULL: it stays */
	bool udp, ended, told;
	bool hashed;        /* UDP: datagrams find it */
	uint8_t account;    /* conn_limits.c: as what it counts */
	bool answered_last; /* what went out last was an answer: a command that waits has its turn */
	bool partial;       /* half an answer is on its way: nothing may come between */
	bool header_due;    /* a PROXY header comes first */
	uint32_t credit;    /* UDP: bytes that may be answered */
	union {
		ev_io io;          /* TCP */
		UT_hash_handle hh; /* UDP: by peer */
	};
	struct codec_stream stream;
	struct session *sessions; /* units that speak here */
	uint32_t units, known;    /* so many, and so many of the units file: then no stranger takes its place */
	uint32_t strangers;       /* so many of the others are counted: conn_limits.c */
	uint8_t *in;              /* bytes not yet used up */
	uint32_t in_len, in_cap;
	uint8_t *out;                        /* owed; UDP: each frame behind two bytes of length */
	uint32_t out_len, out_cap, out_safe; /* up to out_safe: what it answers is stored */
	uint32_t answers, answers_safe;      /* so many are owed, up to out_safe so many */
	struct outgoing *commands;
	int64_t answers_from_ms, commands_from_ms; /* not before; for the silence around a command */
	int64_t echo_from_ms;     /* UDP: no answer that is what came, before; 0: there was none */
	struct conn *prev, *next; /* of the same source */
	struct place idle, quiet, work,
		stalled; /* stalled: not read, for want of room or because it is too fast */
};

struct conns *conns_open(struct ev_loop *loop, const struct config *config, struct sessions *sessions,
	struct sources *sources, struct stats *stats);
/* Closes all, each with this reason, at once: not from inside a call of this room. */
void conns_close_all(struct conns *conns, const char *reason);
void conns_free(struct conns *conns);

/* A new TCP connection; takes the descriptor over, also when it refuses. `tls`: NULL for a plain one. `proxied`: it comes
 * through a proxy, and a PROXY header says from whom. */
void conns_accept(struct conns *conns, int fd, const union address *peer, struct tls_server *tls, bool proxied);
/* A datagram. false: not now (the outbox is full), do not read on. */
bool conns_datagram(struct conns *conns, int fd, const union address *peer, struct span bytes);

/* Those that are marked go; of those whose unit speaks elsewhere, what has arrived is taken. At the top of the turn. */
void conns_reap(struct conns *conns);
/* Sends what is owed; answers only when `stored`. Once per turn of the loop. */
void conns_flush(struct conns *conns, bool stored);
/* The outbox has room again: take up what was left. */
void conns_resume(struct conns *conns);
bool conns_stalled(const struct conns *conns);
size_t conns_count(const struct conns *conns);

/* For the session. `echo`: the answer is byte for byte what came; over UDP, two servers would go on for ever. */
void conn_answer(struct conn *conn, struct span frame, bool echo);
/* false: no memory, and `sent` is not called. */
bool conn_command(
	struct conn *conn, struct session *session, struct span frame, conn_sent *sent, void *ctx, uint64_t id);
/* What conn_command queued under this id and has not gone does not go; `sent` is not called. */
void conn_take_back(struct conn *conn, uint64_t id);
/* The session no longer speaks here; its waiting commands end as not sent. */
void conn_forget(struct conn *conn, struct session *session);
/* Marks it: nothing more is read or sent, and it goes in the next conns_reap. `reason` is a literal. */
void conn_close(struct conn *conn, const char *reason);
/* The same, after what has arrived is taken and its answers have left. */
void conn_close_after_last_words(struct conn *conn, const char *reason);
/* One unit more, or less, speaks here; `known`: one of the units file. */
void conn_unit_came(struct conn *conn, bool known);
void conn_unit_left(struct conn *conn, bool known);
/* A reload has made one of its units known, or a stranger. */
void conn_unit_changes(struct conn *conn, bool known);
/* A whole frame of so many bytes was understood: over UDP, the peer may be answered with three times as much. */
void conn_whole(struct conn *conn, size_t bytes);
/* It has been marked, or will be after its last words. */
bool conn_is_going(const struct conn *conn);
/* Has it said something within this time? */
bool conn_spoke_within(const struct conn *conn, int64_t ms);
/* A stranger's unit wants to come on line here. Are there places for it, of which there are `limits.units`, and for its connection,
 * of which there are `listen.max_connections`? STAT_COUNT: yes. When all are taken, another connection may give way (it is marked):
 * one of the address that has clearly more than this one's, or else the UDP peer that has been silent longest. */
enum counter conn_take_places(struct conn *conn);
/* The account of the address, or that of all strangers over UDP. */
struct source *conn_account(const struct conn *conn);
/* Counts, and logs now and then, what is refused to this peer. */
void conn_refused(struct conn *conn, enum counter reason);
/* May one more line about this peer be logged? A few a minute; it counts as one. */
bool conn_take_line(const struct conn *conn);
/* Address and port as text. */
void conn_peer(const struct conn *conn, char buf[CONN_PEER_MAX]);
const char *conn_transport(const struct conn *conn);

#endif
