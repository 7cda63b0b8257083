// SPDX-License-Identifier: MIT
/* request: the payload of a request, text or JSON, is taken apart and checked.
 * Uses: bridge/settings, codecs; <cJSON.h>.
 * Not: know units, MQTT.
 *
 *   S32,000000,1                                            a text for the unit
 *   {"payload":"S32,000000,1"}                              the same, with room for id, timeout and hold
 *   {"command":"report.interval","args":{"interval":60},"id":"a1","timeout":30,"hold":3600}
 * A request with an unknown key, a repeated key, more than REQUEST_KEYS_MAX keys or a value of the wrong type is rejected. */
#ifndef T2M_REQUEST_H
#define T2M_REQUEST_H

#include "codecs/codec.h"

#define REQUEST_MAX 8192    /* bytes of a payload */
#define REQUEST_KEYS_MAX 32 /* of the document, and of its args */

struct request {
	struct command command;      /* `spec` and `values` are set by request_resolve */
	char name[64];               /* of a named command; "" for text */
	char id[201];                /* "" when there is none */
	int64_t timeout_ms, hold_ms; /* -1: not given */
	bool quotes;                 /* the reason for which it is rejected quotes the request */
	size_t bytes;                /* memory that the request takes; about */
	void *document;              /* owned; the spans of `command` point into it */
};

/* Takes a payload apart; it is copied. NULL: request_free is due. Else why the request is rejected, as a sentence for the
 * user, which may be in `why`; nothing is to be freed then. */
const char *request_parse(struct request *r, struct span payload, char *why, size_t size);

/* Is this a text for a unit? Named commands, JSON and whole frames of any protocol are none, although their characters are
 * allowed. NULL: it may be one; else why not, and what to publish instead, which may be in `why`. `codec`: the unit's; NULL:
 * not known yet. */
const char *request_text_fault(struct span text, const struct codec *codec, char *why, size_t size);

/* Looks a named command up in the codec's table and checks its arguments; checks a text. NULL, or why the request is rejected. */
const char *request_resolve(struct request *r, const struct codec *codec, char *why, size_t size);

void request_free(struct request *r);

#endif
