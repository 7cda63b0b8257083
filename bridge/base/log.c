// SPDX-License-Identifier: MIT
/* log: see log.h. The level and the kind of sink are the only state. */
#include "bridge/base/log.h"

#include "codecs/record/emit.h"

#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#define LINE_MAX_BYTES 1400 /* of a line as it is given */
#define SHOWN_MAX 2400      /* of a line as it is written */
#define MINUTE_MS 60000

static enum log_level wanted = LOG_LEVEL_INFO;
static bool journal;

void log_open(enum log_level level)
{
	wanted = level;
	journal = getenv("JOURNAL_STREAM") != NULL;
}

bool log_wants(enum log_level level)
{
	return level <= wanted;
}

/* --- escaping --- */

/* Does this character of UTF-8, `n` bytes long, neither begin a new line nor change the direction of writing? */
static bool is_harmless(const uint8_t *c, size_t n)
{
	if (n == 1)
		return c[0] >= 0x20 && c[0] != 0x7f;
	if (n == 2)
		return c[0] != 0xc2 || c[1] >= 0xa0; /* U+0080 to U+009F: control characters */
	if (n != 3 || c[0] != 0xe2)
		return n != 0;
	/* U+2028, U+2029: new lines; U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069: directions */
	bool line_or_direction =
		c[1] == 0x80 && (c[2] == 0x8e || c[2] == 0x8f || (c[2] >= 0xa8 && c[2] <= 0xae));
	return !line_or_direction && !(c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9);
}

/* Writes `from` as a part of one line; a long text is cut and ends with three dots. */
static void escape(struct span from, char *to, size_t size)
{
	size_t at = 0;
	for (size_t i = 0; i < from.len;) {
		size_t n = emit_utf8_length(span_after(from, i));
		bool harmless = is_harmless(from.ptr + i, n);
		n = n > 0 ? n : 1;
		if (at + 4 * n + 4 > size) {
			memcpy(to + at, "...", 3);
			at += 3;
			break;
		}
		if (harmless)
			memcpy(to + at, from.ptr + i, n);
		for (size_t k = 0; !harmless && k < n; k++)
			snprintf(to + at + 4 * k, size - at - 4 * k, "\\x%02x", from.ptr[i + k]);
		at += harmless ? n : 4 * n;
		i += n;
	}
	to[at] = '\0';
}

static void write_escaped(char shown[SHOWN_MAX], const char *format, va_list args)
{
	char line[LINE_MAX_BYTES];
	int n = vsnprintf(line, sizeof(line), format, args);
	size_t len = n < 0 ? 0 : (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1;
	escape(span_of(line, len), shown, SHOWN_MAX);
}

/* --- lines --- */

void log_line(enum log_level level, const char *format, ...)
{
	static const char *const names[] = {"error", "warning", "notice", "info", "debug"};
	static const int numbers[] = {3, 4, 5, 6, 7};
	if (!log_wants(level))
		return;
	char shown[SHOWN_MAX];
	va_list args;
	va_start(args, format);
	write_escaped(shown, format, args);
	va_end(args);
	if (journal) {
		fprintf(stderr, "<%d>%s\n", numbers[level], shown);
		return;
	}
	char when[32];
	struct timespec now;
	struct tm tm;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	fprintf(stderr, "%s.%03ldZ %s: %s\n", when, now.tv_nsec / 1000000, names[level], shown);
}

void log_fault(FILE *out, const char *format, ...)
{
	char shown[SHOWN_MAX];
	va_list args;
	va_start(args, format);
	write_escaped(shown, format, args);
	va_end(args);
	fprintf(out, "%s\n", shown);
}

struct log_bytes log_bytes(struct span bytes)
{
	struct log_bytes out;
	size_t n = 0;
	for (size_t i = 0; i < bytes.len; i++) {
		if (n + 9 > sizeof(out.text)) {
			n += (size_t)snprintf(out.text + n, sizeof(out.text) - n, "...");
			break;
		}
		uint8_t c = bytes.ptr[i];
		if (c >= 0x20 && c < 0x7f && c != '\\')
			out.text[n++] = (char)c;
		else
			n += (size_t)snprintf(out.text + n, sizeof(out.text) - n, "\\x%02x", c);
	}
	out.text[n] = '\0';
	return out;
}

static bool is_text(struct span bytes)
{
	for (size_t i = 0; i < bytes.len; i++) {
		uint8_t c = bytes.ptr[i];
		if ((c < 0x20 || c >= 0x7f) && c != '\r' && c != '\n' && c != '\t')
			return false;
	}
	return true;
}

struct log_frame log_frame(struct span frame)
{
	struct log_frame out;
	size_t most = (sizeof(out.text) - 4) / 2;
	bool cut = frame.len > most;
	if (is_text(frame)) {
		memcpy(out.text, log_bytes(frame).text, sizeof(struct log_bytes));
		return out;
	}
	struct writer w = writer_of(out.text, sizeof(out.text) - 1);
	writer_hex(&w, span_part(frame, 0, cut ? most : frame.len));
	writer_text(&w, cut ? "..." : "");
	out.text[w.len] = '\0';
	return out;
}

/* --- how many --- */

/* Begins a new minute when the one at hand is over. */
static void look_at_minute(struct log_limit *limit, int64_t now_ms)
{
	if (limit->since_ms != 0 && now_ms - limit->since_ms < MINUTE_MS)
		return;
	*limit = (struct log_limit){.since_ms = now_ms > 0 ? now_ms : 1, .rest = limit->rest + limit->more};
}

bool log_limit_take(struct log_limit *limit, unsigned most, int64_t now_ms)
{
	look_at_minute(limit, now_ms);
	if (limit->lines < most) {
		limit->lines++;
		return true;
	}
	limit->more++;
	return false;
}

uint64_t log_limit_rest(struct log_limit *limit, int64_t now_ms)
{
	look_at_minute(limit, now_ms);
	uint64_t rest = limit->rest;
	limit->rest = 0;
	return rest;
}
