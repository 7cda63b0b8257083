// SPDX-License-Identifier: MIT
/* refused: see refused.h. */
#include "bridge/outbox/refused.h"

void refused_show(struct span start, size_t size, struct refused_shown *to)
{
	struct refused_head head;
	struct message_head message;
	if (start.len < sizeof(head) + sizeof(message))
		return;
	memcpy(&head, start.ptr, sizeof(head));
	memcpy(&message, start.ptr + sizeof(head), sizeof(message));
	size_t before =
		sizeof(head) + sizeof(message) + message.topic + message.correlation + message.memory_key;
	*to = (struct refused_shown){.when_ms = head.when_ms,
		.reason = (int)head.reason,
		.number = head.number,
		.bytes = size > before ? size - before : 0};
	struct span topic = span_after(start, sizeof(head) + sizeof(message));
	size_t len = message.topic < topic.len ? message.topic : topic.len;
	len = len < sizeof(to->topic) ? len : sizeof(to->topic) - 1;
	memcpy(to->topic, topic.ptr, len);
}
