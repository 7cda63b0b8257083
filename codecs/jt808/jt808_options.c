// SPDX-License-Identifier: MIT
/* jt808_options: the table of what can be set for JT/T 808 units.
 * Not: know who sets it. */
#include "codecs/jt808/jt808_options.h"

#define AT(field) offsetof(struct jt808_options, field)
#define HOURS_EAST(hours) HOURS_EAST_TEXT(hours)
#define HOURS_EAST_TEXT(hours) "+0" #hours ":00"

static const char *const registrations[] = {
	[JT808_REGISTER_ACCEPT] = "accept",
	[JT808_REGISTER_REJECT] = "reject",
	NULL,
};

const struct option_row jt808_option_rows[] = {
	{"registration", OPTION_CHOICE, OPTION_RELOAD, AT(registration), "accept", 0, 0, registrations,
		"What a JT/T 808 unit that registers is told."},
	{"auth_code", OPTION_TEXT, 0, AT(auth_code), "", 0, 60, NULL,
		"Authentication code given at registration; empty: the unit's ident. It is no secret: whoever "
		"registers is told it, and it is not checked when a unit authenticates."},
	{"timezone", OPTION_TIMEZONE, OPTION_RELOAD | OPTION_PER_UNIT, AT(timezone),
		HOURS_EAST(JT808_UTC_OFFSET_HOURS), 0, 0, NULL,
		"Time zone of the times that JT/T 808 units send; the standard says +08:00."},
	{"max_packets", OPTION_MOVED, 0, 0, "limits.parts", 0, 0, NULL, NULL},
	{.key = NULL},
};
