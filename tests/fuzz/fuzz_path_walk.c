// SPDX-License-Identifier: MIT
/* fuzz_path_walk: what is counted is what is there: connections, places and shares, units, the memory of messages in parts.
 * May use: the private headers of these rooms, for reading. May not: change anything. */
#include "fuzz_path.h"

#include "bridge/units/assembly_private.h"
#include "bridge/peers/conn_private.h"
#include "bridge/units/session_private.h"

#include <stdlib.h>

#define SOURCES 128
#define GOING 256
#define TURNS_TO_GO 2 /* who is marked is gone after so many turns */

#define HOLDER(share, member)                                                                                  \
	((const struct source *)(const void *)(&(                                                              \
		(const char *)(share))[-(ptrdiff_t)offsetof(struct source, member)]))

/* What a walk finds of an address, or of all strangers over UDP. */
struct found {
	const struct source *source;
	uint32_t connections, fresh, conns, units, strangers;
};

/* What a walk finds in all. */
struct tally {
	struct found by_source[SOURCES];
	size_t sources;
	size_t conns, fresh, fresh_weight, places, units, strangers, kept, owed, hashed, online;
};

/* Those that are marked, and for how many turns. */
static struct {
	uint64_t number;
	unsigned turns;
} going[GOING];
static size_t going_count;

void walk_reset(void)
{
	going_count = 0;
}

/* --- connections --- */

static struct found *found_of(struct tally *t, const struct source *source)
{
	for (size_t i = 0; i < t->sources; i++)
		if (t->by_source[i].source == source)
			return &t->by_source[i];
	if (t->sources == SOURCES)
		abort();
	t->by_source[t->sources] = (struct found){.source = source};
	return &t->by_source[t->sources++];
}

static const struct talk *talk_of(const struct conn *conn)
{
	return (const struct talk *)(const void *)conn->owner;
}

static bool is_here(const struct conn *conn, const void *session)
{
	const struct session *s;
	LL_FOREACH2(talk_of(conn)->sessions, s, next_here)
	if (s == session)
		return true;
	return false;
}

/* Its units, and nothing that points to another one's. */
static void see_units(const struct conn *conn, struct tally *t)
{
	const struct session *s;
	const struct outgoing *o;
	uint32_t units = 0, known = 0;
	bool speaker = talk_of(conn)->stream.link.unit == NULL;
	LL_FOREACH2(talk_of(conn)->sessions, s, next_here)
	{
		must("unit-conn", s->conn == conn, "unit %s is listed at a connection that is not its own",
			s->unit.ident);
		units++;
		known += s->info != NULL;
		speaker |= talk_of(conn)->stream.link.unit == &s->unit;
	}
	must("conn-units", units == conn->units && known == conn->known,
		"%u units and %u known ones are listed, %u and %u are counted", units, known, conn->units,
		conn->known);
	must("conn-unit", speaker, "a connection keeps a pointer to a unit that it does not have");
	LL_FOREACH(conn->commands, o)
		must("conn-command", o->ended || is_here(conn, o->whose),
			"a command waits for a unit that its connection does not have");
	uint32_t strangers = conn_is_going(conn) ? 0 : units - known;
	must("conn-strangers", conn->strangers == strangers, "%u strangers are listed, %u are counted",
		strangers, conn->strangers);
	t->online += units;
	t->strangers += strangers;
}

static struct conn *const *line_of_conn(const struct conns *c, const struct conn *conn)
{
	if (conn->leaving != NULL)
		return &c->leaving;
	if (conn->last_words != NULL)
		return conn->idle.line == &c->drained ? &c->drained : &c->speaking;
	if (conn->units == 0)
		return &c->idle_fresh;
	return !conn->udp ? &c->idle_tcp : conn->known > 0 ? &c->idle_udp_known : &c->idle_udp;
}

