// SPDX-License-Identifier: MIT
/* line_json: the bytes in a message of the topics `raw` and `unknown`.
 * Uses: <cJSON.h>.
 * Not: know what stands in front of the JSON. */
#ifndef T2M_LINE_JSON_H
#define T2M_LINE_JSON_H

#include "bridge/decode/line.h"

/* BYTES: those of `hex`. NOTHING: the message has none, or it is what the bridge has sent. WRONG: no JSON object. mosquitto_sub -F %j has
 * the message in `payload`: it is looked for there as well. */
enum line_found line_json(struct span text, struct writer *out);

#endif
