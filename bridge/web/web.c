// SPDX-License-Identifier: MIT
/* web: see web.h. */
#include "bridge/web/web.h"

#include "bridge/base/log.h"
#include "bridge/base/tls.h"
#include "bridge/web/deflate.h"
#include "bridge/web/files.h"
#include "bridge/web/tunnel.h"

#include <stdio.h>
#include <stdlib.h>

#define PLACES 64
#define PLACES_OF_ADDRESS 32 /* a browser opens six; a proxy comes with all from one address */
#define QUIET_SECONDS 20     /* a phone may be out of reach for a moment */
#define ANSWER_MS 120000     /* and its way may be slow */
#define POLICY_MOST 1000
#define SETTINGS_MOST (256 << 10)
#define PEM_MOST (64 << 10)
#define ORIGIN_MOST 200

enum { POLICY = 0, NO_SNIFF, REFERRER, OPENER, CACHE, HEADERS };

struct web {
	struct ev_loop *loop;
	const struct config *config;
	struct web_more more;
	char *cert, *key; /* PEM texts in use; NULL: no TLS */
	struct http *http;
	struct tunnel *tunnel;
	struct files files;
	struct http_header headers[HEADERS + 1];
	char policy[POLICY_MOST];
	struct span settings, packed; /* /config.json, plain and for who takes gzip; memory of their own */
};

/* --- headers --- */

/* scheme://host:port of a URL; "": it is none. */
static void origin_of(const char *url, char out[ORIGIN_MOST])
{
	const char *host = strstr(url, "://");
	size_t n = host != NULL ? (size_t)(host + 3 - url) + strcspn(host + 3, "/?#") : 0;
	span_copy(span_of(url, n), out, ORIGIN_MOST);
	for (char *p = out; *p != '\0'; p++) /* tiles: {s} stands for one of several hosts */
		if (*p == '{') {
			char *end = strchr(p, '}');
			if (end == NULL)
				break;
			*p = '*';
			memmove(p + 1, end + 1, strlen(end));
		}
}

static void write_policy(struct web *w)
{
	const struct config *c = w->config;
	char tiles[ORIGIN_MOST], mqtt[ORIGIN_MOST];
	origin_of(c->web.tiles, tiles);
	origin_of(c->web.mqtt, mqtt);
	snprintf(w->policy, sizeof(w->policy),
		"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: %s; connect-src "
		"'self' "
		"%s; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors %s",
		tiles, mqtt, *c->web.frame_ancestors ? c->web.frame_ancestors : "'none'");
}

static void write_headers(struct web *w)
{
	write_policy(w);
	w->headers[POLICY] = (struct http_header){"Content-Security-Policy", w->policy};
	w->headers[NO_SNIFF] = (struct http_header){"X-Content-Type-Options", "nosniff"};
	w->headers[REFERRER] = (struct http_header){"Referrer-Policy", "strict-origin-when-cross-origin"};
	w->headers[OPENER] = (struct http_header){"Cross-Origin-Opener-Policy", "same-origin"};
	w->headers[CACHE] = (struct http_header){"Cache-Control", "no-cache"};
}

/* --- what the page has to know --- */

/* Where units connect, for the texts that set up a tracker. 0: nowhere. */
static unsigned unit_port(const struct config *c)
{
	const struct endpoints *all[] = {&c->listen.tcp, &c->listen.udp, &c->listen.tls};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i]->count > 0)
			return address_port(&all[i]->item[0]);
	return 0;
}

static void emit_settings(const struct web *w, struct writer *out)
{
	const struct config *c = w->config;
	struct emitter e = emitter_of(&emit_json, out);
	emit_map(&e, 10);
	emit_pair_text(&e, "version", span_text(T2M_VERSION));
	emit_pair_text(&e, "prefix", span_text(c->publish.prefix));
	emit_pair_text(&e, "instance", span_text(c->publish.instance));
	emit_pair_text(&e, "mqtt", span_text(c->web.mqtt));
	emit_pair_text(&e, "tiles", span_text(c->web.tiles));
	emit_pair_text(&e, "tiles.attribution", span_text(c->web.tiles_attribution));
	emit_pair_integer(&e, "unit.port", unit_port(c));
	emit_key(&e, "anonymous");
	emit_boolean(&e, c->web.anonymous);
	w->more.tables(&e);
	emit_end(&e);
}

/* A copy; its pointer is NULL without memory. */
static struct span keep(struct span s)
{
	uint8_t *copy = malloc(s.len);
	if (copy != NULL)
		memcpy(copy, s.ptr, s.len);
	return span_of(copy, s.len);
}

/* Once, for nothing of it changes while the bridge runs. */
static bool write_settings(struct web *w)
{
	uint8_t *room = malloc(2 * SETTINGS_MOST);
	if (room == NULL)
		return false;
	struct writer plain = writer_of(room, SETTINGS_MOST),
		      packed = writer_of(room + SETTINGS_MOST, SETTINGS_MOST);
	emit_settings(w, &plain);
	bool ok = !plain.full && deflate_gzip(writer_span(&plain), &packed);
	if (ok) {
		w->settings = keep(writer_span(&plain));
		w->packed = keep(writer_span(&packed));
	}
	free(room);
	return ok && w->settings.ptr != NULL && w->packed.ptr != NULL;
}

