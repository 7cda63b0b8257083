// SPDX-License-Identifier: MIT
/* jt808_options: what can be set for JT/T 808 units: [jt808] in the configuration.
 * Uses: codecs.
 * Not: know who sets it. */
#ifndef T2M_JT808_OPTIONS_H
#define T2M_JT808_OPTIONS_H

#include "codecs/option.h"

#define JT808_UTC_OFFSET_HOURS 8 /* of a unit's times, says the standard */

/* What a unit that registers is told. */
enum jt808_register { JT808_REGISTER_ACCEPT = 0, JT808_REGISTER_REJECT };

/* codec_unit.options of a JT/T 808 unit. */
struct jt808_options {
	int64_t registration; /* enum jt808_register */
	int64_t timezone;     /* of the times that units send, in seconds east of Greenwich */
	char *auth_code;      /* "": the unit's ident */
};

extern const struct option_row jt808_option_rows[];

#endif
