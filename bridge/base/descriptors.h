/* descriptors: how many the process may open, and which are kept for the bridge itself.
 * May use: the C library, log. May not: know what they are for.
 *
 * The broker, the outbox, a reload, the certificates and the log need descriptors at any time. Those who open many at the
 * wish of others (listener, relay) ask first. */
#ifndef T2M_DESCRIPTORS_H
#define T2M_DESCRIPTORS_H

#include <stdbool.h>
#include <stdint.h>

/* Kept for the bridge itself. */
#define DESCRIPTORS_KEPT 32

/* As many as so many connections need, as far as the system allows; says so when that is fewer. */
void descriptors_raise(int64_t connections);
/* May somebody outside have one more? False: what is left is for the bridge itself. */
bool descriptors_room(void);

#endif
