// SPDX-License-Identifier: MIT
/* hosts: see hosts.h. */
#include "bridge/base/hosts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool read_port(const char *text, size_t len, int *out)
{
	int port = 0;
	if (len < 1 || len > 5)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		port = port * 10 + (text[i] - '0');
	}
	*out = port;
	return port >= 1 && port <= 65535;
}

static bool set_name(struct host *out, const char *text, size_t len)
{
	if (len < 1 || len > HOST_NAME_MOST)
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] <= ' ' || text[i] == 0x7f || strchr("/@[]\"'#,", text[i]) != NULL)
			return false;
	memcpy(out->name, text, len);
	out->name[len] = '\0';
	return true;
}

/* One part, without the blanks around it. */
static bool read_one(const char *text, size_t len, int port, struct host *out)
{
	const char *end = text + len, *colon = memchr(text, ':', len);
	bool two = colon != NULL && memchr(colon + 1, ':', (size_t)(end - colon - 1)) != NULL;
	const char *closing = len > 0 && *text == '[' ? memchr(text, ']', len) : NULL;
	out->port = port;
	if (closing != NULL) {
		if (closing + 1 < end &&
			(closing[1] != ':' || !read_port(closing + 2, (size_t)(end - closing - 2), &out->port)))
			return false;
		return set_name(out, text + 1, (size_t)(closing - text - 1));
	}
	if (colon == NULL || two) /* no port, or an IPv6 address */
		return set_name(out, text, len);
	return set_name(out, text, (size_t)(colon - text)) &&
	       read_port(colon + 1, (size_t)(end - colon - 1), &out->port);
}

bool hosts_read(const char *list, int port, struct hosts *out)
{
	static const char blanks[] = " \t";
	memset(out, 0, sizeof(*out));
	for (;;) {
		list += strspn(list, blanks);
		size_t whole = strcspn(list, ","), len = whole;
		while (len > 0 && strchr(blanks, list[len - 1]) != NULL)
			len--;
		if (out->count == HOSTS_MAX || !read_one(list, len, port, &out->item[out->count]))
			return false;
		out->count++;
		if (list[whole] == '\0')
			return true;
		list += whole + 1;
	}
}

const char *host_text(const struct host *host, char buf[HOST_TEXT_MAX])
{
	bool brackets = strchr(host->name, ':') != NULL;
	snprintf(buf, HOST_TEXT_MAX, brackets ? "[%s]:%d" : "%s:%d", host->name, host->port);
	return buf;
}
