// SPDX-License-Identifier: MIT
/* registry_text: addresses of a registry as people write them, and what stands in an answer.
 * Uses: bridge/base.
 * Not: connect. */
#include "bridge/cluster/registry.h"

#include "bridge/base/lookup.h"

#include <stdlib.h>

static const char allowed[] =
	"allowed: redis://host:port/number, or rediss:// for TLS; several separated by commas";

/* host, host:port, [address], [address]:port → with a port. */
static bool read_server(struct registry_address *a, const char *port, const char *text, size_t len)
{
	const char *end = text + len, *bracket = len > 0 && text[0] == '[' ? memchr(text, ']', len) : NULL;
	const char *from = bracket != NULL ? bracket : text;
	const char *colon = memchr(from, ':', (size_t)(end - from));
	const char *host_end = bracket != NULL ? bracket : colon != NULL ? colon : end;
	const char *host = bracket != NULL ? text + 1 : text;
	if (host_end <= host || (size_t)(host_end - host) >= sizeof(a->host) || len > 180)
		return false;
	snprintf(a->host, sizeof(a->host), "%.*s", (int)(host_end - host), host);
	snprintf(a->server, sizeof(a->server), "%.*s%s%s", (int)len, text, colon == NULL ? ":" : "",
		colon == NULL ? port : "");
	return lookup_allowed(a->server);
}

static const char *read_address(struct registry_address *a, const char *port, const char *text, size_t len)
{
	static const char plain[] = "redis://", tls[] = "rediss://";
	*a = (struct registry_address){.db = 0};
	a->tls = len > strlen(tls) && strncmp(text, tls, strlen(tls)) == 0;
	size_t head = a->tls ? strlen(tls) : strlen(plain);
	if (!a->tls && (len <= head || strncmp(text, plain, head) != 0))
		return "it does not begin with redis:// or rediss://";
	text += head;
	len -= head;
	if (memchr(text, '@', len) != NULL)
		return "a login does not belong into the address; set [cluster] username and password";
	const char *slash = memchr(text, '/', len);
	size_t server = slash != NULL ? (size_t)(slash - text) : len;
	for (const char *c = slash != NULL ? slash + 1 : text + len; c < text + len; c++) {
		if (*c < '0' || *c > '9' || a->db > 9999)
			return "the database behind the / is no number";
		a->db = a->db * 10 + (unsigned)(*c - '0');
	}
	return read_server(a, port, text, server) ? NULL : "it names no host, or no port from 1 to 65535";
}

unsigned registry_addresses(const char *text, const char *port,
	struct registry_address out[REGISTRY_ADDRESSES_MOST], char *why, size_t size)
{
	unsigned count = 0;
	for (const char *at = text;; at++) {
		size_t blanks = strspn(at, " \t"), len = strcspn(at, ",");
		const char *begin = at + (blanks < len ? blanks : len), *end = at + len;
		while (end > begin && (end[-1] == ' ' || end[-1] == '\t'))
			end--;
		const char *fault = count == REGISTRY_ADDRESSES_MOST
					    ? "too many addresses"
					    : read_address(&out[count], port, begin, (size_t)(end - begin));
		if (fault != NULL) {
			snprintf(why, size, "%s; %s", fault, allowed);
			return 0;
		}
		count++;
		at += len;
		if (*at == '\0')
			return count;
	}
}

const struct redisReply *registry_item(const struct redisReply *reply, size_t i)
{
	return reply != NULL && reply->type == REDIS_REPLY_ARRAY && i < reply->elements ? reply->element[i]
											: NULL;
}

struct span registry_text(const struct redisReply *reply, size_t i)
{
	const struct redisReply *item = registry_item(reply, i);
	bool text = item != NULL && (item->type == REDIS_REPLY_STRING || item->type == REDIS_REPLY_STATUS);
	return text ? span_of(item->str, (size_t)item->len) : span_of(NULL, 0);
}

int64_t registry_number(const struct redisReply *reply, size_t i)
{
	const struct redisReply *item = registry_item(reply, i);
	if (item != NULL && item->type == REDIS_REPLY_INTEGER)
		return item->integer;
	return item != NULL && item->type == REDIS_REPLY_STRING ? strtoll(item->str, NULL, 10) : 0;
}

bool registry_is_refusal(const char *error)
{
	static const char *const kinds[] = {"READONLY", "LOADING", "MASTERDOWN", "NOAUTH", "WRONGPASS",
		"MISCONF", "CLUSTERDOWN", "NOREPLICAS", "UNBLOCKED", "OOM", "NOPERM", "BUSY"};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const char *at = strstr(error, kinds[i]);
		if (at != NULL && (at == error || at[-1] == '-')) /* -: of a script's call */
			return true;
	}
	return false;
}
