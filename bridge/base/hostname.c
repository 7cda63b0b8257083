// SPDX-License-Identifier: MIT
/* hostname: see hostname.h. */
#include "bridge/base/hostname.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#define NAME_MOST 253
#define LABEL_MOST 63
#define DIGITS "0123456789"

static bool is_made_of(struct span s, const char *chars)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] == '\0' || strchr(chars, s.ptr[i]) == NULL)
			return false;
	return true;
}

static const void *find(struct span s, char c)
{
	return s.len > 0 ? memchr(s.ptr, c, s.len) : NULL;
}

/* Without the zone of a link-local address. */
static bool is_in6(struct span name)
{
	char text[NAME_MOST + 1];
	struct in6_addr any;
	span_copy(name, text, sizeof(text));
	text[strcspn(text, "%")] = '\0';
	return inet_pton(AF_INET6, text, &any) == 1;
}

static bool is_in4(struct span name)
{
	char text[NAME_MOST + 1];
	struct in_addr any;
	span_copy(name, text, sizeof(text));
	return inet_pton(AF_INET, text, &any) == 1;
}

static const char *label_fault(struct span label)
{
	if (label.len == 0)
		return "is no name: nothing stands between two dots";
	if (label.len > LABEL_MOST)
		return "is no name: at most 63 characters may stand between two dots";
	if (label.ptr[0] == '-' || label.ptr[label.len - 1] == '-')
		return "is no name: a part of a name does not begin or end with -";
	return NULL;
}

static const char *labels_fault(struct span name)
{
	if (name.ptr[name.len - 1] == '.') /* as names of the DNS may end */
		name.len--;
	for (;;) {
		const uint8_t *dot = find(name, '.');
		struct span label = dot != NULL ? span_of(name.ptr, (size_t)(dot - name.ptr)) : name;
		const char *fault = label_fault(label);
		if (fault != NULL || dot == NULL)
			return fault;
		name = span_after(name, label.len + 1);
	}
}

const char *hostname_fault(struct span name)
{
	if (name.len == 0)
		return "has no host";
	if (name.len > NAME_MOST)
		return "is no name: at most 253 characters are allowed";
	if (find(name, ':') != NULL)
		return is_in6(name) ? NULL : "is no IPv6 address";
	for (size_t i = 0; i < name.len; i++) {
		if (name.ptr[i] >= 0x80)
			return "is no name: write the form of it in ASCII (xn--...)";
		if (!byte_is_alnum(name.ptr[i]) && strchr("._-", name.ptr[i]) == NULL)
			return "is no name: letters, digits, . - and _ make a name";
	}
	if (is_made_of(name, DIGITS ".") && name.ptr[0] != '.')
		return is_in4(name) ? NULL : "is no IPv4 address: that has four numbers from 0 to 255";
	return labels_fault(name);
}

bool hostname_is_loopback(struct span name)
{
	char text[NAME_MOST + 1];
	struct in6_addr in6;
	static const char local[] = ".localhost";
	size_t n = sizeof(local) - 1;
	if (name.len > NAME_MOST)
		return false;
	span_copy(name, text, sizeof(text));
	if (strcasecmp(text, local + 1) == 0 || (name.len > n && strcasecmp(text + name.len - n, local) == 0))
		return true;
	if (inet_pton(AF_INET6, text, &in6) == 1)
		return IN6_IS_ADDR_LOOPBACK(&in6) || (IN6_IS_ADDR_V4MAPPED(&in6) && in6.s6_addr[12] == 127);
	return is_in4(name) && strncmp(text, "127.", 4) == 0;
}

/* 1 to 65535; 0: it is no such number. */
static unsigned port_of(struct span text)
{
	unsigned port = 0;
	if (text.len < 1 || text.len > 5 || !is_made_of(text, DIGITS))
		return 0;
	for (size_t i = 0; i < text.len; i++)
		port = port * 10 + (unsigned)(text.ptr[i] - '0');
	return port <= 65535 ? port : 0;
}

const char *host_port_fault(struct span text, struct host_port *out)
{
	const uint8_t *colon = find(text, ':'), *close = find(text, ']'), *end = text.ptr + text.len;
	*out = (struct host_port){.host = text};
	if (text.len > 0 && text.ptr[0] == '[') {
		if (close == NULL || (close + 1 < end && close[1] != ':'))
			return "has a bracket without its other one: [2001:db8::1]:PORT";
		out->host = span_of(text.ptr + 1, (size_t)(close - text.ptr - 1));
		colon = close + 1 < end ? close + 1 : NULL;
		if (!is_in6(out->host))
			return "has no IPv6 address in its brackets";
	} else if (colon != NULL && memchr(colon + 1, ':', (size_t)(end - colon - 1)) != NULL) {
		return is_in6(text)
			       ? NULL
			       : "is no IPv6 address; with a port it stands in brackets: [2001:db8::1]:PORT";
	} else if (colon != NULL) {
		out->host.len = (size_t)(colon - text.ptr);
	}
	if (colon != NULL && (out->port = port_of(span_of(colon + 1, (size_t)(end - colon - 1)))) == 0)
		return "has a port that is no number from 1 to 65535";
	return hostname_fault(out->host);
}
