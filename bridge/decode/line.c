// SPDX-License-Identifier: MIT
/* line: see line.h.
 *
 *   Traccar   2015-09-24 09:41:34 DEBUG: [FEC47FBE: 5001 < 203.0.113.4] HEX: 2a48...
 *             2014-02-28 18:00:27 DEBUG: [5036 <- 203.0.113.4] - HEX: 2a48...     2013: - (HEX: 2a48...)
 *             2024-05-06 10:11:12  INFO: [T1234abcd: name < 203.0.113.4] 2a48...   text protocols: the text itself
 *   JSON      {"direction":"in","hex":"2A48...","text":"..."}, with or without the topic and a blank in front
 *   log       ... frame from PEER (IDENT) rejected: REASON: BYTES    ... speaks no known protocol: BYTES
 *             ... looks like NAME: ADVICE: BYTES
 *   hex       2a48..  2a 48  2a:48  0x2a,0x48  \x2a\x48  { 0x2a, 0x48 } in one line or several */
#include "bridge/decode/line.h"

#include "bridge/decode/line_json.h"

#include <stdlib.h>

/* --- helpers --- */

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static bool begins(struct span s, const char *text)
{
	size_t n = strlen(text);
	return s.len >= n && memcmp(s.ptr, text, n) == 0;
}

/* What stands behind the first place of `text`; empty: it is not there. */
static struct span behind(struct span s, const char *text)
{
	const uint8_t *at = s.len > 0 ? memmem(s.ptr, s.len, text, strlen(text)) : NULL;
	return at != NULL ? span_after(s, (size_t)(at - s.ptr) + strlen(text)) : span_of(NULL, 0);
}

static bool is_comment(struct span s)
{
	s = span_trim(s, is_blank);
	return s.len == 0 || s.ptr[0] == '#' || s.ptr[0] == ';' || begins(s, "//");
}

/* --- hex --- */

static bool separates(uint8_t c)
{
	return is_blank(c) || (c != 0 && strchr(":,;-\"'", c) != NULL);
}

/* 0x24, or in an array 36. Returns the bytes of the token, or 0. */
static size_t number_token(struct span s, bool array, struct writer *w)
{
	bool hex = s.len > 1 && (s.ptr[0] == '0' || s.ptr[0] == '\\') && (s.ptr[1] | 0x20) == 'x';
	size_t n = hex ? 2 : 0, from = n, digits;
	unsigned v = 0;
	if (!hex && !array)
		return 0;
	for (; n < s.len && byte_hex(s.ptr[n]) >= 0; n++) {
		if (!hex && !byte_is_digit(s.ptr[n]))
			return 0;
		v = v * (hex ? 16 : 10) + (unsigned)byte_hex(s.ptr[n]);
		digits = n + 1 - from;
		if (hex && digits % 2 == 0) {
			writer_u8(w, (uint8_t)v);
			v = 0;
		} else if (!hex && v > 255) {
			return 0;
		}
	}
	digits = n - from;
	if (digits == 0 || (hex && digits > 2 && digits % 2 == 1))
		return 0;
	if (!hex || digits == 1)
		writer_u8(w, (uint8_t)v);
	while (n < s.len && (s.ptr[n] == 'u' || s.ptr[n] == 'U'))
		n++;
	return n;
}

/* Appends the bytes; false: these are no hex digits alone, and `w` is as before. `array`: a number without 0x is decimal. */
static bool take_hex(struct span s, bool array, struct writer *w)
{
	size_t before = w->len, digits = 0;
	for (size_t i = 0; i < s.len;) {
		if (separates(s.ptr[i])) {
			i++;
			continue;
		}
		size_t n = digits % 2 == 0 ? number_token(span_after(s, i), array, w) : 0;
		int value = byte_hex(s.ptr[i]);
		if (n == 0 && (value < 0 || array)) {
			w->len = before;
			return false;
		}
		if (n == 0 && digits++ % 2 == 0)
			writer_u8(w, (uint8_t)(value << 4));
		else if (n == 0 && !w->full)
			w->ptr[w->len - 1] |= (uint8_t)value;
		i += n > 0 ? n : 1;
	}
	if (digits % 2 == 0 && !w->full)
		return true;
	w->len = before;
	return false;
}

static enum line_found bytes_of(struct line_reader *r, const struct writer *w, struct line *out)
{
	out->bytes = span_of(r->bytes, w->len);
	return w->len > 0 ? LINE_BYTES : LINE_NOTHING;
}

