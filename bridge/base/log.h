/* log: lines on stderr.
 * May use: the C library, the UTF-8 check of emit. May not: know any part of the bridge.
 *
 * Each line has one of the levels below; under journald (JOURNAL_STREAM) it carries systemd's <N>. Whatever a text in it
 * holds, a line stays one line: control characters, line and paragraph separators, marks that turn the direction of
 * writing, and bytes that are no UTF-8 stand as \xNN. Nobody outside can write a line that begins like one of ours. */
#ifndef T2M_LOG_H
#define T2M_LOG_H

#include "codecs/record/bytes.h"

#include <stdio.h>

enum log_level { LOG_LEVEL_ERROR = 0, LOG_LEVEL_WARNING, LOG_LEVEL_NOTICE, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_open(enum log_level level);
bool log_wants(enum log_level level);
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...) log_line(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* One line without level and time, escaped in the same way: a fault in a file that somebody has written. */
void log_fault(FILE *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

struct log_bytes {
	char text[200];
};
/* The bytes with everything but printable ASCII as \xNN, cut with ... when long. */
struct log_bytes log_bytes(struct span bytes);

/* A kind of line that somebody outside can cause as often as he likes. All zero at first. */
struct log_limit {
	int64_t since_ms; /* of the minute at hand; 0: no line yet */
	unsigned lines;   /* in it */
	uint64_t more;    /* left out in it */
	uint64_t rest;    /* left out before it, and not yet told */
};
/* May one more be written? At most `most` a minute; what is left out is counted. `now_ms`: a clock that never jumps. */
bool log_limit_take(struct log_limit *limit, unsigned most, int64_t now_ms);
/* How many were left out until the last full minute, to be told in one line; then they count as told. */
uint64_t log_limit_rest(struct log_limit *limit, int64_t now_ms);

#endif
