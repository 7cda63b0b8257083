// SPDX-License-Identifier: MIT
/* whole: see whole.h. */
#include "bridge/settings/whole.h"

#include "bridge/base/hostname.h"
#include "bridge/base/log.h"

#include <arpa/inet.h>

#define WHERE(names) origin_where(config, names).text
#define NAMED(name) origin_named(config, name).text

/* --- two sockets at one address --- */

/* The options that open sockets of their own. */
struct listener {
	const char *name;
	size_t offset; /* of its struct endpoints */
	bool udp;
};
static const struct listener listeners[] = {
	{"listen.tcp", offsetof(struct config, listen.tcp), false},
	{"listen.tls", offsetof(struct config, listen.tls), false},
	{"metrics.listen", offsetof(struct config, metrics.listen), false},
	{"web.listen", offsetof(struct config, web.listen), false},
	{"listen.udp", offsetof(struct config, listen.udp), true},
};
#define LISTENERS (sizeof(listeners) / sizeof(listeners[0]))

static const struct endpoints *endpoints_of(const struct config *config, const struct listener *l)
{
	return (const struct endpoints *)(const void *)((const char *)config + l->offset);
}

/* The place and name of the one that was set, the other in brackets behind. */
static void tell_clash(const struct config *config, const struct listener *a, const union address *x,
	const struct listener *b, const union address *y, FILE *errors)
{
	char one[ADDRESS_TEXT_MAX], other[ADDRESS_TEXT_MAX];
	bool swap = !origin_is_set(config, b->name) && origin_is_set(config, a->name);
	const struct listener *first = swap ? b : a, *last = swap ? a : b;
	const char *dot = strchr(last->name, '.');
	address_port_text(swap ? y : x, one);
	address_port_text(swap ? x : y, other);
	log_fault(errors, "%s: [%.*s] %s: %s and %s of %s are one %s port; give each a port of its own",
		WHERE(last->name), (int)(dot - last->name), last->name, dot + 1, other, one, NAMED(first->name),
		a->udp ? "UDP" : "TCP");
}

/* The page may show the metrics at its own address. */
static bool may_share(
	const struct listener *a, const struct listener *b, const union address *x, const union address *y)
{
	return strcmp(a->name, "metrics.listen") == 0 && strcmp(b->name, "web.listen") == 0 &&
	       memcmp(x, y, sizeof(*x)) == 0;
}

static unsigned check_pair(
	const struct config *config, const struct listener *a, const struct listener *b, FILE *errors)
{
	const struct endpoints *xs = endpoints_of(config, a), *ys = endpoints_of(config, b);
	unsigned faults = 0;
	for (unsigned i = 0; i < xs->count; i++)
		for (unsigned k = a == b ? i + 1 : 0; k < ys->count; k++) {
			const union address *x = &xs->item[i], *y = &ys->item[k];
			if (!address_overlaps(x, y) || may_share(a, b, x, y))
				continue;
			tell_clash(config, a, x, b, y, errors);
			faults++;
		}
	return faults;
}

static unsigned check_sockets(const struct config *config, FILE *errors)
{
	unsigned faults = 0;
	for (size_t i = 0; i < LISTENERS; i++)
		for (size_t k = i; k < LISTENERS; k++)
			if (listeners[i].udp == listeners[k].udp)
				faults += check_pair(config, &listeners[i], &listeners[k], errors);
	return faults;
}

/* --- the broker, when it runs on this machine --- */

/* Is the broker reached at this address of ours? */
static bool is_brokers(const union address *a, struct span host, unsigned port)
{
	static const uint8_t none[16];
	char text[64];
	union address broker = {0};
	uint8_t bytes[16];
	if (address_port(a) != port)
		return false;
	address_bytes(a, bytes);
	bool every = memcmp(bytes, none, 16) == 0 ||
		     (a->any.sa_family == AF_INET && memcmp(bytes + 12, none, 4) == 0);
	if (hostname_is_loopback(host) && (every || (span_is(host, "localhost") && address_is_loopback(a))))
		return true;
	span_copy(host, text, sizeof(text));
	if (inet_pton(AF_INET, text, &broker.in4.sin_addr) == 1)
		broker.any.sa_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &broker.in6.sin6_addr) == 1)
		broker.any.sa_family = AF_INET6;
	else
		return false;
	uint8_t own[16];
	address_bytes(&broker, own);
	return memcmp(own, bytes, 16) == 0;
}

static unsigned check_broker_of(const struct config *config, struct span host, unsigned port, FILE *errors)
{
	unsigned faults = 0;
	for (size_t i = 0; i < LISTENERS; i++) {
		const struct endpoints *own = endpoints_of(config, &listeners[i]);
		const char *name = listeners[i].name, *dot = strchr(name, '.');
		for (unsigned k = 0; !listeners[i].udp && k < own->count; k++) {
			char text[ADDRESS_TEXT_MAX];
			if (!is_brokers(&own->item[k], host, port))
				continue;
			address_port_text(&own->item[k], text);
			log_fault(errors,
				"%s: [%.*s] %s: %s is where the broker is, %.*s:%u: %s, %s; give each a port "
				"of its own",
				origin_is_set(config, name) ? WHERE(name) : WHERE("mqtt.port mqtt.host"),
				(int)(dot - name), name, dot + 1, text, (int)host.len, (const char *)host.ptr,
				port, NAMED("mqtt.host"), NAMED("mqtt.port"));
			faults++;
		}
	}
	return faults;
}

