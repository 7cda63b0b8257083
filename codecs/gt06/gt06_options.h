// SPDX-License-Identifier: MIT
/* gt06_options: what can be set for GT06 units: [gt06] in the configuration.
 * Uses: codecs.
 * Not: know who sets it. */
#ifndef T2M_GT06_OPTIONS_H
#define T2M_GT06_OPTIONS_H

#include "codecs/option.h"

/* The language word behind the text of a command; the value is the word. */
enum gt06_language { GT06_LANGUAGE_NONE = 0, GT06_LANGUAGE_CHINESE, GT06_LANGUAGE_ENGLISH };

/* codec_unit.options of a GT06 unit. */
struct gt06_options {
	int64_t timezone; /* of the times that units send, in seconds east of Greenwich; OPTION_NO_TIMEZONE: the login tells */
	int64_t language; /* enum gt06_language */
};

extern const struct option_row gt06_option_rows[];

#endif
