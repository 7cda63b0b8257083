// SPDX-License-Identifier: MIT
/* h02_options: the table of what can be set for H02 units.
 * Not: know who sets it. */
#include "codecs/h02/h02_options.h"

static const char *const acks[] = {
	[H02_ACK_AUTO] = "auto",
	[H02_ACK_V4] = "v4",
	[H02_ACK_R12] = "r12",
	[H02_ACK_OFF] = "off",
	NULL,
};

const struct option_row h02_option_rows[] = {
	{"ack", OPTION_CHOICE, OPTION_RELOAD | OPTION_PER_UNIT | OPTION_ANSWERS,
		offsetof(struct h02_options, ack), "auto", 0, 0, acks,
		"How H02 units are acknowledged: by message type, always V4, always R12, or not at all."},
	{"timezone", OPTION_TIMEZONE, OPTION_RELOAD | OPTION_PER_UNIT, offsetof(struct h02_options, timezone),
		"+00:00", 0, 0, NULL,
		"Time zone of the times that H02 units send; the makers' documents say UTC, but some units "
		"send "
		"their local time."},
	{.key = NULL},
};
