// SPDX-License-Identifier: MIT
/* listening: the socket behind an address to listen on.
 * Uses: nothing else.
 * Not: accept, receive, or know who listens. */
#ifndef T2M_LISTENING_H
#define T2M_LISTENING_H

#include "bridge/base/address.h"

/* A non-blocking socket that is bound to this address, and over TCP listens; IPv6 does not take IPv4 as well. -1: errno says why. */
int listening_socket(const union address *address, bool udp);

#endif
