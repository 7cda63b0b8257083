/* log: see log.h. The level and the kind of sink are the only state. */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

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

void log_line(enum log_level level, const char *format, ...)
{
	static const char *const names[] = {"error", "warning", "notice", "info", "debug"};
	static const int numbers[] = {3, 4, 5, 6, 7};
	if (!log_wants(level))
		return;
	char line[1400];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (journal) {
		fprintf(stderr, "<%d>%s\n", numbers[level], line);
		return;
	}
	char when[32];
	struct timespec now;
	struct tm tm;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	fprintf(stderr, "%s.%03ldZ %s: %s\n", when, now.tv_nsec / 1000000, names[level], line);
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
