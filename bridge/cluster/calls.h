// SPDX-License-Identifier: MIT
/* calls: calls to the registry that are not answered yet, in the order in which they were sent.
 * Uses: nothing else.
 * Not: send, know what they mean. */
#ifndef T2M_CALLS_H
#define T2M_CALLS_H

#include "bridge/cluster/registry.h"

struct pending {
	registry_answer *answer; /* NULL: nobody wants to know */
	void *ctx;
	int64_t number;
	char subject[64];
};

/* A ring; zeroed: empty. */
struct calls {
	struct pending *pending;
	size_t head, count, room;
};

/* False: no memory. */
bool calls_put(struct calls *calls, const struct pending *pending);
/* The newest one was not sent. */
void calls_take_back(struct calls *calls);
/* The oldest one, of at least one, is answered. */
void calls_answer(struct calls *calls, const struct redisReply *reply);
void calls_free(struct calls *calls);

#endif
