// SPDX-License-Identifier: MIT
/* registry: a connection to Redis or Valkey on the libev loop: connects, backs off, sends calls, gives their answers.
 * Uses: bridge/base, codecs/record; <ev.h>, <hiredis/hiredis.h>.
 * Not: know what the calls mean, wait for anything.
 *
 * Calls are sent in order and answered in order. A call that is not answered, because the connection broke, is never repeated: it may have
 * been executed or not. A registry that does not answer for some seconds counts as away. Of several addresses the next one is used after each
 * failure; one that answers that it is only a copy, or still loads its data, counts as a failure. */
#ifndef T2M_REGISTRY_H
#define T2M_REGISTRY_H

#include "codecs/record/bytes.h"

#include <ev.h>
#include <hiredis/hiredis.h>

#define REGISTRY_ARGUMENTS_MOST 32
#define REGISTRY_PENDING_MOST 20000 /* calls without an answer */
#define REGISTRY_ADDRESSES_MOST 8

#define REGISTRY_SERVER_MOST 200
/* One address of a registry: redis://host:port/number, or rediss:// with TLS. */
struct registry_address {
	char server[REGISTRY_SERVER_MOST]; /* host:port, IPv6 in brackets */
	char host[REGISTRY_SERVER_MOST];   /* without port and brackets, for TLS */
	unsigned db;
	bool tls;
};
/* Reads addresses separated by commas; `port`: where none is given. Their number; 0: `why` says what is wrong and what is allowed. */
#define REGISTRY_PORT "6379"
#define REGISTRY_SENTINEL_PORT "26379"
unsigned registry_addresses(const char *text, const char *port,
	struct registry_address out[REGISTRY_ADDRESSES_MOST], char *why, size_t size);

/* Who knows which server is in use. Then the host and port of `addresses`, of which there is one, do not count. */
struct registry_finder {
	void *ctx;
	/* host:port, and the host alone. False: not known yet; it is asked again. */
	bool (*find)(void *ctx, char server[REGISTRY_SERVER_MOST], char host[REGISTRY_SERVER_MOST]);
	/* The connection to that server failed. */
	void (*wrong)(void *ctx);
};

struct registry_options {
	const char *addresses;                         /* as registry_addresses reads them */
	const char *username, *password, *tls_ca_file; /* "": none */
	const char *what;                              /* for the log: what the connection is for */
	double patience;                               /* seconds that an answer may take */
	bool is_sentinel;              /* these are addresses of Sentinels, which have no databases */
	struct registry_finder finder; /* find NULL: none */
};

struct registry_ops {
	void *ctx;
	/* Logged in: calls are possible. */
	void (*up)(void *ctx);
	/* The connection is gone; all calls were answered with NULL before. */
	void (*down)(void *ctx);
};

/* The answer to a call, valid during the call; NULL: it failed, or nobody knows whether it was executed. `number` and `subject` are those of the
 * call. It may make further calls; it may not close the registry. */
typedef void registry_answer(void *ctx, const struct redisReply *reply, int64_t number, const char *subject);

struct registry;

/* `options`' texts and `ops` are kept and must live longer. NULL: no memory. */
struct registry *registry_open(
	struct ev_loop *loop, const struct registry_options *options, const struct registry_ops *ops);
void registry_start(struct registry *registry);
/* No call is answered any more. */
void registry_free(struct registry *registry);
/* host:port of the server that is connected; "": none is. */
const char *registry_server(const struct registry *registry);
/* Closes the connection, and tries again. Not from inside an answer. */
void registry_leave(struct registry *registry, const char *why);
/* Calls without an answer. */
size_t registry_pending(const struct registry *registry);

/* In an answer that is NULL: the error with which the server answered the call, which it may have executed in part; "": the connection broke. */
const char *registry_error(const struct registry *registry);

/* Sends a call. `argv`: its words, any bytes; `subject`: at most 63 bytes, copied. False: not connected, too many pending, or no memory;
 * `answer` is not called then. */
bool registry_call(struct registry *registry, unsigned argc, const struct span *argv, registry_answer *answer,
	void *ctx, int64_t number, const char *subject);

/* Is it an error after which another address is to be tried: this server is no master, does not serve now, or refuses the login? */
bool registry_is_refusal(const char *error);
/* Element i of an answer that is a list; NULL: it has none. */
const struct redisReply *registry_item(const struct redisReply *reply, size_t i);
/* The text, or the number in decimal, of an element; empty: there is none. Valid as long as the reply. */
struct span registry_text(const struct redisReply *reply, size_t i);
/* The number of an element, also of a decimal text; 0: there is none. */
int64_t registry_number(const struct redisReply *reply, size_t i);

#endif