/* Between braces. */
static enum line_found take_array(struct line_reader *r, struct span s, struct line *out)
{
	const uint8_t *close = s.len > 0 ? memchr(s.ptr, '}', s.len) : NULL;
	const uint8_t *comment = s.len > 0 ? memmem(s.ptr, s.len, "//", 2) : NULL;
	struct writer w = writer_of(r->bytes, sizeof(r->bytes));
	size_t len = close != NULL ? (size_t)(close - s.ptr) : s.len;
	if (comment != NULL && (size_t)(comment - s.ptr) < len)
		len = (size_t)(comment - s.ptr);
	w.len = r->len;
	struct span inside = span_of(s.ptr, len);
	bool decimal = w.len > 0 || behind(inside, "0x").ptr != NULL || behind(inside, "0X").ptr != NULL ||
		       behind(inside, ",").ptr != NULL;
	if (!take_hex(inside, decimal, &w) && !take_hex(inside, false, &w)) {
		r->in_array = false;
		r->len = 0;
		return LINE_WRONG;
	}
	r->len = w.len;
	r->in_array = close == NULL;
	if (r->in_array)
		return LINE_NOTHING;
	r->len = 0;
	return bytes_of(r, &w, out);
}

/* `... = {`, or `{` alone: what stands behind the brace; `*found`: there is one. */
static struct span array_start(struct span s, bool *found)
{
	const uint8_t *brace = s.len > 0 ? memchr(s.ptr, '{', s.len) : NULL;
	struct span before = span_trim(span_of(s.ptr, brace != NULL ? (size_t)(brace - s.ptr) : 0), is_blank);
	*found = brace != NULL && (before.len == 0 || before.ptr[before.len - 1] == '=');
	return *found ? span_after(s, (size_t)(brace - s.ptr) + 1) : span_of(NULL, 0);
}

/* --- logs --- */

/* `2024-05-06 10:11:12` with blank or T. */
static bool is_dated(struct span s)
{
	static const char form[] = "dddd-dd-dd dd:dd:dd";
	for (size_t i = 0; i < sizeof(form) - 1; i++) {
		uint8_t c = i < s.len ? s.ptr[i] : 0;
		bool right = form[i] == 'd'   ? byte_is_digit(c)
			     : form[i] == ' ' ? c == ' ' || c == 'T'
					      : c == (uint8_t)form[i];
		if (!right)
			return false;
	}
	return true;
}

static bool is_closing(uint8_t c)
{
	return is_blank(c) || c == ')' || c == '(' || c == '-';
}

/* `[id: port < address] bytes`. */
static enum line_found take_traccar(struct line_reader *r, struct span s, struct line *out)
{
	const uint8_t *open = s.len > 0 ? memchr(s.ptr, '[', s.len) : NULL;
	struct span head = open != NULL ? span_after(s, (size_t)(open - s.ptr) + 1) : span_of(NULL, 0);
	const uint8_t *close = head.len > 0 ? memchr(head.ptr, ']', head.len) : NULL;
	if (close == NULL)
		return LINE_WRONG;
	struct span rest = span_after(head, (size_t)(close - head.ptr) + 1);
	head.len = (size_t)(close - head.ptr);
	bool in = behind(head, " < ").len > 0 || behind(head, " <- ").len > 0;
	bool from_server = behind(head, " > ").len > 0 || behind(head, " -> ").len > 0;
	if (!in)
		return from_server ? LINE_NOTHING : LINE_WRONG;
	struct span name =
		span_of(head.ptr, head.len < sizeof(out->stream) ? head.len : sizeof(out->stream) - 1);
	span_copy(name, out->stream, sizeof(out->stream));
	struct span hex = behind(rest, "HEX:"), text = behind(rest, "TXT:");
	struct writer w = writer_of(r->bytes, sizeof(r->bytes));
	if (hex.len > 0 && !take_hex(span_trim(hex, is_closing), false, &w))
		return LINE_WRONG;
	rest = span_trim(text.len > 0 ? text : rest, is_blank);
	if (hex.len == 0 && (text.len > 0 || !take_hex(rest, false, &w)))
		writer_span_put(&w, rest);
	return bytes_of(r, &w, out) == LINE_BYTES ? LINE_PART : LINE_NOTHING;
}

/* The reverse of \xNN. */
static void unescape(struct span s, struct writer *w)
{
	for (size_t i = 0; i < s.len; i++) {
		bool escaped = i + 3 < s.len && s.ptr[i] == '\\' && s.ptr[i + 1] == 'x' &&
			       byte_hex(s.ptr[i + 2]) >= 0 && byte_hex(s.ptr[i + 3]) >= 0;
		writer_u8(w,
			escaped ? (uint8_t)(byte_hex(s.ptr[i + 2]) << 4 | byte_hex(s.ptr[i + 3])) : s.ptr[i]);
		i += escaped ? 3 : 0;
	}
}

