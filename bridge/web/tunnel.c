// SPDX-License-Identifier: MIT
/* tunnel: see tunnel.h: the handshake, and who is connected. */
#include "bridge/web/tunnel_private.h"

#include "bridge/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define SHARE 4 /* an address has at most this part of the places for those who have not logged in */

/* --- the handshake --- */

static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);
	for (const char *p = list; p != NULL && *p != '\0'; p += strcspn(p, ","), p += *p == ',') {
		p += strspn(p, " \t");
		if (strncasecmp(p, word, n) == 0 && strchr(", \t", p[n]) != NULL)
			return true;
	}
	return false;
}

/* Is it the origin of a page of this server? A browser always sends its page's origin. */
static bool is_own_origin(const char *origin, const char *host)
{
	const char *at = origin != NULL ? strstr(origin, "://") : NULL;
	return at != NULL && host != NULL && strcasecmp(at + 3, host) == 0;
}

static void refuse(struct http_answer *answer, unsigned status, const char *text)
{
	answer->status = status;
	answer->body = span_text(text);
}

static void keep_plain(void *ctx, struct http_stream *stream)
{
	viewer_begin(ctx, stream, false);
}

static void keep_packed(void *ctx, struct http_stream *stream)
{
	viewer_begin(ctx, stream, true);
}

/* --- room --- */

static bool is_same_place(const union address *a, const union address *b)
{
	uint8_t x[16], y[16];
	address_bytes(a, x);
	address_bytes(b, y);
	bool wide = a->any.sa_family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr);
	return memcmp(x, y, wide ? 8 : 16) == 0;
}

/* Room for one more. Who has not logged in gives way: the oldest of the same address when it has its share, else the oldest of all. False:
 * all that are connected have logged in. */
static bool make_room(struct tunnel *t, const union address *peer)
{
	unsigned staying = 0, same = 0, most = (unsigned)t->config->web.max_viewers;
	struct viewer *oldest = NULL, *oldest_same = NULL;
	for (struct viewer *v = t->viewers; v != NULL; v = v->next) {
		if (v->leaving)
			continue;
		staying++;
		if (v->welcome)
			continue;
		oldest = v;
		if (!is_same_place(peer, http_stream_peer(v->stream)))
			continue;
		oldest_same = v;
		same++;
	}
	struct viewer *goes = same >= (most + SHARE - 1) / SHARE ? oldest_same : NULL;
	if (goes == NULL && staying >= most)
		goes = oldest;
	if (goes != NULL)
		viewer_give_way(goes);
	return goes != NULL || staying < most;
}

void tunnel_handler(void *ctx, const struct http_request *request, struct http_answer *answer)
{
	struct tunnel *t = ctx;
	const char *version = http_request_header(request, "Sec-WebSocket-Version"), *agreed;
	if (!has_word(http_request_header(request, "Upgrade"), "websocket") ||
		!has_word(http_request_header(request, "Connection"), "upgrade")) {
		refuse(answer, 426, "this is for WebSocket\n");
		answer->header[0] = (struct http_header){"Upgrade", "websocket"};
		return;
	}
	if (!is_own_origin(http_request_header(request, "Origin"), http_request_header(request, "Host"))) {
		refuse(answer, 403, "only for pages of this server: the Origin is another one\n");
		return;
	}
	if (version == NULL || strcmp(version, "13") != 0 ||
		!websocket_accept(http_request_header(request, "Sec-WebSocket-Key"), t->accept) ||
		!has_word(http_request_header(request, "Sec-WebSocket-Protocol"), "mqtt")) {
		refuse(answer, 400, "WebSocket version 13 with the protocol mqtt is needed\n");
		return;
	}
	const union address *peer = http_request_peer(request);
	if (peer == NULL || !make_room(t, peer)) {
		refuse(answer, 503, "too many are connected ([web] max_viewers)\n");
		return;
	}
	answer->status = 101;
	answer->header[0] = (struct http_header){"Upgrade", "websocket"};
	answer->header[1] = (struct http_header){"Sec-WebSocket-Accept", t->accept};
	answer->header[2] = (struct http_header){"Sec-WebSocket-Protocol", "mqtt"};
	bool packed = deflate_agreed(http_request_header(request, "Sec-WebSocket-Extensions"), &agreed);
	if (packed)
		answer->header[3] = (struct http_header){"Sec-WebSocket-Extensions", agreed};
	answer->keep = packed ? keep_packed : keep_plain;
	answer->keep_ctx = t;
}

/* --- open and free --- */

static bool add_broker(struct tunnel *t, const struct host *host, char *why, size_t size)
{
	char fault[TLS_WHY_MAX], server[HOST_TEXT_MAX];
	const struct tls_client_options options = {t->config->mqtt.tls_ca_file, "", "", host->name};
	unsigned n = t->count_brokers++;
	t->brokers[n].lookup = lookup_open(t->loop, host_text(host, server));
	if (t->brokers[n].lookup == NULL || !t->config->mqtt.tls)
		return t->brokers[n].lookup != NULL;
	t->brokers[n].tls = tls_client_open(&options, fault);
	if (t->brokers[n].tls == NULL)
		snprintf(why, size, "%s", fault);
	return t->brokers[n].tls != NULL;
}

struct tunnel *tunnel_open(
	struct ev_loop *loop, const struct config *config, struct stats *stats, char *why, size_t size)
{
	struct hosts hosts;
	struct tunnel *t = calloc(1, sizeof(*t));
	snprintf(why, size, "no memory for the tunnel");
	if (t == NULL)
		return NULL;
	*t = (struct tunnel){.loop = loop, .config = config, .stats = stats};
	bool ok = hosts_read(config->mqtt.host, (int)config->mqtt.port, &hosts);
	for (unsigned i = 0; ok && i < hosts.count; i++)
		ok = add_broker(t, &hosts.item[i], why, size);
	if (ok)
		return t;
	tunnel_free(t);
	return NULL;
}

void tunnel_use(struct tunnel *t, unsigned n)
{
	t->broker = n < t->count_brokers ? n : 0;
}

void tunnel_end_all(struct tunnel *t)
{
	while (t->viewers != NULL)
		viewer_end(t->viewers, WEBSOCKET_AWAY, "the bridge stops");
}

void tunnel_free(struct tunnel *t)
{
	for (unsigned i = 0; i < t->count_brokers; i++) {
		if (t->brokers[i].lookup != NULL)
			lookup_free(t->brokers[i].lookup);
		if (t->brokers[i].tls != NULL)
			tls_client_free(t->brokers[i].tls);
	}
	free(t);
}
