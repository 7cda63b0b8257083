// SPDX-License-Identifier: MIT
/* option_slip: see option_slip.h. */
#include "bridge/settings/option_slip.h"

#include "bridge/base/hostname.h"
#include "bridge/settings/option_reason.h"

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

static bool host_slip(const char *key, const char *text, char *why, size_t size)
{
	const char *scheme = strstr(text, "://"), *rest = behind_login(scheme != NULL ? scheme + 3 : text);
	const char *port = port_in(text), *allowed = "is not allowed; allowed: a name or address alone; write";
	bool login = rest != (scheme != NULL ? scheme + 3 : text);
	bool secure = strncmp(text, "mqtts:", 6) == 0 || strncmp(text, "ssl:", 4) == 0 ||
		      strncmp(text, "wss:", 4) == 0;
	if (scheme != NULL || login)
		snprintf(why, size, "%s = %.*s%s%.100s %s %s = %.*s, the port as port = NUMBER%s%s", key,
			scheme != NULL ? (int)(scheme + 3 - text) : 0, text, login ? "(hidden)@" : "", rest,
			allowed, key, (int)strcspn(rest, ":/\"' "), rest,
			login ? ", the login as username and password_file" : "",
			secure ? ", and tls = yes" : "");
	else if (*text == '[')
		snprintf(why, size, "%s = %.100s %s %s = %.*s, and the port as port = NUMBER", key, text,
			allowed, key, (int)strcspn(text + 1, "]"), text + 1);
	else if (port != NULL)
		snprintf(why, size, "%s = %.100s %s %s = %.*s and, in a line of its own, port = %.5s", key,
			text, allowed, key, (int)(port - 1 - text), text, port);
	else if (strpbrk(text, "/ \t,") != NULL)
		snprintf(why, size, "%s = %s is not allowed; allowed: one name or address alone", key,
			option_shown(&(struct option_row){.key = key}, text).text);
	else
		return false;
	return true;
}

/* Names and addresses that cannot be any, each for itself when there are several. */
static bool name_slip(const struct option_row *row, const char *key, const char *text, char *why, size_t size)
{
	for (const char *c = text; *c != '\0';) {
		size_t n = strcspn(c, ",");
		struct host_port found;
		struct span name = span_of(c, n);
		while (name.len > 0 && byte_is_blank(name.ptr[0]))
			name = span_after(name, 1);
		while (name.len > 0 && byte_is_blank(name.ptr[name.len - 1]))
			name.len--;
		const char *fault = host_port_fault(name, &found);
		if (fault != NULL) {
			char part[200];
			span_copy(name, part, sizeof(part));
			snprintf(why, size, "%s = %s is not allowed: %s %s; allowed: a name or address", key,
				option_shown(row, text).text, option_shown(row, part).text, fault);
			return true;
		}
		c += n + (c[n] == ',');
	}
	return false;
}

/* host:port, or nothing. */
static bool server_slip(const struct option_row *row, const char *key, const char *text, char *why, size_t size)
{
	struct host_port found;
	const char *scheme = strstr(text, "://"), *rest = behind_login(scheme != NULL ? scheme + 3 : text);
	const char *fault = host_port_fault(span_text(text), &found);
	bool login = strchr(text, '@') != NULL;
	if (*text == '\0' || (scheme == NULL && fault == NULL && found.port != 0))
		return false;
	if (scheme != NULL)
		fault = "has a scheme, which is not spoken here";
	else if (login)
		fault = "has a login, which is not spoken here";
	else if (fault == NULL)
		fault = found.host.len > 0 && memchr(found.host.ptr, ':', found.host.len) != NULL
				? "has no brackets and port"
				: "has no port";
	struct span name = span_of(rest, strcspn(rest, ":/?# \t["));
	if (hostname_fault(name) != NULL)
		name = span_text("platform.example");
	snprintf(why, size, "%s = %s is not allowed: it %s; allowed: host:port, such as %.*s:8090", key,
		option_shown(row, text).text, fault, (int)name.len, (const char *)name.ptr);
	return true;
}

static bool quotes_slip(const struct option_row *row, const char *key, const char *text, char *why, size_t size)
{
	char inside[200];
	if (!is_quoted(text))
		return false;
	snprintf(inside, sizeof(inside), "%.*s", (int)(strlen(text) - 2), text + 1);
	snprintf(why, size, "%s = %s is not allowed; allowed: the value without quotation marks: %s = %s", key,
		option_shown(row, text).text, key, option_shown(row, inside).text);
	return true;
}

bool option_slip(const struct option_row *row, const char *key, const char *text, char *why, size_t size)
{
	if ((row->flags & OPTION_SECRET) || row->type == OPTION_LABEL)
		return false;
	bool host = row->flags & OPTION_HOST;
	if (host && strchr(text, '@') != NULL) /* before anything else shows it */
		return host_slip(key, text, why, size);
	if (quotes_slip(row, key, text, why, size))
		return true;
	if (has_comment(text)) {
		snprintf(why, size,
			"%s = %s is not allowed: a comment behind a value begins with a blank and ; (or give "
			"it a "
			"line of its own)",
			key, option_shown(row, text).text);
		return true;
	}
	if ((row->flags & OPTION_SERVER) && server_slip(row, key, text, why, size))
		return true;
	return host && (host_slip(key, text, why, size) || name_slip(row, key, text, why, size));
}
