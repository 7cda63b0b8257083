// SPDX-License-Identifier: MIT
/* config_check: options that must go together, and files that must be there.
 * Uses: bridge/base. */
#include "bridge/settings/config_private.h"

#include "bridge/base/hosts.h"
#include "bridge/base/lookup.h"
#include "bridge/base/hostname.h"
#include "bridge/base/readable.h"
#include "bridge/settings/option_reason.h"

/* A value without what may be a secret. */
static struct option_shown shown(const char *text)
{
	return option_shown(&(struct option_row){.key = NULL}, text);
}

static unsigned check_listen(const struct config *c, FILE *errors)
{
	unsigned faults = 0;
	const struct endpoints *proxied = &c->listen.proxy_protocol;
	if (c->listen.tcp.count + c->listen.udp.count + c->listen.tls.count == 0)
		faults += config_fault(c, errors, "listen", "tcp",
			"[listen] tcp, udp and tls are all empty; at least one address is needed");
	if (c->listen.tls.count > 0 && (!*c->listen.tls_cert_file || !*c->listen.tls_key_file))
		faults += config_fault(
			c, errors, "listen", "tls", "[listen] tls needs tls_cert_file and tls_key_file");
	for (unsigned i = 0; i < proxied->count; i++)
		if (!endpoints_have(&c->listen.tcp, &proxied->item[i]) &&
			!endpoints_have(&c->listen.tls, &proxied->item[i]) &&
			!endpoints_have(&c->listen.udp, &proxied->item[i]))
			faults += config_fault(c, errors, "listen", "proxy_protocol",
				"[listen] proxy_protocol: address %u of the list stands in none of tcp, tls "
				"and udp",
				i + 1);
	return faults;
}

static unsigned check_homeassistant(const struct config *c, FILE *errors)
{
	unsigned faults = 0;
	if (!c->homeassistant.discovery)
		return 0;
	if (c->publish.format != PUBLISH_JSON)
		faults += config_fault(c, errors, "homeassistant", "discovery",
			"[homeassistant] discovery needs [publish] format = json: Home Assistant reads no "
			"MessagePack");
	if (c->publish.state == PUBLISH_STATE_NO)
		faults += config_fault(c, errors, "homeassistant", "discovery",
			"[homeassistant] discovery needs [publish] state = auto or yes: all that Home "
			"Assistant shows comes from there");
	return faults;
}

/* An address that the page's headers name: a scheme of `schemes`, and a host. */
static unsigned check_url(
	const struct config *c, FILE *errors, const char *key, const char *url, const char *const schemes[2])
{
	const char *rest = strstr(url, "://");
	size_t scheme = rest != NULL ? (size_t)(rest - url) : 0,
	       host = rest != NULL ? strcspn(rest + 3, "/?#") : 0;
	if (*url == '\0')
		return 0;
	for (size_t i = 0; host > 0 && i < 2; i++)
		if (strncmp(url, schemes[i], scheme) == 0 && schemes[i][scheme] == '\0' &&
			strcspn(rest + 3, "\"' ;,") >= host)
			return 0;
	return config_fault(c, errors, "web", key,
		"[web] %s = %s is not allowed; allowed: %s://host… or %s://host…", key, shown(url).text,
		schemes[0], schemes[1]);
}

static unsigned check_web(const struct config *c, FILE *errors)
{
	static const char *const tiles[] = {"https", "http"}, *const mqtt[] = {"wss", "ws"};
	unsigned faults = check_url(c, errors, "tiles", c->web.tiles, tiles) +
			  check_url(c, errors, "mqtt", c->web.mqtt, mqtt);
	if (c->web.listen.count > 1)
		faults += config_fault(c, errors, "web", "listen", "[web] listen takes one address");
	if (!*c->web.tls_cert_file != !*c->web.tls_key_file)
		faults +=
			config_fault(c, errors, "web", *c->web.tls_cert_file ? "tls_cert_file" : "tls_key_file",
				"[web] tls_cert_file and tls_key_file go together");
	if (strpbrk(c->web.frame_ancestors, ";,") != NULL)
		faults += config_fault(c, errors, "web", "frame_ancestors",
			"[web] frame_ancestors = %s is not allowed; allowed: origins such as "
			"http://homeassistant.local:8123, with blanks between them",
			shown(c->web.frame_ancestors).text);
	return faults;
}

