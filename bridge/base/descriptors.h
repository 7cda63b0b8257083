/* descriptors: how many file descriptors the process may open, and the reserve for the bridge itself.
 * May use: the C library, log. May not: know what they are for.
 *
 * The broker, the outbox, a reload, the certificates and the log need descriptors at any time. Listener and relay open as many as units
 * connect, so they ask first whether one may be opened. */
#ifndef T2M_DESCRIPTORS_H
#define T2M_DESCRIPTORS_H

#include <stdbool.h>
#include <stdint.h>

/* The reserve. */
#define DESCRIPTORS_KEPT 32

/* Raises the limit of the process to what so many connections need. Logs a warning when the system allows fewer. */
void descriptors_raise(int64_t connections);
/* May one be opened for a connection? False: only the reserve is left. */
bool descriptors_room(void);

#endif
