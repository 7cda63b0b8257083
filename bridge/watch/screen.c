// SPDX-License-Identifier: MIT
/* screen: see screen.h. */
#include "bridge/watch/screen.h"

#include "codecs/record/emit.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

static bool says_utf8(void)
{
	static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *value = getenv(names[i]);
		if (value != NULL && *value != '\0') /* the first that is set decides */
			return strcasestr(value, "utf-8") != NULL || strcasestr(value, "utf8") != NULL;
	}
	return false;
}

struct screen screen_of(FILE *out)
{
	struct screen screen = {.utf8 = says_utf8()};
	struct winsize size;
	const char *plain = getenv("NO_COLOR"), *kind = getenv("TERM");
	if (!isatty(fileno(out)))
		return screen;
	screen.colour = (plain == NULL || *plain == '\0') && kind != NULL && strcmp(kind, "dumb") != 0;
	if (ioctl(fileno(out), TIOCGWINSZ, &size) == 0)
		screen.columns = size.ws_col;
	return screen;
}

/* The character that `s` begins with and its length; -1: a byte that is not UTF-8. */
static int32_t next_of(struct span s, size_t *len)
{
	*len = emit_utf8_length(s);
	if (*len == 0) {
		*len = 1;
		return -1;
	}
	int32_t c = *len == 1 ? s.ptr[0] : s.ptr[0] & (0x7f >> *len);
	for (size_t i = 1; i < *len; i++)
		c = c << 6 | (s.ptr[i] & 0x3f);
	return c;
}

/* May a terminal do something else with it than show it? */
static bool is_control(int32_t c)
{
	static const int32_t ranges[][2] = {{0, 0x1f}, {0x7f, 0x9f}, {0xad, 0xad}, {0x61c, 0x61c},
		{0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f}, {0xfeff, 0xfeff}, {0xfff9, 0xfffb},
		{0xe0000, 0xe007f}};
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		if (c >= ranges[i][0] && c <= ranges[i][1])
			return true;
	return false;
}

static unsigned put(FILE *out, const void *bytes, size_t len, unsigned columns)
{
	if (out != NULL)
		fwrite(bytes, 1, len, out);
	return columns;
}

/* As JSON writes a character by its number. */
static unsigned put_escape(FILE *out, int32_t c)
{
	char buf[16];
	uint32_t rest = (uint32_t)c - 0x10000;
	int n = c < 0x10000 ? snprintf(buf, sizeof(buf), "\\u%04x", (unsigned)c)
			    : snprintf(buf, sizeof(buf), "\\u%04x\\u%04x", (unsigned)(0xd800 + (rest >> 10)),
				      (unsigned)(0xdc00 + (rest & 0x3ff)));
	return put(out, buf, (size_t)n, (unsigned)n);
}

unsigned screen_text(const struct screen *screen, struct span text, FILE *out)
{
	unsigned columns = 0;
	for (size_t i = 0, len; i < text.len; i += len) {
		int32_t c = next_of(span_after(text, i), &len);
		char hex[8];
		if (c < 0x20 || c == 0x7f)
			columns += put(out, hex, (size_t)snprintf(hex, sizeof(hex), "\\x%02x", text.ptr[i]), 4);
		else if (is_control(c) || (c > 0x7f && !screen->utf8))
			columns += put_escape(out, c);
		else
			columns +=
				put(out, text.ptr + i, len, c >= 0x1100 ? 2 : 1); /* East Asian ones are wide */
	}
	return columns;
}

void screen_json_again(const struct screen *screen, struct span text, FILE *out)
{
	for (size_t i = 0, len; i < text.len; i += len) {
		int32_t c = next_of(span_after(text, i), &len);
		if (c < 0 || is_control(c) || (c > 0x7f && !screen->utf8))
			put_escape(out, c < 0 ? text.ptr[i] : c);
		else
			put(out, text.ptr + i, len, 0);
	}
}

void screen_json(const struct screen *screen, struct span text, FILE *out)
{
	size_t done = 0;
	putc('"', out);
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] != '"' && text.ptr[i] != '\\')
			continue;
		screen_json_again(screen, span_part(text, done, i - done), out);
		putc('\\', out);
		done = i;
	}
	screen_json_again(screen, span_after(text, done), out);
	putc('"', out);
}

void screen_paint(const struct screen *screen, enum paint paint, FILE *out)
{
	static const char *const codes[] = {[PAINT_NONE] = "0",
		[PAINT_DIM] = "2",
		[PAINT_BOLD] = "1",
		[PAINT_GOOD] = "32",
		[PAINT_WARN] = "33",
		[PAINT_BAD] = "1;31",
		[PAINT_ASK] = "36"};
	if (screen->colour)
		fprintf(out, "\033[%sm", codes[paint]);
}
