/* allowed: what the configuration allows to whoever asks for a command.
 * May use: config, request, topic. May not: know units, MQTT, the clock. */
#ifndef T2M_ALLOWED_H
#define T2M_ALLOWED_H

#include "bridge/settings/config.h"
#include "bridge/commands/request.h"

#define ALLOWED_CORRELATION_MAX 1024

/* [commands] allow: may this command be sent? */
bool allowed_command(const struct config *config, const struct request *request);

/* [commands] response_topics: may the end of a request be told there? NULL, or why not, as a sentence for the user.
 * `topic` with a NULL pointer: there is none. `name`: the unit's, in the topic of the request; `ident`: its ident. Each of
 * the two has a cmd/reply, which is always allowed. */
const char *allowed_response(const struct config *config, struct span topic, struct span correlation,
	const char *name, const char *ident, char *why, size_t size);

#endif