static void see_conn(const struct conns *c, const struct conn *conn, struct tally *t)
{
	const struct source *holder = conn->udp ? sources_udp(c->sources) : conn->source;
	struct found *f = found_of(t, holder);
	bool stays = !conn_is_going(conn), counts = stays && conn->known == 0;
	bool fresh = counts && conn->units == 0, place = counts && conn->units > 0;
	see_units(conn, t);
	must("conn-line", conn->idle.line == line_of_conn(c, conn), "a connection waits in the wrong line");
	must("conn-hashed", conn->hashed == (conn->udp && stays),
		"datagrams find a peer that goes, or miss one");
	f->fresh += fresh;
	f->conns += place;
	f->units += place ? conn->strangers : 0; /* beside a unit of the units file nothing gives way */
	f->strangers += conn->strangers;
	found_of(t, conn->source)->connections++;
	t->conns++;
	t->fresh += fresh;
	t->fresh_weight += fresh ? (conn->tls != NULL ? TLS_WEIGHT : 1) : 0;
	t->places += place;
	t->units += place ? conn->strangers : 0;
	t->hashed += conn->hashed;
	t->kept += conn->in_cap;
	t->owed += conn->out_cap;
	must("output", conn->out_len <= world.most_output, "%u bytes wait for a unit", conn->out_len);
	size_t frame = talk_of(conn)->stream.codec != NULL ? talk_of(conn)->stream.codec->max_frame : 1024;
	size_t most = conn->udp ? 65536 : (size_t)world.most_input + 2 * frame;
	must("input", conn->in_len <= most, "%u bytes of a unit are kept", conn->in_len);
}

/* Who is marked goes soon. */
static void see_going(const struct conn *conn)
{
	size_t i = 0;
	if (!conn_is_going(conn))
		return;
	while (i < going_count && going[i].number != conn->number)
		i++;
	if (i == GOING)
		return;
	if (i == going_count) {
		going[i].number = conn->number;
		going[i].turns = 0;
		going_count++;
	}
	must("conn-goes", ++going[i].turns <= TURNS_TO_GO, "a connection is marked for %u turns",
		going[i].turns);
}

static void drop_gone(const struct conns *c)
{
	const struct conn *conn;
	struct conn *const *lines[] = {&c->speaking, &c->drained, &c->leaving};
	size_t left = 0;
	for (size_t i = 0; i < going_count; i++) {
		bool there = false;
		for (size_t n = 0; n < sizeof(lines) / sizeof(lines[0]); n++)
			DL_FOREACH2(*lines[n], conn, idle.next)
		there |= conn->number == going[i].number;
		if (there)
			going[left++] = going[i];
	}
	going_count = left;
}

/* --- shares --- */

static size_t length_of(const struct conn *head)
{
	const struct conn *conn;
	size_t n = 0;
	DL_FOREACH(head, conn)
		n++;
	return n;
}

/* All holders of a pool stand where their count says, and no other ones do. */
static void see_shares(const char *name, const struct shares *shares, size_t holders, size_t sum)
{
	const struct share *share;
	size_t found = 0, all = 0;
	for (unsigned level = 0; level < 32; level++)
		DL_FOREACH(shares->level[level], share) {
			must("share-level", share->count > 0 && share->count >> level == 1,
				"%s: a holder of %u stands in level %u", name, share->count, level);
			found++;
			all += share->count;
		}
	must("shares", found == holders && all == sum,
		"%s: %zu holders of %zu stand there, there are %zu of %zu", name, found, all, holders, sum);
}

static void see_sources(const struct conns *c, const struct tally *t)
{
	size_t fresh = 0, conns = 0, units = 0;
	for (size_t i = 0; i < t->sources; i++) {
		const struct found *f = &t->by_source[i];
		const struct source *s = f->source;
		must("share-count",
			s->fresh.count == f->fresh && s->conns.count == f->conns && s->units.count == f->units,
			"an address has %u fresh, %u conns, %u units; %u, %u, %u are counted", f->fresh,
			f->conns, f->units, s->fresh.count, s->conns.count, s->units.count);
		must("share-strangers", s->strangers == f->strangers,
			"an address has %u strangers, %u are counted", f->strangers, s->strangers);
		must("share-list",
			length_of(s->fresh_conns) == f->fresh && length_of(s->unit_conns) == f->conns,
			"an address lists other connections than it has");
		must("source-held", s->side[0].connections + s->side[1].connections == f->connections,
			"an address has %u connections, %u counted", f->connections,
			s->side[0].connections + s->side[1].connections);
		fresh += f->fresh > 0;
		conns += f->conns > 0;
		units += f->units > 0;
	}
	see_shares("fresh", sources_fresh(c->sources), fresh, t->fresh);
	see_shares("conns", sources_conns(c->sources), conns, t->places);
	see_shares("units", sources_units(c->sources), units, t->units);
}