static void settings_handler(void *ctx, const struct http_request *request, struct http_answer *answer)
{
	const struct web *w = ctx;
	bool packed = files_take_gzip(request);
	answer->type = "application/json";
	answer->body = packed ? w->packed : w->settings;
	if (packed)
		answer->header[0] = (struct http_header){"Content-Encoding", "gzip"};
}

/* --- TLS --- */

/* NULL: it cannot be read; `why` is set. */
static char *read_pem(const char *path, char *why, size_t size)
{
	FILE *f = fopen(path, "re");
	char *text = f != NULL ? calloc(1, PEM_MOST) : NULL;
	bool ok = text != NULL && fread(text, 1, PEM_MOST - 1, f) > 0;
	if (f != NULL)
		fclose(f);
	if (ok)
		return text;
	free(text);
	snprintf(why, size, "[web] cannot read %s", path);
	return NULL;
}

/* Both are read, and belong to each other. False: `why`. */
static bool check_pair(const struct config *c, char *why, size_t size)
{
	char fault[TLS_WHY_MAX];
	struct tls_server *server = tls_server_open(c->web.tls_cert_file, c->web.tls_key_file, fault);
	if (server != NULL)
		tls_server_free(server);
	else
		snprintf(why, size, "[web] tls: %s", fault);
	return server != NULL;
}

/* Both files of the certificate, or none. False: `why`, and nothing is to be freed. */
static bool read_pair(const struct config *c, char **cert, char **key, char *why, size_t size)
{
	*cert = *key = NULL;
	if (*c->web.tls_cert_file == '\0')
		return true;
	if (!check_pair(c, why, size))
		return false;
	*cert = read_pem(c->web.tls_cert_file, why, size);
	*key = *cert != NULL ? read_pem(c->web.tls_key_file, why, size) : NULL;
	if (*key == NULL)
		free(*cert);
	return *key != NULL;
}

/* --- open and free --- */

static bool listen_now(struct web *w, char *why, size_t size)
{
	const struct config *c = w->config;
	const struct http_options o = {.listen = c->web.listen.item[0],
		.places = PLACES,
		.places_of_address = PLACES_OF_ADDRESS,
		.streams = w->tunnel != NULL ? (unsigned)c->web.max_viewers + TUNNEL_LEAVING : 0,
		.quiet_seconds = QUIET_SECONDS,
		.answer_ms = ANSWER_MS,
		.headers = w->headers,
		.cert = w->cert,
		.key = w->key};
	w->http = http_open(w->loop, &o, why, size);
	if (w->http == NULL)
		return false;
	http_route_others(w->http, files_handler, &w->files);
	return http_route(w->http, "/config.json", settings_handler, w) &&
	       (w->more.route == NULL || w->more.route(w->more.ctx, w->http)) &&
	       (w->tunnel == NULL || http_route(w->http, "/mqtt", tunnel_handler, w->tunnel));
}

static void stop_listening(struct web *w)
{
	if (w->tunnel != NULL)
		tunnel_end_all(w->tunnel);
	if (w->http != NULL)
		http_free(w->http);
	w->http = NULL;
}

bool web_reload(struct web *w, char *why, size_t size)
{
	char *cert, *key;
	if (!read_pair(w->config, &cert, &key, why, size))
		return false;
	bool same = cert == NULL || (strcmp(cert, w->cert) == 0 && strcmp(key, w->key) == 0);
	if (same && w->http != NULL) { /* else it could not listen the last time */
		free(cert);
		free(key);
		return true;
	}
	free(w->cert);
	free(w->key);
	w->cert = cert;
	w->key = key;
	stop_listening(w);
	return listen_now(w, why, size);
}

struct web *web_open(struct ev_loop *loop, const struct config *config, struct stats *stats,
	const struct web_more *more, char *why, size_t size)
{
	char text[ADDRESS_TEXT_MAX];
	struct web *w = calloc(1, sizeof(*w));
	snprintf(why, size, "no memory for the page");
	if (w == NULL)
		return NULL;
	w->loop = loop;
	w->config = config;
	w->more = *more;
	w->files.root = config->web.root;
	write_headers(w);
	if (write_settings(w) && read_pair(config, &w->cert, &w->key, why, size) &&
		(*config->web.mqtt || (w->tunnel = tunnel_open(loop, config, stats, why, size)) != NULL) &&
		listen_now(w, why, size)) {
		address_port_text(&config->web.listen.item[0], text);
		log_notice("the page is at %s://%s/", *config->web.tls_cert_file ? "https" : "http", text);
		return w;
	}
	web_free(w);
	return NULL;
}

void web_use_broker(struct web *w, unsigned n)
{
	if (w->tunnel != NULL)
		tunnel_use(w->tunnel, n);
}

void web_free(struct web *w)
{
	stop_listening(w);
	if (w->tunnel != NULL)
		tunnel_free(w->tunnel);
	free((void *)(uintptr_t)w->settings.ptr);
	free((void *)(uintptr_t)w->packed.ptr);
	free(w->cert);
	free(w->key);
	free(w);
}
