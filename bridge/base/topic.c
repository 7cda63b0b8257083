// SPDX-License-Identifier: MIT
/* topic: see topic.h. */
#include "bridge/base/topic.h"

#include "codecs/record/emit.h"

static struct topic join(const char *const *parts, size_t n)
{
	struct topic t;
	struct writer w = writer_of(t.text, sizeof(t.text) - 1);
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			writer_u8(&w, '/');
		writer_text(&w, parts[i]);
	}
	t.text[w.len] = '\0';
	t.len = w.len;
	return t;
}

struct topic topic_unit(const char *prefix, const char *ident, const char *leaf)
{
	return join((const char *[]){prefix, ident, leaf}, 3);
}

struct topic topic_bridge(const char *prefix, const char *instance, const char *leaf)
{
	return join((const char *[]){prefix, "bridge", instance, leaf}, 4);
}

bool topic_ident_ok(struct span ident)
{
	return ident.len >= 1 && ident.len <= 20 && span_all(ident, byte_is_alnum) && !topic_reserved(ident);
}

bool topic_reserved(struct span name)
{
	return span_is(name, "bridge") || span_is(name, "unknown");
}

/* One character of UTF-8. */
static uint32_t code_point(struct span s, size_t n)
{
	uint32_t c = n == 1 ? s.ptr[0] : s.ptr[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++)
		c = c << 6 | (s.ptr[i] & 0x3f);
	return c;
}

const char *topic_fault(struct span topic)
{
	if (topic.len == 0)
		return "it is empty";
	if (topic.len >= TOPIC_MAX)
		return "it is longer than 255 bytes";
	if (topic.ptr[0] == '$')
		return "it begins with $";
	for (size_t i = 0; i < topic.len;) {
		size_t n = emit_utf8_length(span_after(topic, i));
		uint32_t c = n > 0 ? code_point(span_after(topic, i), n) : 0;
		if (n == 0)
			return "it is not UTF-8";
		if (c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0xfdd0 && c <= 0xfdef) ||
			(c & 0xfffe) == 0xfffe)
			return "it holds a control character";
		if (c == '+' || c == '#')
			return "it holds a wildcard";
		i += n;
	}
	return NULL;
}

bool topic_parse_unit(const char *prefix, struct span topic, const char *leaf, struct span *name)
{
	size_t head = strlen(prefix) + 1, tail = strlen(leaf) + 1;
	if (topic.len <= head + tail || memcmp(topic.ptr, prefix, head - 1) != 0 || topic.ptr[head - 1] != '/')
		return false;
	const uint8_t *end = topic.ptr + topic.len - tail;
	if (end[0] != '/' || memcmp(end + 1, leaf, tail - 1) != 0)
		return false;
	*name = span_of(topic.ptr + head, topic.len - head - tail);
	return name->len <= 60 && memchr(name->ptr, '/', name->len) == NULL;
}
