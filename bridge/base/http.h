/* http: a small HTTP server on the loop: a path leads to a handler.
 * Uses: codecs/record; <ev.h>, <microhttpd.h>.
 * Not: know what is answered.
 *
 * GET and HEAD only (else 405). A path without a handler is answered with 404 and the list of the paths. A connection serves one request.
 * At most 16 connections; http.c says which one has to end when more come. */
#ifndef T2M_HTTP_H
#define T2M_HTTP_H

#include "bridge/base/address.h"
#include "codecs/record/bytes.h"

#include <ev.h>

struct http;

#define HTTP_PLAIN "text/plain; charset=utf-8"

/* At first 200, HTTP_PLAIN, no body. */
struct http_answer {
	unsigned status;
	const char *type; /* Content-Type; copied after the handler has returned */
	struct span body; /* the same */
};

/* Answers a request for its path, on the loop, without waiting. For HEAD the body is left out afterwards. */
typedef void http_handler(void *ctx, struct http_answer *answer);

/* Listens on this address. NULL: `why` (of `size`). */
struct http *http_open(struct ev_loop *loop, const union address *listen_on, char *why, size_t size);
/* `path`: begins with a slash, compared as a whole; it stays the caller's and lives as long as the server. False: there is no room for
 * more, or the path has a handler already. */
bool http_route(struct http *http, const char *path, http_handler *handler, void *ctx);
/* Ends all connections. */
void http_free(struct http *http);

#endif
