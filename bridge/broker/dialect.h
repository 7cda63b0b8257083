// SPDX-License-Identifier: MIT
/* dialect: which version of MQTT a broker speaks, 5 or 3.1.1 (4).
 * Uses: nothing else.
 * Not: know connections.
 *
 * A broker of 3.1.1 refuses a CONNECT of MQTT 5, which is certain, or closes the connection without an answer, which a broker that is being
 * restarted does as well. So after such a close the other version is tried. If that one is answered, MQTT 5 is tried once more, and only
 * if that is closed again the broker is one of 3.1.1. */
#ifndef T2M_DIALECT_H
#define T2M_DIALECT_H

#include <stdbool.h>

struct dialect {
	int wanted, now; /* as configured; for the next connection */
	bool sure;       /* `now` is what the broker speaks */
	bool answered;   /* 3.1.1 was, and MQTT 5 is tried once more */
	bool both;       /* neither was */
};

void dialect_open(struct dialect *d, int version);
/* It is long ago: MQTT 5 is tried once more. */
void dialect_again(struct dialect *d);
/* The broker closed the connection instead of answering the CONNECT. True: the other version is worth a try at once. */
bool dialect_unanswered(struct dialect *d);
/* The broker has answered a CONNECT of this version, whatever it said. False: MQTT 5 is to be tried once more. */
bool dialect_answered(struct dialect *d);
/* The broker does not speak this version. True: the other one is worth a try at once. */
bool dialect_refused(struct dialect *d);

#endif
