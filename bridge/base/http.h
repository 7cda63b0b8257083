// SPDX-License-Identifier: MIT
/* http: a small HTTP server on the loop: a path leads to a handler. A handler may keep the connection, for another protocol.
 * Uses: codecs/record; <ev.h>, <microhttpd.h>.
 * Not: know what is answered.
 *
 * GET and HEAD only (else 405); a connection is kept only after GET. A path without a handler is answered with 404 and the list of the paths. A connection serves one request.
 * http.c says which connection has to end when more come than there are places. */
#ifndef T2M_HTTP_H
#define T2M_HTTP_H

#include "bridge/base/address.h"
#include "codecs/record/bytes.h"

#include <ev.h>

struct http;

#define HTTP_PLAIN "text/plain; charset=utf-8"
#define HTTP_HEADERS_MOST 8 /* of one answer, besides those of http_options */

struct http_header {
	const char *name, *value;
};

struct http_options {
	union address listen;
	unsigned places, places_of_address; /* connections at a time, in all and for one address (IPv6: /64) */
	unsigned streams;                   /* connections that handlers keep, besides */
	unsigned quiet_seconds;             /* a connection without a byte for so long ends */
	int64_t answer_ms;                  /* and one whose answer has not left by then; its request has 5 s */
	const struct http_header
		*headers; /* of every answer; up to a name that is NULL; they outlive the server; NULL: none */
	const char *cert, *key; /* PEM texts for TLS, used during http_open only; NULL: no TLS */
};

struct http_request;
/* Of the request; NULL: it has no such header. Valid until the handler returns. */
const char *http_request_header(const struct http_request *request, const char *name);
/* Begins with a slash. */
const char *http_request_path(const struct http_request *request);
/* Who asks; NULL: not known, and then no handler can keep the connection. Valid until the handler returns. */
const union address *http_request_peer(const struct http_request *request);

/* A connection that is the handler's from now on. */
struct http_stream;
/* Who is at its other end. */
const union address *http_stream_peer(const struct http_stream *stream);
/* The socket, non-blocking; under TLS one that stands for it. */
int http_stream_fd(const struct http_stream *stream);
/* What has arrived already behind the request; it lives as long as the stream. */
struct span http_stream_early(const struct http_stream *stream);
/* Ends the connection, and frees the stream. The watchers of its socket are stopped before. */
void http_stream_close(struct http_stream *stream);

/* At first 200, HTTP_PLAIN, no body. Everything is copied after the handler has returned, but for the file, which is closed. */
struct http_answer {
	unsigned status;
	const char *type; /* Content-Type */
	struct span body;
	int file; /* instead of the body; -1: none */
	uint64_t file_size;
	struct http_header header[HTTP_HEADERS_MOST]; /* up to a name that is NULL */
	/* With status 101: gets the connection when the answer is sent. */
	void (*keep)(void *ctx, struct http_stream *stream);
	void *keep_ctx;
};

/* Answers a request for its path, on the loop, without waiting. For HEAD the body is left out afterwards. */
typedef void http_handler(void *ctx, const struct http_request *request, struct http_answer *answer);

/* NULL: `why` (of `size`). */
struct http *http_open(struct ev_loop *loop, const struct http_options *options, char *why, size_t size);
/* `path`: begins with a slash, compared as a whole; it stays the caller's and lives as long as the server. False: there is no room for
 * more, or the path has a handler already. */
bool http_route(struct http *http, const char *path, http_handler *handler, void *ctx);
/* The handler of all paths that have none of their own. */
void http_route_others(struct http *http, http_handler *handler, void *ctx);
/* Ends all connections. The streams were closed before. */
void http_free(struct http *http);

#endif