static void see_conns(const struct conns *c, struct tally *t, bool turned)
{
	const struct conn *conn;
	struct conn *const *lines[] = {&c->idle_fresh, &c->idle_tcp, &c->idle_udp, &c->idle_udp_known,
		&c->speaking, &c->drained, &c->leaving};
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		DL_FOREACH2(*lines[i], conn, idle.next)
		{
			see_conn(c, conn, t);
			if (turned)
				see_going(conn);
		}
	must("conns-count", t->conns == c->count && t->conns == world.bridge.stats.count[STAT_CONNECTIONS],
		"%zu connections, %zu counted", t->conns, c->count);
	must("fresh-count", t->fresh == c->fresh && t->fresh_weight == c->fresh_weight,
		"%zu connections without a unit of weight %zu, %zu and %zu counted", t->fresh, t->fresh_weight,
		c->fresh, c->fresh_weight);
	must("places-count", t->places == c->places, "%zu places taken, %zu counted", t->places, c->places);
	must("strangers-count", t->strangers == c->strangers, "%zu strangers, %zu counted", t->strangers,
		c->strangers);
	must("buffers", t->kept == c->kept && t->owed == c->owed,
		"%zu bytes kept and %zu owed, %zu and %zu counted", t->kept, t->owed, c->kept, c->owed);
	must("hashed", t->hashed == HASH_COUNT(c->udp), "%zu peers are found, %u counted", t->hashed,
		HASH_COUNT(c->udp));
	see_sources(c, t);
	drop_gone(c);
}

/* --- limits --- */

/* A reload may make strangers of known units, and lower a limit: then there are more for a while, but no new ones. */
static void see_limits(const struct conns *c)
{
	size_t units = (size_t)world.most_units, places = (size_t)world.most_connections;
	must("units-most", c->strangers <= (units > world.strangers_left ? units : world.strangers_left),
		"%zu strangers on line", c->strangers);
	must("conns-most", c->places <= (places > world.places_left ? places : world.places_left),
		"%zu connections with units", c->places);
	must("fresh-most", c->fresh_weight <= (size_t)world.most_unidentified, "%zu connections without a unit",
		c->fresh_weight);
}

void walk_reloaded(void)
{
	world.strangers_left = world.bridge.conns->strangers;
	world.places_left = world.bridge.conns->places;
}

/* --- units --- */

static size_t see_list(const struct sessions *s, enum gone kind)
{
	const struct session *session;
	size_t n = 0;
	DL_FOREACH(s->gone[kind].head, session) {
		must("gone",
			session->conn == NULL && session->info == NULL &&
				session->trusted == (kind == GONE_TRUSTED),
			"unit %s is in the wrong list", session->unit.ident);
		n++;
	}
	must("gone", n == s->gone[kind].count, "%zu units are gone, %zu counted", n, s->gone[kind].count);
	return n;
}

static void see_sessions(const struct sessions *s, const struct tally *t)
{
	const struct session *session, *next;
	size_t online = 0, trusted = 0, due = 0, gone = 0;
	bool walk = s->walk == NULL;
	HASH_ITER(hh, s->by_ident, session, next) {
		online += session->conn != NULL;
		trusted += session->trusted && session->info == NULL;
		due += session->due != 0;
		gone += session->conn == NULL && session->info == NULL;
		walk |= s->walk == session;
		must("unit-here", session->conn == NULL || is_here(session->conn, session),
			"unit %s is not listed at its connection", session->unit.ident);
		must("unit-trusted",
			session->trusted ||
				(session->info == NULL && (session->due & ~s->events.presence) == 0),
			"unit %s is not trusted, and is in the units file or to be told to Home Assistant",
			session->unit.ident);
		check_unit(session);
	}
	must("units-count",
		online == s->online && online == t->online && online == world.bridge.stats.count[STAT_UNITS],
		"%zu units on line, %zu listed, %zu counted", online, t->online, s->online);
	must("trusted-count", trusted == s->trusted, "%zu trusted, %zu counted", trusted, s->trusted);
	must("due-count", due == s->due, "%zu are to be told of, %zu counted", due, s->due);
	must("walk", walk, "the walk goes on at a unit that is no more");
	must("gone", see_list(s, GONE_STRANGERS) + see_list(s, GONE_TRUSTED) == gone, "%zu units are gone",
		gone);
}

