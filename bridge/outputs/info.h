// SPDX-License-Identifier: MIT
/* info: what this bridge is and can do, as one retained document: for pages and programs that build forms and labels.
 * Uses: codecs.
 * Not: know units. */
#ifndef T2M_INFO_H
#define T2M_INFO_H

#include "bridge/outputs/publish.h"

/* The document is smaller, topic and head included. */
#define INFO_MOST (48 << 10)

/* Puts it into the outbox, for <prefix>/bridge/<instance>/info. False: no room. */
bool info_tell(const struct config *config, struct publish *publish, struct moment now);

#endif
