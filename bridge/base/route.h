// SPDX-License-Identifier: MIT
/* route: a message that the broker has delivered, and the function that handles it.
 * Uses: codecs/record.
 * Not: know the MQTT client: rooms that handle messages need not know it either. */
#ifndef T2M_ROUTE_H
#define T2M_ROUTE_H

#include "bridge/base/clock.h"
#include "bridge/base/sum.h"
#include "codecs/record/bytes.h"

/* Valid until the handler returns. */
struct route_message {
	struct span topic, payload;
	bool retained;                           /* the broker has kept it; it was not published just now */
	struct span response_topic, correlation; /* MQTT 5; with a NULL pointer when there are none */
	int64_t expiry_s;                        /* MQTT 5 message expiry in seconds; -1: none */
	uint16_t mid;                            /* the broker's packet identifier; 0: QoS 0 */
};

/* Of all that a requester gives: the same message, delivered twice, has the same sum. */
static inline uint64_t route_sum(const struct route_message *message)
{
	uint64_t sum = sum_text(sum_text(SUM_OF_NOTHING, message->topic), message->payload);
	return sum_text(sum_text(sum, message->response_topic), message->correlation);
}

/* Does the requester give it a name of its own, an id or correlation data? Then what has the same sum is the same request, whatever its packet
 * identifier: some brokers number anew what they deliver again. */
bool route_is_named(const struct route_message *message);

/* `now`: when the message was read, by both clocks. */
typedef void route_handler(void *ctx, const struct route_message *message, struct moment now);

#endif
