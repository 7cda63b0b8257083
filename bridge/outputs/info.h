// SPDX-License-Identifier: MIT
/* info: what this bridge is and can do, as one retained document: for pages and programs that build forms and labels.
 * Uses: bridge/settings, codecs, codecs/record.
 * Not: know units. */
#ifndef T2M_INFO_H
#define T2M_INFO_H

#include "bridge/settings/config.h"
#include "codecs/record/emit.h"

/* The document is smaller, topic and head included. */
#define INFO_MOST (48 << 10)

/* Writes it; for <prefix>/bridge/<instance>/info. */
void info_write(const struct config *config, struct writer *out);
/* Its last two pairs alone, into a map: `protocols` with their commands, `parameters`. */
void info_tables(struct emitter *e);

#endif