/* --- addresses that exclude each other --- */

/* Who listens on TCP addresses; and on UDP, which is apart. */
struct listener {
	const char *section, *key;
	const struct endpoints *list;
};

static bool is_any(const union address *a)
{
	return a->any.sa_family == AF_INET6 ? IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr)
					    : a->in4.sin_addr.s_addr == htonl(INADDR_ANY);
}

/* Both cannot be listened on: IPv6 does not take IPv4 here. */
static bool collide(const union address *a, const union address *b)
{
	uint8_t one[16], other[16];
	address_bytes(a, one);
	address_bytes(b, other);
	return a->any.sa_family == b->any.sa_family && address_port(a) == address_port(b) &&
	       (is_any(a) || is_any(b) || memcmp(one, other, sizeof(one)) == 0);
}

static unsigned tell_collision(const struct config *c, FILE *errors, const struct listener *late,
	const union address *a, const struct listener *early, const union address *b)
{
	char one[ADDRESS_TEXT_MAX], other[ADDRESS_TEXT_MAX];
	address_port_text(a, one);
	address_port_text(b, other);
	return config_fault(c, errors, late->section, late->key,
		"[%s] %s: %s is not free: [%s] %s listens on %s; give each a port of its own", late->section,
		late->key, one, early->section, early->key, other);
}

/* The page and the metrics may share one listener. */
static bool may_share(const struct config *c, const struct listener *a, const struct listener *b)
{
	return a->list == &c->web.listen && b->list == &c->metrics.listen &&
	       memcmp(&a->list->item[0], &b->list->item[0], sizeof(a->list->item[0])) == 0;
}

/* Addresses of `late` that `early`, or the list itself before them, has. */
static unsigned check_pair(
	const struct config *c, FILE *errors, const struct listener *late, const struct listener *early)
{
	unsigned faults = 0;
	if (late != early && may_share(c, late, early))
		return 0;
	for (unsigned i = 0; i < late->list->count; i++)
		for (unsigned j = 0; j < (late == early ? i : early->list->count); j++)
			if (collide(&late->list->item[i], &early->list->item[j]))
				faults += tell_collision(
					c, errors, late, &late->list->item[i], early, &early->list->item[j]);
	return faults;
}

/* Is this a port of this machine, on which the list listens? NULL: no. */
static const union address *listens_at(const struct endpoints *list, const struct host *host)
{
	bool local = hostname_is_loopback(span_text(host->name));
	for (unsigned i = 0; local && i < list->count; i++)
		if (address_port(&list->item[i]) == (unsigned)host->port &&
			(is_any(&list->item[i]) || address_is_loopback(&list->item[i])))
			return &list->item[i];
	return NULL;
}

/* The port of a server of this machine, for which there is no place here. */
static unsigned check_own_port(const struct config *c, FILE *errors, const struct listener *l)
{
	unsigned faults = 0;
	char text[ADDRESS_TEXT_MAX], broker[HOST_TEXT_MAX];
	struct hosts hosts;
	if (!hosts_read(c->mqtt.host, (int)c->mqtt.port, &hosts))
		hosts.count = 0;
	for (unsigned i = 0; i < hosts.count; i++) {
		const union address *a = listens_at(l->list, &hosts.item[i]);
		if (a == NULL)
			continue;
		address_port_text(a, text);
		faults += config_fault(c, errors, l->section, l->key,
			"[%s] %s: %s is the port of the broker (%s); give the bridge another one", l->section,
			l->key, text, host_text(&hosts.item[i], broker));
	}
	if (*c->relay.server && hosts_read(c->relay.server, 0, &hosts) && hosts.count == 1) {
		const union address *a = listens_at(l->list, &hosts.item[0]);
		if (a == NULL)
			return faults;
		address_port_text(a, text);
		faults += config_fault(c, errors, "relay", "server",
			"[relay] server = %s is this bridge itself: [%s] %s listens on %s; name the maker's "
			"platform",
			c->relay.server, l->section, l->key, text);
	}
	return faults;
}

