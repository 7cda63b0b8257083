/* request: a command payload, text or JSON, taken apart and checked.
 * May use: cJSON (request.c only), command. May not: know units, MQTT.
 *
 *   S32,000000,1                                            text
 *   {"payload":"S32,000000,1"}                              the same
 *   {"command":"report.interval","args":{"interval":60},"id":"a1","timeout":30,"hold":3600}
 * An unknown key, a repeated key, more than REQUEST_KEYS_MAX of them, a value of the wrong type: rejected. */
#ifndef T2M_REQUEST_H
#define T2M_REQUEST_H

#include "codecs/codec.h"

#define REQUEST_MAX 8192
#define REQUEST_KEYS_MAX 32 /* of the document, and of its args */

struct request {
	struct command command;      /* its spec and values only after request_resolve */
	char name[64];               /* of a named command; "" for text */
	char id[201];                /* "" when there is none */
	int64_t timeout_ms, hold_ms; /* -1: not given */
	bool quotes;                 /* why it is rejected holds words of its own */
	size_t bytes;                /* about so much memory hangs on it */
	void *document;              /* what the spans point into */
};

/* NULL: fine, and request_free is due. Else why not, as a sentence for the user. */
const char *request_parse(struct request *r, struct span payload, char *why, size_t size);

/* What is no text for a unit, although its characters are: a named command, JSON, a whole frame of any protocol. NULL: it may be
 * one; else why not, and the right form. `codec`: of the unit; NULL: not known yet. */
const char *request_text_fault(struct span text, const struct codec *codec, char *why, size_t size);

/* Looks a named command up in the codec's table and checks its arguments. Text: checks it. */
const char *request_resolve(struct request *r, const struct codec *codec, char *why, size_t size);

void request_free(struct request *r);

#endif
