// SPDX-License-Identifier: MIT
/* conn_limits: who has a place, and who gives way when there is none left.
 * Uses: nothing else.
 * Not: know bytes, or which units they are.
 *
 * Connections of units of the units file always have a place. All others share: when a place is wanted and none is free, the address
 * that holds clearly more than the one that wants gives one up; over UDP, where addresses can be forged, all strangers are one
 * holder, and the peer that has been silent longest goes first, for it is only a memory. */
#include "bridge/peers/conn_private.h"

#define HOLDER(share, member)                                                                                  \
	((struct source *)(void *)(&((char *)(share))[-(ptrdiff_t)offsetof(struct source, member)]))

/* --- giving way --- */

/* The one that has been silent longest. */
static struct conn *silent_peer(const struct conns *c, const struct conn *except)
{
	return c->idle_udp == NULL || c->idle_udp != except ? c->idle_udp : except->idle.next;
}

/* One connection with units of this holder: the newest, or over UDP the one that has been silent longest. */
static struct conn *one_of(const struct conns *c, const struct source *holder, const struct conn *except)
{
	if (holder == sources_udp(c->sources))
		return silent_peer(c, except);
	struct conn *first = holder->unit_conns, *newest = first != NULL ? first->prev : NULL;
	if (newest != except)
		return newest;
	return newest != first ? newest->prev : NULL;
}

/* Who gives up its place for a connection of an account that has `own` of them; NULL: nobody. */
static struct conn *who_gives_place(const struct conns *c, uint32_t own, const struct conn *except)
{
	const struct shares *conns = sources_conns(c->sources);
	struct conn *found = NULL;
	for (const struct share *s = shares_heavier(conns, own); s != NULL && found == NULL;
		s = shares_next(conns, s, own))
		found = one_of(c, HOLDER(s, conns), except);
	return found != NULL ? found : silent_peer(c, except);
}

/* The same for a stranger's unit. */
static struct conn *who_gives_unit(const struct conns *c, uint32_t own, const struct conn *except)
{
	const struct shares *units = sources_units(c->sources);
	struct conn *found = NULL;
	for (const struct share *s = shares_heavier(units, own); s != NULL && found == NULL;
		s = shares_next(units, s, own))
		found = one_of(c, HOLDER(s, units), except);
	return found != NULL ? found : silent_peer(c, except);
}

/* It may have taken a place that was not asked for: with a unit that moved here while others stay where it was, or because its last
 * unit of the units file went elsewhere. When it is one too many, another gives way, or else this one. */
static void settle_within(struct conn *conn)
{
	struct conns *c = conn->conns;
	bool before = conn->account == ACCOUNT_UNITS;
	conn_settle(conn);
	if (before || conn->account != ACCOUNT_UNITS || c->places <= (size_t)c->config->listen.max_connections)
		return;
	struct conn *other = who_gives_place(c, conn_account(conn)->conns.count, conn);
	conn_close(other != NULL ? other : conn, "its place was needed");
}

void conn_unit_came(struct conn *conn, bool known)
{
	conn->units++;
	conn->known += known;
	if (!known && !conn_is_going(conn))
		conn_count_strangers(conn, 1);
	conn_touch(conn);
	settle_within(conn);
}

void conn_unit_left(struct conn *conn, bool known)
{
	conn->units--;
	conn->known -= known;
	if (!known && conn->strangers > 0)
		conn_count_strangers(conn, -1);
	if (conn->units == 0)
		return;
	if (known && conn->known == 0) /* it waits with the others now */
		conn_touch(conn);
	settle_within(conn);
}

void conn_keep_guest(struct conn *conn)
{
	conn->guest = true;
}

void conn_unit_changes(struct conn *conn, bool known)
{
	conn->known = known ? conn->known + 1 : conn->known - 1;
	if (!conn_is_going(conn))
		conn_count_strangers(conn, known ? -1 : 1);
	conn_settle(conn);
	conn_touch(conn);
}

bool conns_has_place(const struct conns *c, const struct source *account)
{
	size_t places = c->places + c->fresh, most = (size_t)c->config->listen.max_connections;
	if (places < most || c->ops.expects_units(c->ops.ctx))
		return true;
	/* as many may come as could give way, and one of each address in any case */
	struct source *udp = sources_udp(c->sources);
	struct share *heavier = shares_heavier(sources_conns(c->sources), account->conns.count);
	size_t could = udp->conns.count;
	if (heavier != NULL && heavier != &udp->conns)
		could += heavier->count - account->conns.count;
	return places < most + could ||
	       (account->fresh.count == 0 && who_gives_place(c, account->conns.count, NULL) != NULL);
}

enum counter conn_take_places(struct conn *conn)
{
	struct conns *c = conn->conns;
	const struct source *account = conn_account(conn);
	const struct config *config = c->config;
	bool unit = c->strangers >= (size_t)config->limits.units;
	bool place =
		conn->units == 0 && !conn_is_going(conn) && c->places >= (size_t)config->listen.max_connections;
	struct conn *for_unit = unit ? who_gives_unit(c, account->strangers, conn) : NULL;
	struct conn *for_place = place ? who_gives_place(c, account->conns.count, conn) : NULL;
	if (unit && for_unit == NULL)
		return STAT_REFUSED_UNITS;
	if (place && for_place == NULL)
		return STAT_REFUSED_CONNECTIONS;
	if (unit)
		conn_close(for_unit, "its place was needed");
	if (place && for_place != for_unit)
		conn_close(for_place, "its place was needed");
	return STAT_COUNT;
}

void conns_trim_fresh(struct conns *c)
{
	while (c->fresh > 0 && c->fresh_weight > (size_t)c->config->limits.unidentified) {
		struct share *heaviest = shares_heavier(sources_fresh(c->sources), 0);
		struct conn *oldest = heaviest != NULL ? HOLDER(heaviest, fresh)->fresh_conns : c->idle_fresh;
		conn_refused(oldest, STAT_REFUSED_UNIDENTIFIED);
		conn_close(oldest, "too many that name no unit");
	}
}
