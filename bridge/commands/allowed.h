// SPDX-License-Identifier: MIT
/* allowed: what the configuration allows those who publish requests.
 * Uses: bridge/base, bridge/settings.
 * Not: know units, MQTT, the clock. */
#ifndef T2M_ALLOWED_H
#define T2M_ALLOWED_H

#include "bridge/settings/config.h"
#include "bridge/commands/request.h"

#define ALLOWED_CORRELATION_MAX 1024

/* [commands] allow: may this command be sent? For a text its first word counts. Nothing is kept. */
bool allowed_command(const struct config *config, const struct request *request);

/* Names on the list that no protocol has: how many, each told in a line to `errors`. Words of text commands (D1) may be any. */
unsigned allowed_check(const struct config *config, FILE *errors);

/* [commands] response_topics: may the end of a request be published on this response topic? NULL, or why not, as a sentence
 * for the user, which may be in `why`. `topic` with a NULL pointer: the request has none. `name`: the unit's name in topics;
 * `ident`: its ident. <prefix>/<name>/cmd/reply and <prefix>/<ident>/cmd/reply are always allowed. Nothing is kept. */
const char *allowed_response(const struct config *config, struct span topic, struct span correlation,
	const char *name, const char *ident, char *why, size_t size);

#endif
