// SPDX-License-Identifier: MIT
/* conn_silent: what people are told of connections that say nothing, in words: the first thing that goes wrong with a new tracker.
 * Uses: nothing else.
 * Not: close anything.
 *
 * All of it is limited, for anybody can connect and say nothing: a few lines a minute for each address, some more for all of them. */
#include "bridge/peers/conn_private.h"

#define SILENT_MS 2000          /* a tracker says at once who it is */
#define NOBODY_MS (60 * 1000LL) /* after the start */

static bool take_line(const struct conn *conn)
{
	const struct conns *c = conn->conns;
	return source_take_silent(c->sources, conn->source, conns_now(c).steady_ms);
}

void conn_expect_words(struct conn *conn)
{
	JOIN(conn, quiet, &conn->conns->silent);
}

struct peer_text {
	char text[CONN_PEER_MAX];
};

static struct peer_text peer_of(const struct conn *conn)
{
	struct peer_text peer;
	conn_peer(conn, peer.text);
	return peer;
}

void conn_tell_wordless(struct conn *conn)
{
	const struct conns *c = conn->conns;
	if (source_take_wordless(c->sources, conn->source, conns_now(c).steady_ms))
		log_info("%s over tcp has connected and closed without a word: the port can be reached from "
			 "there; "
			 "more of this address are told in an hour",
			peer_of(conn).text);
}

void conn_tell_no_frame(struct conn *conn)
{
	double s = (double)conn->conns->config->listen.first_frame_timeout / 1000.0;
	if (!take_line(conn))
		return;
	if (conn->recognized)
		log_info("%s has brought no unit on line for %g s and is closed: the reason stands above",
			peer_of(conn).text, s);
	else if (conn->in_len > 0)
		log_info("%s has sent %u bytes for %g s, no whole frame, and is closed: does the tracker speak "
			 "a "
			 "protocol of this bridge?",
			peer_of(conn).text, conn->in_len, s);
	else if (conn->tls != NULL)
		log_info("%s has sent nothing over TLS for %g s and is closed: a tracker without TLS belongs "
			 "to a "
			 "port of [listen] tcp",
			peer_of(conn).text, s);
	else if (conn->header_due)
		log_info("%s has sent nothing for %g s and is closed: a PROXY header must come first on a port "
			 "of "
			 "[listen] proxy_protocol",
			peer_of(conn).text, s);
	else
		log_info("%s has sent nothing for %g s and is closed: does the tracker know its APN and GPRS "
			 "mode? "
			 "(RCONF)",
			peer_of(conn).text, s);
}

static void tell_nobody(struct conns *c, int64_t now)
{
	bool somebody = c->stats->count[STAT_ACCEPTED] > 0;
	if (c->opened_ms == 0 || (!somebody && now - c->opened_ms < NOBODY_MS))
		return;
	c->opened_ms = 0;
	if (!somebody)
		log_info("nobody has connected or sent a datagram since the start: has the tracker this "
			 "machine's "
			 "public address and this port, does the router forward it, does a firewall let it "
			 "through? "
			 "(trouble.md)");
}

void conns_tell_silent(struct conns *c)
{
	int64_t now = conns_now(c).steady_ms;
	tell_nobody(c, now);
	while (c->silent != NULL && now - c->silent->quiet.since_ms >= SILENT_MS) {
		struct conn *conn = c->silent;
		LEAVE(conn, quiet);
		if (!conn->spoke && take_line(conn))
			log_info("%s over %s is connected and has sent nothing for %d s", peer_of(conn).text,
				conn->tls != NULL ? "tls" : "tcp", SILENT_MS / 1000);
	}
}
