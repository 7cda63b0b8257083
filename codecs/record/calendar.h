// SPDX-License-Identifier: MIT
/* calendar: dates to Unix time and back, UTC, without the C library's clock or time zone.
 * Uses: nothing else.
 * Not: ask the time. */
#ifndef T2M_CALENDAR_H
#define T2M_CALENDAR_H

#include <stdbool.h>
#include <stdint.h>

struct calendar {
	int year, month, day, hour, minute, second; /* the year with its century, month and day from 1 */
};

/* Days from 1970-01-01 to this date. */
static inline int64_t calendar_days(int year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = y / 400;
	int64_t yoe = y - era * 400;
	int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
	return era * 146097 + doe - 719468;
}

/* From 1970 on, for the next 10,000,000 years. */
static inline struct calendar calendar_of(int64_t unix_s)
{
	uint32_t days = (uint32_t)((uint64_t)unix_s / 86400), rest = (uint32_t)((uint64_t)unix_s % 86400);
	uint32_t z = days + 719468;
	uint32_t era = z / 146097;
	uint32_t doe = z - era * 146097;
	uint32_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	uint32_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	uint32_t mp = (5 * doy + 2) / 153;
	uint32_t month = mp < 10 ? mp + 3 : mp - 9;
	return (struct calendar){
		.year = (int)(yoe + era * 400 + (month <= 2)),
		.month = (int)month,
		.day = (int)(doy - (153 * mp + 2) / 5 + 1),
		.hour = (int)(rest / 3600),
		.minute = (int)(rest / 60 % 60),
		.second = (int)(rest % 60),
	};
}

/* Sets Unix seconds. false: there is no such date or time, or the year is not 2000 to 2079: units then have no time yet. */
static inline bool calendar_unix(const struct calendar *c, int64_t *unix_s)
{
	if (c->year < 2000 || c->year > 2079 || c->month < 1 || c->month > 12 || c->day < 1 || c->day > 31)
		return false;
	if (c->hour > 23 || c->minute > 59 || c->second > 59)
		return false;
	static const uint8_t last[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = c->year % 4 == 0; /* 2000 was one; other centuries are out of range */
	if (c->day > last[c->month - 1] || (c->month == 2 && c->day == 29 && !leap))
		return false;
	int64_t days = calendar_days(c->year, c->month, c->day);
	*unix_s = days * 86400 + c->hour * 3600 + c->minute * 60 + c->second;
	return true;
}

#endif
