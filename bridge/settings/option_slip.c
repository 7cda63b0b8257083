// SPDX-License-Identifier: MIT
/* option_slip: see option_slip.h. */
#include "bridge/settings/option_slip.h"

#include "bridge/base/hosts.h"
#include "bridge/base/topic.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static bool is_quoted(const char *text)
{
	size_t n = strlen(text);
	return n >= 2 && (text[0] == '"' || text[0] == '\'') && text[n - 1] == text[0];
}

static bool has_comment(const char *text)
{
	return *text == '#' || strstr(text, " #") != NULL || strstr(text, "\t#") != NULL;
}

/* name:port, but no IPv6 address. */
static const char *port_in(const char *text)
{
	const char *colon = strchr(text, ':');
	return colon != NULL && strchr(colon + 1, ':') == NULL ? colon + 1 : NULL;
}

/* user:password@ in front of a name: it is never shown. */
static const char *behind_login(const char *text)
{
	const char *at = strrchr(text, '@');
	return at != NULL ? at + 1 : text;
}

/* Digits and dots alone are an IPv4 address, something with a colon is an IPv6 address, all else is a name. */
static bool host_allowed(const char *text)
{
	struct in6_addr any;
	if (strchr(text, ':') != NULL)
		return inet_pton(AF_INET6, text, &any) == 1;
	if (text[strspn(text, "0123456789.")] == '\0')
		return inet_pton(AF_INET, text, &any) == 1;
	for (const char *c = text; *c != '\0'; c++)
		if ((!byte_is_alnum((uint8_t)*c) && strchr("-_.", *c) == NULL) || (*c == '.' && c[1] == '.'))
			return false;
	return *text != '.' && *text != '-';
}

/* Several hosts, comma-separated: they may have ports of their own. */
static bool list_slip(const char *key, const char *text, char *why, size_t size)
{
	struct hosts hosts;
	bool ok = hosts_read(text, 1883, &hosts);
	for (unsigned i = 0; ok && i < hosts.count; i++)
		ok = host_allowed(hosts.item[i].name);
	if (ok)
		return false;
	snprintf(why, size,
		"%s = %.200s is not allowed; allowed: up to %d names or addresses, comma-separated, each with "
		":port "
		"where it has one of its own, IPv6 then in brackets",
		key, text, HOSTS_MAX);
	return true;
}

static bool host_slip(const char *key, const char *text, char *why, size_t size)
{
	const char *scheme = strstr(text, "://"), *rest = behind_login(scheme != NULL ? scheme + 3 : text);
	const char *port = port_in(text), *allowed = "is not allowed; allowed: a name or address alone; write";
	bool login = rest != (scheme != NULL ? scheme + 3 : text);
	/* what stands before :// may be a login, too */
	bool hides = scheme != NULL && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") !=
					       (size_t)(scheme - text);
	bool secure = strncmp(text, "mqtts:", 6) == 0 || strncmp(text, "ssl:", 4) == 0 ||
		      strncmp(text, "wss:", 4) == 0;
	struct hosts one;
	if (scheme != NULL || login)
		snprintf(why, size, "%s = %.*s%s%.100s %s %s = %.*s, the port as port = NUMBER%s%s", key,
			scheme != NULL && !hides ? (int)(scheme + 3 - text) : 0, text,
			login || hides ? "(hidden)@" : "", rest, allowed, key, (int)strcspn(rest, ":/\"' ,"),
			rest, login ? ", the login as username and password_file" : "",
			secure ? ", and tls = yes" : "");
	else if (strchr(text, ',') != NULL)
		return list_slip(key, text, why, size);
	else if (*text == '[')
		snprintf(why, size, "%s = %.100s %s %s = %.*s, and the port as port = NUMBER", key, text,
			allowed, key, (int)strcspn(text + 1, "]"), text + 1);
	else if (port != NULL)
		snprintf(why, size, "%s = %.100s %s %s = %.*s and, in a line of its own, port = %.5s", key,
			text, allowed, key, (int)(port - 1 - text), text, port);
	else if (*text != '\0' && !hosts_read(text, 1883, &one))
		snprintf(
			why, size, "%s = %.100s is not allowed; allowed: one name or address alone", key, text);
	else if (!host_allowed(text))
		snprintf(why, size,
			"%s = %.100s is not allowed; allowed: a name, such as broker.example, or an address "
			"of IPv4 (four numbers up to 255) or IPv6",
			key, text);
	else
		return false;
	return true;
}

bool option_slip(const struct option_row *row, const char *key, const char *text, char *why, size_t size)
{
	if ((row->flags & OPTION_SECRET) || row->type == OPTION_LABEL)
		return false;
	bool host = row->flags & OPTION_HOST;
	if (host && strchr(text, '@') != NULL) /* before anything else shows it */
		return host_slip(key, text, why, size);
	if (is_quoted(text)) {
		snprintf(why, size,
			"%s = %.100s is not allowed; allowed: the value without quotation marks: %s = %.*s",
			key, text, key, (int)strlen(text) - 2, text + 1);
		return true;
	}
	if (has_comment(text)) {
		snprintf(why, size,
			"%s = %.100s is not allowed: a comment behind a value begins with a blank and ; (or "
			"give it a line of its "
			"own)",
			key, text);
		return true;
	}
	return host && host_slip(key, text, why, size);
}
