/* log: lines on stderr.
 * May use: the C library. May not: know any part of the bridge.
 *
 * Each line has one of the levels below; under journald (JOURNAL_STREAM) it carries systemd's <N>. Bytes
 * from the wire go through log_bytes first: nothing unprintable ever reaches the log. */
#ifndef T2M_LOG_H
#define T2M_LOG_H

#include "bytes.h"

enum log_level { LOG_LEVEL_ERROR = 0, LOG_LEVEL_WARNING, LOG_LEVEL_NOTICE, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_open(enum log_level level);
bool log_wants(enum log_level level);
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...) log_line(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

struct log_bytes {
	char text[200];
};
/* The bytes with everything unprintable as \xNN, cut with ... when long. */
struct log_bytes log_bytes(struct span bytes);

#endif
