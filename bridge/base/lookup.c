// SPDX-License-Identifier: MIT
/* lookup: see lookup.h. */
#include "bridge/base/lookup.h"

#include "bridge/base/errand.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
#define AGAIN_SECONDS 60. /* for names whose address changes */
#define ADDRESSES 8       /* of one name; more are not looked at */

struct answer {
	union address address[ADDRESSES];
	unsigned count;
};

struct lookup {
	struct ev_loop *loop;
	char host[256], port[6];
	struct answer known;
	unsigned now; /* the address that is to be tried */
	ev_tstamp since;
	struct errand *errand; /* NULL: no question is open */
};

/* What the thread asks, and the answer. */
struct question {
	struct lookup *lookup; /* for the loop, when the errand was not abandoned */
	char host[256], port[6];
	struct answer answer;
};

static bool split(const char *server, char host[256], char port[6])
{
	const char *colon = strrchr(server, ':');
	if (colon == NULL || colon == server || (size_t)(colon - server) >= 256)
		return false;
	size_t n = (size_t)(colon - server), digits = strlen(colon + 1);
	bool brackets = n > 2 && server[0] == '[' && server[n - 1] == ']';
	if (!brackets && strspn(server, HOST_LETTERS) < n)
		return false;
	if (digits < 1 || digits > 5 || strspn(colon + 1, "0123456789") != digits || atoi(colon + 1) > 65535 ||
		atoi(colon + 1) < 1)
		return false;
	snprintf(host, 256, "%.*s", (int)(brackets ? n - 2 : n), brackets ? server + 1 : server);
	snprintf(port, 6, "%s", colon + 1);
	return true;
}

bool lookup_allowed(const char *server)
{
	char host[256], port[6];
	return split(server, host, port);
}

static void ask(void *arg)
{
	struct question *q = arg;
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
	if (getaddrinfo(q->host, q->port, &hints, &found) != 0)
		return;
	for (const struct addrinfo *i = found; i != NULL && q->answer.count < ADDRESSES; i = i->ai_next)
		if (i->ai_addrlen <= sizeof(union address))
			memcpy(&q->answer.address[q->answer.count++], i->ai_addr, i->ai_addrlen);
	freeaddrinfo(found);
}

/* Both are copies of what the resolver told. */
static bool is_same(const union address *a, const union address *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* Where it stands in the answer; 0 where it does not. */
static unsigned position(const struct answer *answer, const union address *address)
{
	for (unsigned i = 0; i < answer->count; i++)
		if (is_same(&answer->address[i], address))
			return i;
	return 0;
}

static void answered(void *arg)
{
	struct question *q = arg;
	struct lookup *l = q->lookup;
	l->errand = NULL;
	if (q->answer.count > 0) {
		l->now = position(&q->answer, &l->known.address[l->now]);
		l->known = q->answer;
	}
	free(q);
}

static void begin(struct lookup *l)
{
	static const struct errand_work work = {ask, answered, free};
	struct question *q = calloc(1, sizeof(*q));
	if (q == NULL)
		return;
	q->lookup = l;
	memcpy(q->host, l->host, sizeof(q->host));
	memcpy(q->port, l->port, sizeof(q->port));
	l->since = ev_now(l->loop);
	l->errand = errand_start(l->loop, &work, q);
	if (l->errand == NULL)
		free(q);
}

struct lookup *lookup_open(struct ev_loop *loop, const char *server)
{
	struct lookup *l = calloc(1, sizeof(*l));
	if (l == NULL || !split(server, l->host, l->port)) {
		free(l);
		return NULL;
	}
	l->loop = loop;
	begin(l);
	return l;
}

void lookup_free(struct lookup *l)
{
	errand_abandon(l->errand);
	free(l);
}

bool lookup_address(struct lookup *l, union address *out)
{
	if (l->errand == NULL && (l->known.count == 0 || ev_now(l->loop) - l->since > AGAIN_SECONDS))
		begin(l);
	*out = l->known.address[l->now];
	return l->known.count > 0;
}

void lookup_failed(struct lookup *l, const union address *address)
{
	if (l->known.count > 0 &&
		is_same(&l->known.address[l->now], address)) /* else another one is tried already */
		l->now = (l->now + 1) % l->known.count;
}

unsigned lookup_count(const struct lookup *l)
{
	return l->known.count;
}
