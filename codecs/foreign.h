// SPDX-License-Identifier: MIT
/* foreign: what a peer speaks when it is none of the codecs here: known by its first bytes, so that people are told by name.
 * Uses: codecs/record.
 * Not: decode any of it, log, answer.
 *
 * A test is true only for bytes that are hardly anything else: marks at both ends, digits where an IMEI stands, a check sum. Noise and
 * broken frames of the codecs here get no name. */
#ifndef T2M_FOREIGN_H
#define T2M_FOREIGN_H

#include "codecs/record/bytes.h"

struct foreign {
	const char *name;               /* short, as it is published */
	bool tracker;                   /* a tracker's protocol; else something else that talks to this port */
	bool (*test)(struct span head); /* the first bytes of a connection, or a datagram */
	const char *words;              /* what that means and what to do; a clause for one line */
};

/* The row that these first bytes fit; NULL: none, or too few bytes so far. */
const struct foreign *foreign_find(struct span head);

#endif
