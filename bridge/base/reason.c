// SPDX-License-Identifier: MIT
/* reason: see reason.h. */
#include "bridge/base/reason.h"

#include <stdio.h>
#include <string.h>

#define TOO_LARGE "raise the broker's maximum packet size"
#define ACL "allow {user} to write {topic} in the broker's ACL"

/* Codes that no PUBACK may carry are REASON_WAIT, too: an answer that makes no sense loses nothing. */
const struct reason reason_table[] = {
	{0x00, "Success", REASON_TAKEN, "", ""},
	{0x04, "Disconnect with will", REASON_TAKEN, "", ""},
	{0x10, "No matching subscribers", REASON_TAKEN, "", ""},
	{0x80, "Unspecified error", REASON_WAIT, "see the broker's log", "see the broker's log"},
	{0x81, "Malformed packet", REASON_WAIT, "see the broker's log", "see the broker's log"},
	{0x82, "Protocol error", REASON_WAIT, "see the broker's log", "see the broker's log"},
	{0x83, "Implementation specific error", REASON_WAIT, "see the broker's log", "see the broker's log"},
	{0x84, "Unsupported protocol version", REASON_WAIT, "", ""},
	{0x85, "Client identifier not valid", REASON_WAIT, "",
		"set [mqtt] client_id to one that the broker allows"},
	{0x86, "Bad user name or password", REASON_WAIT, "", ""},
	{0x87, "Not authorized", REASON_WAIT, ACL, "see the broker's log, and what it allows {user}"},
	{0x88, "Server unavailable", REASON_WAIT, "", ""},
	{0x89, "Server busy", REASON_WAIT, "", ""},
	{0x8a, "Banned", REASON_WAIT, "", "the broker's administrator has shut the bridge out"},
	{0x8b, "Server shutting down", REASON_WAIT, "", ""},
	{0x8c, "Bad authentication method", REASON_WAIT, "", ""},
	{0x8d, "Keep alive timeout", REASON_WAIT, "", "see [mqtt] keepalive"},
	{0x8e, "Session taken over", REASON_WAIT, "", ""},
	{0x8f, "Topic filter invalid", REASON_WAIT, "", ""},
	{0x90, "Topic name invalid", REASON_NEVER, "the topic is not one that the broker allows", ""},
	{0x91, "Packet identifier in use", REASON_WAIT, "", ""},
	{0x92, "Packet identifier not found", REASON_WAIT, "", ""},
	{0x93, "Receive maximum exceeded", REASON_WAIT, "", "set [mqtt] inflight lower"},
	{0x94, "Topic alias invalid", REASON_WAIT, "", ""},
	{0x95, "Packet too large", REASON_NEVER, TOO_LARGE, TOO_LARGE},
	{0x96, "Message rate too high", REASON_WAIT, "raise what the broker allows {user}",
		"raise what the broker allows {user}"},
	{0x97, "Quota exceeded", REASON_WAIT, "raise what the broker allows {user}",
		"raise what the broker allows {user}"},
	{0x98, "Administrative action", REASON_WAIT, "",
		"the broker's administrator has closed the connection"},
	{0x99, "Payload format invalid", REASON_NEVER, "the broker checks payloads; see [publish] format", ""},
	{0x9a, "Retain not supported", REASON_WAIT, "", "the bridge goes on without retained messages"},
	{0x9b, "QoS not supported", REASON_WAIT, "",
		"let the broker take QoS 1, or set [mqtt] qos = 0, without the guarantee"},
	{0x9c, "Use another server", REASON_WAIT, "", "set [mqtt] host to the other server"},
	{0x9d, "Server moved", REASON_WAIT, "", "set [mqtt] host to the other server"},
	{0x9e, "Shared subscriptions not supported", REASON_WAIT, "", ""},
	{0x9f, "Connection rate exceeded", REASON_WAIT, "", ""},
	{0xa0, "Maximum connect time", REASON_WAIT, "", ""},
	{0xa1, "Subscription identifiers not supported", REASON_WAIT, "", ""},
	{0xa2, "Wildcard subscriptions not supported", REASON_WAIT, "", ""},
	{REASON_CLOSES, "the broker closes the connection", REASON_WAIT,
		"see the broker's log; perhaps it does not allow {user} this topic, or a message so large", ""},
	{REASON_SILENT, "the broker does not answer", REASON_WAIT, "see the broker's log", ""},
};

const size_t reason_count = sizeof(reason_table) / sizeof(reason_table[0]);

const struct reason *reason_find(int code)
{
	static const struct reason passes = {-1, "Unknown", REASON_TAKEN, "", ""};
	static const struct reason waits = {-1, "Unknown reason", REASON_WAIT, "see the broker's log", ""};
	for (size_t i = 0; i < reason_count; i++)
		if (reason_table[i].code == code)
			return &reason_table[i];
	return code < 0x80 ? &passes : &waits;
}

void reason_text(int code, char *out, size_t size)
{
	const struct reason *r = reason_find(code);
	if (code >= REASON_CLOSES)
		snprintf(out, size, "%s", r->name);
	else
		snprintf(out, size, "%s (0x%02x)", r->name, (unsigned)code & 0xff);
}

void reason_cure(const char *cure, const char *user, const char *topic, char *out, size_t size)
{
	static const char user_place[] = "{user}", topic_place[] = "{topic}";
	size_t n = 0;
	while (*cure != '\0' && n + 1 < size) {
		const char *word = NULL;
		if (strncmp(cure, user_place, sizeof(user_place) - 1) == 0) {
			word = user;
			cure += sizeof(user_place) - 1;
		} else if (strncmp(cure, topic_place, sizeof(topic_place) - 1) == 0) {
			word = topic;
			cure += sizeof(topic_place) - 1;
		}
		if (word == NULL) {
			out[n++] = *cure++;
			continue;
		}
		size_t len = strlen(word);
		if (len > size - 1 - n)
			len = size - 1 - n;
		memcpy(out + n, word, len);
		n += len;
	}
	out[n] = '\0';
}
