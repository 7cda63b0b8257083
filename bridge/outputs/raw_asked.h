// SPDX-License-Identifier: MIT
/* raw_asked: the units whose frames somebody wants to see for a while, and until when.
 * Uses: bridge/base, codecs, codecs/record.
 * Not: know who asked, publish anything. */
#ifndef T2M_RAW_ASKED_H
#define T2M_RAW_ASKED_H

#include "bridge/base/hash.h"
#include "codecs/record/bytes.h"

#define RAW_ASKED_MOST 1000

struct raw_asked_unit;

/* All zero: nobody asked. Times are of the steady clock. */
struct raw_asked {
	struct raw_asked_unit *units;
};

/* The frames of this unit are wanted until `until_ms`, or, when that has passed, no longer. The ident is topic_ident_ok. False:
 * RAW_ASKED_MOST others are wanted already, or there is no memory. */
bool raw_asked_set(struct raw_asked *asked, struct span ident, int64_t until_ms, int64_t now_ms);
/* Are its frames wanted now? */
bool raw_asked_has(const struct raw_asked *asked, const char *ident, int64_t now_ms);
void raw_asked_free(struct raw_asked *asked);

#endif
