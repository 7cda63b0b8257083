// SPDX-License-Identifier: MIT
/* request_text: what somebody published as a text for a unit, and is none; see request.h.
 * Uses: nothing else.
 * Not: know units, MQTT, any one protocol. */
#include "bridge/commands/request.h"

#include <stdio.h>
#include <strings.h>

/* The text without the blanks and quotation marks around it. */
static struct span bare(struct span s)
{
	while (s.len > 0 && (byte_is_blank(s.ptr[0]) || s.ptr[0] == '"' || s.ptr[0] == '\''))
		s = span_after(s, 1);
	while (s.len > 0 &&
		(byte_is_blank(s.ptr[s.len - 1]) || s.ptr[s.len - 1] == '"' || s.ptr[s.len - 1] == '\''))
		s.len--;
	return s;
}

/* Does the text begin with this name of a command, and not with a longer name? A name without a dot may be a word of the
 * unit's own: so the text must be that name alone, in the same case. */
static bool begins_with(struct span text, const char *name)
{
	size_t n = strlen(name);
	bool dotted = strchr(name, '.') != NULL;
	if (text.len < n || (!dotted && text.len > n))
		return false;
	if (dotted ? strncasecmp((const char *)text.ptr, name, n) != 0 : memcmp(text.ptr, name, n) != 0)
		return false;
	return text.len == n || (!byte_is_alnum(text.ptr[n]) && text.ptr[n] != '.');
}

static const char *named(struct span text, char *why, size_t size)
{
	for (const struct codec *const *c = codecs; *c != NULL; c++) {
		for (const struct command_spec *s = (*c)->commands; s->name != NULL; s++) {
			char example[600];
			struct writer w = writer_of(example, sizeof(example));
			if (!begins_with(text, s->name))
				continue;
			command_example(s, &w);
			snprintf(why, size, "%s is a named command, not a text; publish %.*s", s->name,
				(int)w.len, example);
			return why;
		}
	}
	return NULL;
}

/* The bytes that a text of hex digits stands for, without blanks and 0x. For a text that is no hex: the text itself. */
static struct span bytes_of(struct span text, uint8_t *buf, size_t size)
{
	size_t digits = 0;
	if (text.len > 2 && text.ptr[0] == '0' && (text.ptr[1] | 0x20) == 'x')
		text = span_after(text, 2);
	for (size_t i = 0; i < text.len; i++) {
		int digit = byte_hex(text.ptr[i]);
		if (byte_is_blank(text.ptr[i]))
			continue;
		if (digit < 0 || digits / 2 == size)
			return text;
		buf[digits / 2] = (uint8_t)(digits % 2 == 0 ? digit << 4 : buf[digits / 2] | digit);
		digits++;
	}
	return digits > 0 && digits % 2 == 0 ? span_of(buf, digits / 2) : text;
}

/* Writes into `why` what to publish instead of this whole frame. */
static void right_form(const struct codec *codec, const struct codec_whole *whole, char *why, size_t size)
{
	char detail[200];
	if (command_check_text(whole->text, 300, &codec->marks, detail, sizeof(detail)) == NULL) {
		snprintf(why, size,
			"a whole frame is no command text; publish what stands behind its ident alone: %.*s",
			(int)whole->text.len, (const char *)whole->text.ptr);
		return;
	}
	size_t n = (size_t)snprintf(why, size, "a whole frame is no command text; publish a named command");
	const char *glue = ": ";
	for (const struct command_spec *s = codec->commands; s->name != NULL && n < size; s++) {
		if (whole->message == 0 || s->message != whole->message)
			continue;
		n += (size_t)snprintf(why + n, size - n, "%s{\"command\":\"%s\"}", glue, s->name);
		glue = " or ";
	}
	if (n < size)
		snprintf(why + n, size - n, "; tracker2mqtt --print-commands lists all");
}

const char *request_text_fault(struct span text, const struct codec *codec, char *why, size_t size)
{
	uint8_t buf[REQUEST_MAX / 2];
	struct span inner = bare(text), bytes = bytes_of(inner, buf, sizeof(buf));
	if (inner.len == 0)
		return NULL; /* command_check_text rejects it */
	if ((inner.ptr[0] == '{' || inner.ptr[0] == '[') && memchr(inner.ptr, '"', inner.len) != NULL)
		return "JSON is no command text; a request in JSON is an object, begins with { and stands "
		       "alone: "
		       "{\"command\":\"position.request\"}";
	for (const struct codec *const *c = codecs; *c != NULL; c++) {
		struct codec_whole whole;
		if ((*c)->is_whole(bytes, *c == codec, &whole)) {
			right_form(*c, &whole, why, size);
			return why;
		}
	}
	return named(inner, why, size);
}
