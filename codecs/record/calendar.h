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

/* From 1970 on, for the next 10,000,000 years. Cassio Neri and Lorenz Schneider, "Euclidean affine functions and their application to
 * calendar algorithms": the years begin in March; 2939745 / 2^32 stands for 4 / 1461 and 2141 / 2^16 for 5 / 153. */
static inline struct calendar calendar_of(int64_t unix_s)
{
	uint32_t days = (uint32_t)((uint64_t)unix_s / 86400), rest = (uint32_t)((uint64_t)unix_s % 86400);
	uint32_t quarters = 4 * (days + 719468) + 3; /* of days, from the year 0 on */
	uint32_t century = quarters / 146097;
	uint64_t years = UINT64_C(2939745) * (quarters % 146097 | 3);
	uint32_t day = (uint32_t)years / 2939745 / 4; /* of the year, from 0 */
	uint32_t month = 2141 * day + 197913;
	bool next = day >= 306; /* January and February are of the next year */
	return (struct calendar){
		.year = (int)(100 * century + (uint32_t)(years >> 32) + next),
		.month = (int)((month >> 16) - (next ? 12 : 0)),
		.day = (int)((month & 0xffff) / 2141 + 1),
		.hour = (int)(rest / 3600),
		.minute = (int)(rest / 60 % 60),
		.second = (int)(rest % 60),
	};
}

/* Sets Unix seconds. false: there is no such date or time, or the year is not 2000 to 2079: units then have no time yet. */
static inline bool calendar_unix(const struct calendar *c, int64_t *unix_s)
{
	static const uint16_t before[] = {
		0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365}; /* days */
	uint32_t year = (uint32_t)c->year - 2000, month = (uint32_t)c->month - 1, day = (uint32_t)c->day - 1;
	uint32_t hour = (uint32_t)c->hour, minute = (uint32_t)c->minute, second = (uint32_t)c->second;
	if (year > 79 || month > 11 || hour > 23 || minute > 59 || second > 59)
		return false;
	uint32_t leap = year % 4 == 0; /* 2000 was one; other centuries are out of range */
	if (day >= before[month + 1] - before[month] + (month == 1 ? leap : 0))
		return false;
	uint32_t days = 10957 + 365 * year + (year + 3) / 4 + before[month] + (month > 1 ? leap : 0) + day;
	*unix_s = (int64_t)days * 86400 + hour * 3600 + minute * 60 + second;
	return true;
}

#endif
