// SPDX-License-Identifier: MIT
/* sentinel: see sentinel.h. */
#include "bridge/cluster/sentinel.h"

#include "bridge/base/log.h"
#include "bridge/base/lookup.h"

#include <stdlib.h>

#define WRONGS_MOST 10 /* it may take a while to promote a copy */

struct sentinel {
	struct registry *registry; /* a connection to one of them */
	const char *master;
	char server[REGISTRY_SERVER_MOST], host[REGISTRY_SERVER_MOST];
	bool known, asked;
	unsigned wrongs; /* so often in a row what it named did not serve */
};

static void up(void *ctx)
{
	(void)ctx;
}

static void down(void *ctx)
{
	((struct sentinel *)ctx)->asked = false;
}

/* Host and port, as the Sentinel has them. False: they are none. */
static bool use_master(struct sentinel *s, struct span host, struct span port)
{
	char server[REGISTRY_SERVER_MOST], name[REGISTRY_SERVER_MOST];
	if (host.len == 0 || host.len > 180 || port.len == 0 || port.len > 5)
		return false;
	bool six = memchr(host.ptr, ':', host.len) != NULL;
	span_copy(host, name, sizeof(name));
	snprintf(server, sizeof(server), six ? "[%s]:%.*s" : "%s:%.*s", name, (int)port.len,
		(const char *)port.ptr);
	if (strlen(name) != host.len || !lookup_allowed(server))
		return false;
	if (strcmp(server, s->server) != 0) {
		s->wrongs = 0;
		log_notice("registry: the master is %s, says sentinel %s", log_bytes(span_text(server)).text,
			registry_server(s->registry));
	}
	memcpy(s->server, server, sizeof(server));
	memcpy(s->host, name, sizeof(name));
	return true;
}

static void on_master(void *ctx, const struct redisReply *reply, int64_t number, const char *subject)
{
	struct sentinel *s = ctx;
	(void)number;
	(void)subject;
	s->asked = false;
	if (reply == NULL)
		return;
	s->known = use_master(s, registry_text(reply, 0), registry_text(reply, 1));
	if (!s->known)
		s->wrongs = WRONGS_MOST; /* it is left later, not from inside its own answer */
}

static bool find(void *ctx, char server[REGISTRY_SERVER_MOST], char host[REGISTRY_SERVER_MOST])
{
	struct sentinel *s = ctx;
	const struct span words[] = {
		span_text("SENTINEL"), span_text("get-master-addr-by-name"), span_text(s->master)};
	if (s->wrongs >= WRONGS_MOST) {
		registry_leave(s->registry, "the master that it names does not serve, or it knows none");
		s->wrongs = 0;
	}
	if (!s->known && !s->asked)
		s->asked = registry_call(s->registry, 3, words, on_master, s, 0, "");
	if (!s->known)
		return false;
	memcpy(server, s->server, REGISTRY_SERVER_MOST);
	memcpy(host, s->host, REGISTRY_SERVER_MOST);
	return true;
}

static void wrong(void *ctx)
{
	struct sentinel *s = ctx;
	s->wrongs += s->known;
	s->known = false;
}

struct registry_finder sentinel_finder(struct sentinel *s)
{
	return (struct registry_finder){s, find, wrong};
}

struct sentinel *sentinel_open(struct ev_loop *loop, const struct registry_options *options, const char *master)
{
	struct sentinel *s = calloc(1, sizeof(*s));
	const struct registry_ops ops = {s, up, down};
	if (s == NULL)
		return NULL;
	s->master = master;
	s->registry = registry_open(loop, options, &ops);
	if (s->registry != NULL)
		return s;
	free(s);
	return NULL;
}

void sentinel_start(struct sentinel *s)
{
	registry_start(s->registry);
}

void sentinel_free(struct sentinel *s)
{
	registry_free(s->registry);
	free(s);
}
