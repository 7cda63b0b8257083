// SPDX-License-Identifier: MIT
/* ways: see ways.h. */
#include "bridge/peers/ways.h"

#include "bridge/base/hash.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct way {
	struct {
		union address proxy;
		int fd;
	} key;
	union address client;
	int64_t used_ms;
	struct way *prev, *next;
	UT_hash_handle hh;
};

static struct way *find(const struct ways *ways, int fd, const union address *proxy)
{
	struct way *way = NULL, probe = {.key = {.proxy = *proxy, .fd = fd}};
	HASH_FIND(hh, ways->by_key, &probe.key, sizeof(probe.key), way);
	return way;
}

static void forget(struct ways *ways, struct way *way)
{
	HASH_DEL(ways->by_key, way);
	DL_DELETE(ways->oldest, way);
	ways->count--;
	free(way);
}

static void used(struct ways *ways, struct way *way, int64_t now_ms)
{
	way->used_ms = now_ms;
	DL_DELETE(ways->oldest, way);
	DL_APPEND(ways->oldest, way);
}

bool ways_name(struct ways *ways, int fd, const union address *proxy, const union address *client, size_t most,
	int64_t now_ms)
{
	struct way *way = find(ways, fd, proxy);
	if (way == NULL) {
		while (ways->count > 0 && ways->count >= most)
			forget(ways, ways->oldest);
		way = calloc(1, sizeof(*way));
		if (way == NULL)
			return false;
		way->key.proxy = *proxy;
		way->key.fd = fd;
		HASH_ADD(hh, ways->by_key, key, sizeof(way->key), way);
		DL_APPEND(ways->oldest, way);
		ways->count++;
	}
	way->client = *client;
	used(ways, way, now_ms);
	return true;
}

void ways_forget(struct ways *ways, int fd, const union address *proxy)
{
	struct way *way = find(ways, fd, proxy);
	if (way != NULL)
		forget(ways, way);
}

bool ways_use(struct ways *ways, int fd, const union address *proxy, union address *client, int64_t now_ms)
{
	struct way *way = find(ways, fd, proxy);
	if (way == NULL)
		return false;
	*client = way->client;
	used(ways, way, now_ms);
	return true;
}

void ways_expire(struct ways *ways, int64_t before_ms)
{
	while (ways->oldest != NULL && ways->oldest->used_ms < before_ms)
		forget(ways, ways->oldest);
}

void ways_free(struct ways *ways)
{
	while (ways->oldest != NULL)
		forget(ways, ways->oldest);
}