/* --- messages in parts --- */

#define MESSAGE_COST (sizeof(struct multipart) + sizeof(struct sender) + sizeof(struct payer))

static size_t see_multipart(const struct multipart *m)
{
	size_t bytes = MESSAGE_COST;
	unsigned have = 0;
	for (unsigned i = 0; m->part != NULL && i < m->total; i++) {
		bytes += m->part[i].body != NULL ? m->part[i].len + BODY_COST : 0;
		have += m->part[i].body != NULL;
	}
	bytes += m->total * (m->part != NULL ? sizeof(struct part) : sizeof(*m->digest));
	must("parts-bytes", bytes == m->bytes, "a message takes %zu bytes, %zu are counted", bytes, m->bytes);
	must("parts-have", m->part == NULL || have == m->have, "%u parts are here, %u are counted", have,
		m->have);
	return bytes;
}

static void see_assembly(const struct assembly *a)
{
	const struct pool *pools[] = {&a->strangers, &a->known};
	const struct payer *p, *next;
	const struct multipart *m;
	size_t all = 0, paid = 0;
	for (size_t i = 0; i < 2; i++) {
		size_t bytes = 0;
		DL_FOREACH(pools[i]->oldest, m)
			bytes += see_multipart(m);
		must("parts-pool", bytes == pools[i]->bytes && bytes <= pools[i]->max_bytes,
			"%zu bytes of parts, %zu counted, %zu allowed", bytes, pools[i]->bytes,
			pools[i]->max_bytes);
		all += bytes;
	}
	HASH_ITER(hh, a->payers, p, next) {
		size_t bytes = 0;
		DL_FOREACH2(p->oldest, m, newer)
		bytes += m->bytes;
		must("parts-payer", bytes == p->bytes && bytes > 0,
			"an address pays %zu bytes, %zu are counted", bytes, p->bytes);
		paid += bytes;
	}
	must("parts-paid", paid == all && all == assembly_bytes(a), "%zu bytes of parts, %zu are paid for", all,
		paid);
	must("parts-done", a->complete == NULL && a->whole == NULL && a->paying == NULL,
		"a finished message is kept beyond its frame");
}

void walk(bool turned)
{
	static struct tally tally;
	memset(&tally, 0, sizeof(tally));
	see_conns(world.bridge.conns, &tally, turned);
	see_limits(world.bridge.conns);
	see_sessions(world.bridge.sessions, &tally);
	see_assembly(world.bridge.sessions->assembly);
}

/* --- when all is quiet --- */

/* A connection may still be marked: one that waited may have pushed it out in the last turn. see_going bounds its turns. */
void walk_settled(void)
{
	const struct sessions *s = world.bridge.sessions;
	must("due-late", s->due == 0, "of %zu units something is still to be told", s->due);
}

/* --- who gives way --- */

static unsigned level_of(uint32_t count)
{
	return count > 0 ? 31 - (unsigned)__builtin_clz(count) : 0;
}

/* Does this one hold clearly more than that one? */
static bool is_heavier(uint32_t count, uint32_t than)
{
	return count >= 2 && level_of(count) > (than > 0 ? level_of(than) : 0);
}

static void see_refused(const struct conn *conn, bool unit)
{
	const struct conns *c = conn->conns;
	const struct source *own = conn_account(conn);
	const struct conn *other;
	DL_FOREACH2(c->idle_tcp, other, idle.next)
	{
		const struct source *s = other->source;
		bool heavier = unit ? is_heavier(s->units.count, own->strangers)
				    : is_heavier(s->conns.count, own->conns.count);
		must("gives-way", other == conn || other->known > 0 || !heavier,
			"a place is refused though another address holds %u units by %u connections",
			s->units.count, s->conns.count);
	}
	DL_FOREACH2(c->idle_udp, other, idle.next)
	must("gives-way", other == conn, "a place is refused though a peer over UDP could give way");
}

void __real_conn_refused(struct conn *conn, enum counter reason);
void __wrap_conn_refused(struct conn *conn, enum counter reason);
void __wrap_conn_refused(struct conn *conn, enum counter reason)
{
	if (reason == STAT_REFUSED_UNITS || reason == STAT_REFUSED_CONNECTIONS)
		see_refused(conn, reason == STAT_REFUSED_UNITS);
	__real_conn_refused(conn, reason);
}