/* A line of the bridge's own log that shows bytes; WRONG: it shows none. */
static enum line_found take_log(struct line_reader *r, struct span s, struct line *out)
{
	struct span rest = behind(behind(s, "frame from "), " rejected: ");
	struct span bytes = behind(rest, ": ");
	if (rest.len == 0) {
		bool named = behind(s, " looks like ").len >
			     0; /* then words of advice, which may have a colon too */
		rest = behind(s, named ? " looks like " : " speaks no known protocol");
		bytes = behind(rest, ": ");
		for (struct span next = bytes; named && next.len > 0; next = behind(next, ": "))
			bytes = next;
	}
	if (bytes.len == 0)
		return LINE_WRONG;
	struct span more = behind(bytes, "; more from this connection");
	if (more.len > 0)
		bytes.len = (size_t)(more.ptr - bytes.ptr) - strlen("; more from this connection");
	out->cut = bytes.len >= 3 && memcmp(bytes.ptr + bytes.len - 3, "...", 3) == 0;
	bytes.len -= out->cut ? 3 : 0;
	struct writer w = writer_of(r->bytes, sizeof(r->bytes));
	if (behind(bytes, "\\x").len > 0 || !take_hex(bytes, false, &w))
		unescape(bytes, &w);
	return bytes_of(r, &w, out);
}

/* --- JSON --- */

static enum line_found take_json(struct line_reader *r, struct span s, struct line *out)
{
	struct writer w = writer_of(r->bytes, sizeof(r->bytes));
	enum line_found found = line_json(s, &w);
	return found == LINE_BYTES ? bytes_of(r, &w, out) : found;
}

/* `{"`, with a topic and a blank in front of it or nothing. */
static struct span json_start(struct span s)
{
	const uint8_t *brace = s.len > 0 ? memchr(s.ptr, '{', s.len) : NULL;
	if (brace == NULL || (brace > s.ptr && !is_blank(brace[-1])))
		return span_of(NULL, 0);
	struct span json = span_after(s, (size_t)(brace - s.ptr));
	struct span inside = span_trim(span_after(json, 1), is_blank);
	return inside.len > 0 && inside.ptr[0] == '"' ? json : span_of(NULL, 0);
}

/* --- any --- */

static enum line_found recognise(struct line_reader *r, struct span s, struct line *out)
{
	struct writer w = writer_of(r->bytes, sizeof(r->bytes));
	struct span json = json_start(s);
	if (json.len > 0 && take_json(r, json, out) != LINE_WRONG)
		return out->bytes.len > 0 ? LINE_BYTES : LINE_NOTHING;
	enum line_found found = take_log(r, s, out);
	if (found != LINE_WRONG)
		return found;
	found = s.ptr[0] == '[' || is_dated(s) ? take_traccar(r, s, out) : LINE_WRONG;
	if (found != LINE_WRONG)
		return found;
	if (is_dated(s) || behind(s, " tracker2mqtt[").len > 0)
		return LINE_NOTHING; /* a log says many things */
	bool array;
	struct span inside = array_start(s, &array);
	found = array ? take_array(r, inside, out) : LINE_WRONG;
	if (found != LINE_WRONG)
		return found;
	if (take_hex(s, false, &w))
		return bytes_of(r, &w, out);
	out->bytes = s;
	return LINE_BYTES;
}

enum line_found line_read(struct line_reader *r, enum line_kind kind, struct span text, struct line *out)
{
	struct writer w = writer_of(r->bytes, sizeof(r->bytes));
	bool array = false;
	out->bytes = span_of(NULL, 0);
	out->cut = false;
	if (is_comment(text))
		return LINE_NOTHING;
	if (r->in_array)
		return take_array(r, text, out);
	switch (kind) {
	case LINE_AUTO:
		return recognise(r, text, out);
	case LINE_TRACCAR:
		return take_traccar(r, text, out);
	case LINE_JSON:
		return take_json(r, json_start(text), out);
	case LINE_LOG:
		return take_log(r, text, out);
	case LINE_HEX: {
		struct span inside = array_start(text, &array);
		if (array)
			return take_array(r, inside, out);
		return take_hex(text, false, &w) ? bytes_of(r, &w, out) : LINE_WRONG;
	}
	case LINE_TEXT:
		out->bytes = text;
		return LINE_BYTES;
	}
	return LINE_WRONG;
}

enum line_found line_end(struct line_reader *r, struct line *out)
{
	out->bytes = span_of(r->bytes, r->len);
	out->cut = false;
	bool open = r->in_array && r->len > 0;
	r->in_array = false;
	r->len = 0;
	return open ? LINE_BYTES : LINE_NOTHING;
}

bool line_kind_find(const char *name, enum line_kind *out)
{
	static const char *const names[] = {[LINE_AUTO] = "auto",
		[LINE_TRACCAR] = "traccar",
		[LINE_JSON] = "json",
		[LINE_LOG] = "log",
		[LINE_HEX] = "hex",
		[LINE_TEXT] = "text"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		*out = (enum line_kind)i;
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}
