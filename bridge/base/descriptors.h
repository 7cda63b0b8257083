// SPDX-License-Identifier: MIT
/* descriptors: how many file descriptors the process may open, and how many of them are kept for the bridge itself.
 * Uses: nothing else.
 * Not: know what they are for.
 *
 * The broker, the outbox, a reload, the certificates and the log may need descriptors at any time. So the rooms that open many
 * because somebody outside wants it (listener, relay) ask descriptors_room first. */
#ifndef T2M_DESCRIPTORS_H
#define T2M_DESCRIPTORS_H

#include <stdbool.h>
#include <stdint.h>

/* So many are kept for the bridge itself. */
#define DESCRIPTORS_KEPT 32

/* Raises the limit of the process to what so many connections need. When the system allows fewer, that is logged. */
void descriptors_raise(int64_t connections);
/* May a connection from outside have one more descriptor? False: those that are left are for the bridge itself. */
bool descriptors_room(void);

#endif
