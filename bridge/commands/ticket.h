// SPDX-License-Identifier: MIT
/* ticket: the number of a request in the registry of the cluster.
 * Uses: nothing else. */
#ifndef T2M_TICKET_H
#define T2M_TICKET_H

#define TICKET_MAX 100 /* bytes */

#endif
