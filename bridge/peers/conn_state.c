// SPDX-License-Identifier: MIT
/* conn_state: what may be asked of one peer. All of these are questions: they change nothing.
 * Uses: nothing else.
 * Not: act. */
#include "bridge/peers/conn_private.h"

void *conn_owner(struct conn *conn)
{
	return conn->owner;
}

bool conn_is_udp(const struct conn *conn)
{
	return conn->udp;
}

const char *conn_transport(const struct conn *conn)
{
	return conn->udp ? "udp" : "tcp";
}

void conn_peer(const struct conn *conn, char buf[CONN_PEER_MAX])
{
	address_port_text(&conn->peer.addr, buf);
}

struct source *conn_source(const struct conn *conn)
{
	return conn->source;
}

struct source *conn_holder(const struct conn *conn)
{
	return conn->udp ? sources_udp(conn->conns->sources) : conn->source;
}

struct source *conn_account(const struct conn *conn)
{
	return conn->udp && conn->known == 0 ? sources_udp(conn->conns->sources) : conn->source;
}

uint32_t conn_units(const struct conn *conn)
{
	return conn->units;
}

bool conn_is_known(const struct conn *conn)
{
	return conn->known > 0;
}

bool conn_is_closed(const struct conn *conn)
{
	return conn->leaving != NULL;
}

bool conn_has_last_words(const struct conn *conn)
{
	return conn->last_words != NULL;
}

bool conn_is_going(const struct conn *conn)
{
	return conn->leaving != NULL || conn->last_words != NULL;
}

bool conn_spoke_within(const struct conn *conn, int64_t ms)
{
	return conn->idle.line != NULL && conns_now(conn->conns).steady_ms - conn->idle.since_ms < ms;
}
