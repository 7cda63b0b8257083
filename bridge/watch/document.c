// SPDX-License-Identifier: MIT
/* document: see document.h. */
#include "bridge/watch/document.h"

#include "codecs/record/emit.h"

#include <stdlib.h>

#define DEEPEST_INDENT 8

/* Behind the string whose first quote stands at `at`. */
static size_t string_end(struct span json, size_t at)
{
	for (at++; at < json.len && json.ptr[at] != '"'; at++)
		if (json.ptr[at] == '\\')
			at++;
	return at < json.len ? at + 1 : json.len;
}

/* Behind the number or word that stands at `at`. */
static size_t word_end(struct span json, size_t at)
{
	while (at < json.len && memchr("{}[],:\" \t\r\n", json.ptr[at], 11) == NULL)
		at++;
	return at;
}

/* As JSON has numbers; cJSON takes others, too. */
static bool is_number(struct span s)
{
	size_t i = s.len > 0 && s.ptr[0] == '-', digits = i;
	for (; i < s.len && byte_is_digit(s.ptr[i]); i++)
		;
	if (i == digits || (s.ptr[digits] == '0' && i > digits + 1))
		return false;
	if (i < s.len && s.ptr[i] == '.') {
		for (digits = ++i; i < s.len && byte_is_digit(s.ptr[i]); i++)
			;
		if (i == digits)
			return false;
	}
	if (i < s.len && (s.ptr[i] | 0x20) == 'e') {
		i++;
		i += i < s.len && (s.ptr[i] == '+' || s.ptr[i] == '-');
		for (digits = i; i < s.len && byte_is_digit(s.ptr[i]); i++)
			;
		if (i == digits)
			return false;
	}
	return i == s.len;
}

/* Are all words and numbers outside of strings what JSON allows? cJSON has looked at everything else. */
static bool has_strict_words(struct span json)
{
	for (size_t i = 0, end; i < json.len; i = end) {
		uint8_t c = json.ptr[i];
		if (c == '"') {
			end = string_end(json, i);
			continue;
		}
		end = word_end(json, i);
		struct span word = span_part(json, i, end - i);
		if (end == i)
			end++;
		else if (!is_number(word) && !span_is(word, "true") && !span_is(word, "false") &&
			 !span_is(word, "null"))
			return false;
	}
	return true;
}

static bool parse(struct document *d, struct span json)
{
	const char *end = NULL;
	json = span_trim(json, byte_is_blank);
	d->json = json;
	if (json.len == 0 || json.ptr[0] != '{' || !emit_is_utf8(json))
		return false;
	d->root = cJSON_ParseWithLengthOpts((const char *)json.ptr, json.len, &end, false);
	return cJSON_IsObject(d->root) && end == (const char *)json.ptr + json.len && has_strict_words(json);
}

static bool unpack(struct document *d, struct span payload)
{
	size_t len = 0;
	FILE *out = open_memstream(&d->own, &len);
	if (out == NULL)
		return false;
	struct reader in = reader_of(payload);
	bool whole = document_unpack(&in, 0, out) && reader_left(&in) == 0;
	return fclose(out) == 0 && whole && parse(d, span_of(d->own, len));
}

bool document_read(struct document *d, struct span payload)
{
	*d = (struct document){.msgpack = false};
	if (payload.len == 0 || payload.len > DOCUMENT_MOST)
		return false;
	uint8_t first = payload.ptr[0];
	d->msgpack = (first & 0xf0) == 0x80 || first == 0xde || first == 0xdf;
	if (d->msgpack ? unpack(d, payload) : parse(d, payload))
		return true;
	document_free(d);
	return false;
}

void document_free(struct document *d)
{
	cJSON_Delete(d->root);
	free(d->own);
	*d = (struct document){.msgpack = false};
}

const char *document_text(const struct document *d, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(d->root, key));
}

bool document_number(const struct document *d, const char *key, double *number)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(d->root, key);
	if (!cJSON_IsNumber(item))
		return false;
	*number = item->valuedouble;
	return true;
}

int document_truth(const struct document *d, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(d->root, key);
	return cJSON_IsBool(item) ? cJSON_IsTrue(item) : -1;
}

/* Deeper ones are not moved on: a small document must not become a large text. */
static void new_line(unsigned indent, unsigned depth, FILE *out)
{
	if (indent > 0)
		fprintf(out, "\n%*s", (int)(indent + 2 * (depth < DEEPEST_INDENT ? depth : DEEPEST_INDENT)),
			"");
}

/* The next byte that is not blank; 0 at the end. */
static uint8_t ahead(struct span json, size_t at)
{
	while (at < json.len && byte_is_blank(json.ptr[at]))
		at++;
	return at < json.len ? json.ptr[at] : 0;
}

static void write_mark(uint8_t c, unsigned indent, FILE *out)
{
	putc(c, out);
	if (c == ':' && indent > 0)
		putc(' ', out);
}

void document_write(const struct screen *screen, struct span json, unsigned indent, FILE *out)
{
	unsigned depth = 0;
	bool empty = false; /* the last bracket closes at once */
	fprintf(out, "%*s", (int)indent, "");
	for (size_t i = 0, end; i < json.len; i = end) {
		uint8_t c = json.ptr[i];
		end = c == '"' ? string_end(json, i) : word_end(json, i);
		if (end > i) {
			screen_json_again(screen, span_part(json, i, end - i), out);
			continue;
		}
		end++;
		if (byte_is_blank(c))
			continue;
		if (c == '}' || c == ']') {
			depth -= depth > 0;
			if (!empty)
				new_line(indent, depth, out);
		}
		write_mark(c, indent, out);
		bool opens = c == '{' || c == '[';
		uint8_t next = ahead(json, end);
		empty = opens && (next == '}' || next == ']');
		depth += opens;
		if ((opens && !empty) || c == ',')
			new_line(indent, depth, out);
	}
}