static unsigned check_addresses(const struct config *c, FILE *errors)
{
	const struct listener udp = {"listen", "udp", &c->listen.udp};
	const struct listener tcp[] = {
		{"listen", "tcp", &c->listen.tcp},
		{"listen", "tls", &c->listen.tls},
		{"metrics", "listen", &c->metrics.listen},
		{"web", "listen", &c->web.listen},
	};
	unsigned faults = check_pair(c, errors, &udp, &udp);
	for (size_t i = 0; i < sizeof(tcp) / sizeof(tcp[0]); i++) {
		for (size_t j = 0; j <= i; j++)
			faults += check_pair(c, errors, &tcp[i], &tcp[j]);
		faults += check_own_port(c, errors, &tcp[i]);
	}
	return faults;
}

/* --- files --- */

static unsigned check_files(const struct config *c, FILE *errors)
{
	unsigned faults = 0;
	for (struct option_at at = {0}; option_next(&at);) {
		const struct option_row *row = at.row;
		bool file = at.codec == NULL && (row->flags & OPTION_FILE);
		const char *path = file ? *(char *const *)(const void *)((const char *)c + row->offset) : "";
		const char *why = *path ? readable_fault(path) : NULL;
		if (why != NULL)
			faults += config_fault(c, errors, at.section, row->key,
				"[%s] %s = %s cannot be read: %s; allowed: a file that this user may read, or "
				"nothing",
				at.section, row->key, path, why);
		else if (*path && (row->flags & OPTION_PRIVATE) && readable_by_all(path))
			config_notice(c, errors, at.section, row->key,
				"every user of this machine can read %s; type chmod 600 %s", path, path);
	}
	return faults;
}

unsigned config_check(const struct config *c, FILE *errors)
{
	unsigned faults = check_listen(c, errors) + check_homeassistant(c, errors) + check_web(c, errors) +
			  check_addresses(c, errors) + check_files(c, errors);
	if (*c->owntracks.topic &&
		(strstr(c->owntracks.topic, "{ident}") == NULL || strpbrk(c->owntracks.topic, "+#") != NULL))
		faults += config_fault(c, errors, "owntracks", "topic",
			"[owntracks] topic = %s is not allowed; allowed: topic levels without + and #, one of "
			"them with {ident}",
			shown(c->owntracks.topic).text);
	if (*c->relay.server && !lookup_allowed(c->relay.server))
		faults += config_fault(c, errors, "relay", "server",
			"[relay] server = %s is not allowed; allowed: host:port, without a scheme in front",
			shown(c->relay.server).text);
	if (c->metrics.listen.count > 1)
		faults += config_fault(c, errors, "metrics", "listen", "[metrics] listen takes one address");
	if (!*c->mqtt.tls_cert_file != !*c->mqtt.tls_key_file)
		faults += config_fault(c, errors, "mqtt",
			*c->mqtt.tls_cert_file ? "tls_cert_file" : "tls_key_file",
			"[mqtt] tls_cert_file and tls_key_file go together");
	if (!c->mqtt.tls && (*c->mqtt.tls_ca_file || *c->mqtt.tls_cert_file))
		faults +=
			config_fault(c, errors, "mqtt", *c->mqtt.tls_ca_file ? "tls_ca_file" : "tls_cert_file",
				"[mqtt] tls_ca_file and tls_cert_file need tls = yes");
	return faults;
}