static unsigned check_broker(const struct config *config, FILE *errors)
{
	unsigned faults = 0;
	for (const char *c = config->mqtt.host; *c != '\0';) {
		size_t n = strcspn(c, ",");
		struct span part = span_of(c, n);
		struct host_port found;
		while (part.len > 0 && byte_is_blank(part.ptr[0]))
			part = span_after(part, 1);
		while (part.len > 0 && byte_is_blank(part.ptr[part.len - 1]))
			part.len--;
		if (host_port_fault(part, &found) == NULL)
			faults += check_broker_of(config, found.host,
				found.port != 0 ? found.port : (unsigned)config->mqtt.port, errors);
		c += n + (c[n] == ',');
	}
	return faults;
}

/* --- sections --- */

static unsigned check_listen(const struct config *config, FILE *errors)
{
	unsigned faults = 0;
	const struct endpoints *proxied = &config->listen.proxy_protocol;
	if (config->listen.tcp.count + config->listen.udp.count + config->listen.tls.count == 0) {
		log_fault(errors,
			"%s: %s, %s and %s are all empty; at least one address is needed, such as tcp = "
			"0.0.0.0:8888",
			WHERE("listen.tcp listen.udp listen.tls"), NAMED("listen.tcp"), NAMED("listen.udp"),
			NAMED("listen.tls"));
		faults++;
	}
	if (config->listen.tls.count > 0 && (!*config->listen.tls_cert_file || !*config->listen.tls_key_file)) {
		log_fault(errors, "%s: [listen] tls needs tls_cert_file and tls_key_file: %s, %s",
			WHERE("listen.tls"), NAMED("listen.tls_cert_file"), NAMED("listen.tls_key_file"));
		faults++;
	}
	for (unsigned i = 0; i < proxied->count; i++) {
		if (endpoints_have(&config->listen.tcp, &proxied->item[i]) ||
			endpoints_have(&config->listen.tls, &proxied->item[i]))
			continue;
		log_fault(errors,
			"%s: [listen] proxy_protocol: address %u of the list stands neither in tcp nor in tls: "
			"%s, %s",
			WHERE("listen.proxy_protocol"), i + 1, NAMED("listen.tcp"), NAMED("listen.tls"));
		faults++;
	}
	return faults;
}

static unsigned check_homeassistant(const struct config *config, FILE *errors)
{
	unsigned faults = 0;
	if (!config->homeassistant.discovery)
		return 0;
	if (config->publish.format != PUBLISH_JSON) {
		log_fault(errors,
			"%s: [homeassistant] discovery needs [publish] format = json: Home Assistant reads no "
			"MessagePack; change %s",
			WHERE("homeassistant.discovery"), NAMED("publish.format"));
		faults++;
	}
	if (config->publish.state == PUBLISH_STATE_NO) {
		log_fault(errors,
			"%s: [homeassistant] discovery needs [publish] state = auto or yes: all that Home "
			"Assistant "
			"shows comes from there; change %s",
			WHERE("homeassistant.discovery"), NAMED("publish.state"));
		faults++;
	}
	return faults;
}

static unsigned check_tls(const struct config *config, FILE *errors)
{
	static const char names[] = "mqtt.tls_cert_file mqtt.tls_key_file";
	unsigned faults = 0;
	if (!*config->mqtt.tls_cert_file != !*config->mqtt.tls_key_file) {
		log_fault(errors, "%s: [mqtt] tls_cert_file and tls_key_file go together: set %s", WHERE(names),
			NAMED(*config->mqtt.tls_cert_file ? "mqtt.tls_key_file" : "mqtt.tls_cert_file"));
		faults++;
	}
	if (!config->mqtt.tls && (*config->mqtt.tls_ca_file || *config->mqtt.tls_cert_file)) {
		log_fault(errors, "%s: [mqtt] tls_ca_file and tls_cert_file need tls = yes: set %s",
			WHERE("mqtt.tls_ca_file mqtt.tls_cert_file"), NAMED("mqtt.tls"));
		faults++;
	}
	return faults;
}

unsigned whole_check(const struct config *config, FILE *errors)
{
	unsigned faults = check_listen(config, errors) + check_sockets(config, errors) +
			  check_broker(config, errors) + check_homeassistant(config, errors) +
			  check_tls(config, errors);
	if (*config->owntracks.topic && (strstr(config->owntracks.topic, "{ident}") == NULL ||
						strpbrk(config->owntracks.topic, "+#") != NULL)) {
		log_fault(errors,
			"%s: [owntracks] topic = %s is not allowed; allowed: topic levels without + and #, one "
			"of them "
			"with {ident}",
			WHERE("owntracks.topic"), config->owntracks.topic);
		faults++;
	}
	if (config->metrics.listen.count > 1) {
		log_fault(errors, "%s: [metrics] listen takes one address", WHERE("metrics.listen"));
		faults++;
	}
	return faults;
}
