// SPDX-License-Identifier: MIT
/* log: lines on stderr.
 * Uses: codecs/record.
 * Not: know any part of the bridge.
 *
 * Each line has one of the levels below; under journald (JOURNAL_STREAM) it carries systemd's <N>. A line stays one line,
 * whatever text is in it: control characters, line and paragraph separators, marks that change the direction of writing, and
 * bytes that are not UTF-8 are written as \xNN. So nobody outside can write a line that looks like one of the bridge's. Any
 * thread may call log_line. */
#ifndef T2M_LOG_H
#define T2M_LOG_H

#include "codecs/record/bytes.h"

#include <stdio.h>

enum log_level { LOG_LEVEL_ERROR = 0, LOG_LEVEL_WARNING, LOG_LEVEL_NOTICE, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Lines of this level and of more urgent ones are written from now on. */
void log_open(enum log_level level);
/* Is a line of this level written? */
bool log_wants(enum log_level level);
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...) log_line(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* Writes one line without level and time to `out`, escaped in the same way: for a fault in a file that somebody wrote. */
void log_fault(FILE *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

struct log_bytes {
	char text[200];
};
/* The bytes as text: all but printable ASCII is \xNN, and long texts are cut and end with three dots. */
struct log_bytes log_bytes(struct span bytes);

struct log_frame {
	char text[400];
};
/* A frame: as log_bytes, when all of it is printable ASCII and ends of lines; else all of it as hex, to be given to tracker2mqtt-decode. */
struct log_frame log_frame(struct span frame);

/* Limits a kind of line that somebody outside can cause as often as he likes. All zero at first. */
struct log_limit {
	int64_t since_ms; /* when the minute at hand began; 0: no line yet */
	unsigned lines;   /* written in this minute */
	uint64_t more;    /* left out in this minute */
	uint64_t rest;    /* left out in minutes before, and not told yet */
};
/* Takes one line of the `most` that may be written in a minute. False: none is left; this line is to be left out, and is counted.
 * `now_ms`: steady time. */
bool log_limit_take(struct log_limit *limit, unsigned most, int64_t now_ms);
/* Takes the number of lines that were left out until the last full minute, to be told in one line. 0: nothing is to be told. */
uint64_t log_limit_rest(struct log_limit *limit, int64_t now_ms);

#endif
