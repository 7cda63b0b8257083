// SPDX-License-Identifier: MIT
/* listening: see listening.h. */
#include "bridge/base/listening.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 4096

int listening_socket(const union address *a, bool udp)
{
	int one = 1, family = a->any.sa_family;
	int fd = socket(family, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (!udp)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, &a->any, address_length(a)) == 0 && (udp || listen(fd, BACKLOG) == 0))
		return fd;
	int error = errno;
	close(fd);
	errno = error;
	return -1;
}
