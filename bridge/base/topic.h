// SPDX-License-Identifier: MIT
/* topic: writing and reading topic names.
 * Uses: codecs/record.
 * Not: know MQTT.
 *
 * <prefix>/<ident>/<leaf> for a unit, <prefix>/bridge/<instance>/<leaf> for the bridge, <prefix>/unknown/raw for
 * frames without a unit. An ident is 1 to 20 digits or letters, so it can never hold a level or a wildcard; the words
 * bridge and unknown are none. */
#ifndef T2M_TOPIC_H
#define T2M_TOPIC_H

#include "codecs/record/bytes.h"

#define TOPIC_MAX 256

struct topic {
	char text[TOPIC_MAX];
	size_t len;
};

/* The ident must be topic_ident_ok, the prefix and instance as the configuration allows them. */
struct topic topic_unit(const char *prefix, const char *ident, const char *leaf);
struct topic topic_bridge(const char *prefix, const char *instance, const char *leaf);

bool topic_ident_ok(struct span ident);
/* Is this name of a level below the prefix reserved for the bridge? */
bool topic_reserved(struct span name);

/* Why some broker may refuse a message on this topic, as a constant text; NULL: every broker accepts it. */
const char *topic_fault(struct span topic);

/* Reads the name from <prefix>/<name>/<leaf>: one level of 1 to 60 bytes. False: it is no such topic. */
bool topic_parse_unit(const char *prefix, struct span topic, const char *leaf, struct span *name);

#endif
