/* topic: see topic.h. */
#include "topic.h"

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
	return ident.len >= 1 && ident.len <= 20 && span_all(ident, byte_is_alnum);
}

bool topic_parse_command(const char *prefix, struct span topic, struct span *ident)
{
	static const char leaf[] = "/cmd";
	size_t head = strlen(prefix) + 1, tail = sizeof(leaf) - 1;
	if (topic.len <= head + tail || memcmp(topic.ptr, prefix, head - 1) != 0 || topic.ptr[head - 1] != '/')
		return false;
	if (memcmp(topic.ptr + topic.len - tail, leaf, tail) != 0)
		return false;
	*ident = span_of(topic.ptr + head, topic.len - head - tail);
	return ident->len <= 60 && memchr(ident->ptr, '/', ident->len) == NULL;
}
