// SPDX-License-Identifier: MIT
/* hosts: the addresses of the broker: one name, or a list in the order in which they are tried.
 * Uses: nothing else.
 * Not: resolve names. */
#ifndef T2M_HOSTS_H
#define T2M_HOSTS_H

#include <stdbool.h>

#define HOSTS_MAX 8
#define HOST_NAME_MOST 180
#define HOST_TEXT_MAX (HOST_NAME_MOST + 10)

struct host {
	char name[HOST_NAME_MOST + 1]; /* a name or a numeric address, without brackets */
	int port;
};

struct hosts {
	unsigned count;
	struct host item[HOSTS_MAX];
};

/* Reads `a, b:1884, [2001:db8::1]:1885, ::1`. One without a port of its own gets `port`; an IPv6 address needs brackets only where a port
 * stands behind it. False: a part is empty, has characters that no name has, or a port from beyond 1 to 65535, or there are too many. */
bool hosts_read(const char *list, int port, struct hosts *out);
/* b:1884, [2001:db8::1]:1885; for lines of the log. */
const char *host_text(const struct host *host, char buf[HOST_TEXT_MAX]);

#endif
