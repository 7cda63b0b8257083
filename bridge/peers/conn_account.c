// SPDX-License-Identifier: MIT
/* conn_account: as what a connection counts, for its address and in all: not at all, among those that have not named a unit, or among
 * those with units. Only what can give way counts.
 * Uses: nothing else.
 * Not: end anything. */
#include "bridge/peers/conn_private.h"

static void enter(struct conn *conn, enum account account)
{
	struct conns *c = conn->conns;
	struct source *source = conn_holder(conn);
	conn->account = (uint8_t)account;
	if (account == ACCOUNT_FRESH) {
		DL_APPEND(source->fresh_conns, conn);
		share_change(sources_fresh(c->sources), &source->fresh, 1);
		c->fresh++;
		c->fresh_weight += conn->tls != NULL ? TLS_WEIGHT : 1;
	} else if (account == ACCOUNT_UNITS) {
		DL_APPEND(source->unit_conns, conn);
		share_change(sources_conns(c->sources), &source->conns, 1);
		share_change(sources_units(c->sources), &source->units, conn->strangers);
		c->places++;
	}
}

static void leave(struct conn *conn)
{
	struct conns *c = conn->conns;
	struct source *source = conn_holder(conn);
	if (conn->account == ACCOUNT_FRESH) {
		DL_DELETE(source->fresh_conns, conn);
		share_change(sources_fresh(c->sources), &source->fresh, -1);
		c->fresh--;
		c->fresh_weight -= conn->tls != NULL ? TLS_WEIGHT : 1;
	} else if (conn->account == ACCOUNT_UNITS) {
		DL_DELETE(source->unit_conns, conn);
		share_change(sources_conns(c->sources), &source->conns, -1);
		share_change(sources_units(c->sources), &source->units, -(int64_t)conn->strangers);
		c->places--;
	}
	conn->account = ACCOUNT_NONE;
}

void conn_settle(struct conn *conn)
{
	enum account account = conn->units > 0 ? ACCOUNT_UNITS : ACCOUNT_FRESH;
	if (conn_is_going(conn) || conn->known > 0)
		account = ACCOUNT_NONE;
	if (account == (enum account)conn->account)
		return;
	leave(conn);
	enter(conn, account);
}

/* In the share stand only those that can give way: a connection that speaks for a unit of the units file keeps its strangers. */
void conn_count_strangers(struct conn *conn, int64_t by)
{
	struct conns *c = conn->conns;
	struct source *source = conn_holder(conn);
	if (conn->account == ACCOUNT_UNITS)
		share_change(sources_units(c->sources), &source->units, by);
	source->strangers = (uint32_t)(source->strangers + by);
	conn->strangers = (uint32_t)(conn->strangers + by);
	c->strangers = (size_t)((int64_t)c->strangers + by);
}

void conn_leave_accounts(struct conn *conn)
{
	if (conn->strangers > 0)
		conn_count_strangers(conn, -(int64_t)conn->strangers);
	leave(conn);
}
