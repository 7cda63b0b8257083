// SPDX-License-Identifier: MIT
/* tunnel_private: what the files of the tunnel share.
 * Uses: bridge/base.
 * Not: for other rooms. */
#ifndef T2M_TUNNEL_PRIVATE_H
#define T2M_TUNNEL_PRIVATE_H

#include "bridge/web/tunnel.h"

#include "bridge/base/hosts.h"
#include "bridge/base/lookup.h"
#include "bridge/base/tls.h"
#include "bridge/base/log.h"
#include "bridge/web/deflate.h"
#include "bridge/web/first_packet.h"
#include "bridge/web/websocket.h"

#define VIEWER_IN (WEBSOCKET_MOST + WEBSOCKET_HEAD_MOST)
#define VIEWER_UP WEBSOCKET_MOST
#define VIEWER_CHUNK 32768 /* most bytes of the broker in one frame */
#define VIEWER_DOWN (VIEWER_CHUNK + 1024 + WEBSOCKET_HEAD_OUT)

/* Bytes that wait: those from `from` on. */
struct waiting_bytes {
	size_t from, len;
};

/* One of [mqtt] host. */
struct tunnel_broker {
	struct lookup *lookup;
	struct tls_client *tls; /* NULL: it is reached without */
};

/* One browser. */
struct viewer {
	struct viewer *prev, *next;
	struct tunnel *tunnel;
	struct http_stream *stream;
	struct deflate *deflate;            /* NULL: no compression was agreed */
	int fd;                             /* to the broker; -1: none yet */
	const struct tunnel_broker *broker; /* the one for this viewer; NULL: not chosen yet */
	union address to;                   /* where that is tried */
	unsigned tried;                     /* addresses, before this one */
	struct tls_link *tls;
	bool connected;                    /* with the broker */
	bool begun;                        /* both of these */
	bool admitted;                     /* its first packet was a CONNECT that is allowed */
	bool welcome;                      /* and the broker has let it in */
	bool leaving;                      /* it ends in this turn of the loop, for another one */
	bool said;                         /* the broker has said something since its socket was last empty */
	bool gathering;                    /* what the broker says waits for `again` */
	double asked;                      /* when the browser last said something */
	uint8_t answer[FIRST_ANSWER_MOST]; /* of the broker, until it is welcome */
	uint8_t answer_len;
	ev_io web_io, broker_io;
	ev_timer
		deadline; /* the first packet and the connection must come in time; later, what waits for the browser must go */
	ev_timer again; /* more is there to be moved, after the others' turn, or was gathered */
	struct waiting_bytes in, up, down; /* from the browser: frames; to the broker; to the browser: frames */
	uint8_t in_bytes[VIEWER_IN], up_bytes[VIEWER_UP], down_bytes[VIEWER_DOWN];
};

struct tunnel {
	struct ev_loop *loop;
	const struct config *config;
	struct stats *stats;
	unsigned count_brokers, broker; /* those of the list; the one that is in use */
	struct tunnel_broker brokers[HOSTS_MAX];
	struct viewer *viewers;
	unsigned count;
	struct log_limit refused;
	char accept[WEBSOCKET_KEY_MOST]; /* of the answer that is being written */
};

/* The connection is upgraded: it is the tunnel's. */
void viewer_begin(struct tunnel *tunnel, struct http_stream *stream, bool packed);
/* Begins the connection to the broker. NULL, or why there is none. */
const char *viewer_connect(struct viewer *viewer);
/* Nobody answers at the address that was tried last. False: no other one is left. */
bool viewer_leave_address(struct viewer *viewer);
/* It ends in this turn of the loop. */
void viewer_give_way(struct viewer *viewer);
/* Says why, if it can be said at once, and ends both sides. `why` NULL: nothing is said. */
void viewer_end(struct viewer *viewer, enum websocket_end code, const char *why);

#endif
