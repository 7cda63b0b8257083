// SPDX-License-Identifier: MIT
/* origin: where an option was set, so that each fault names the place to change.
 * Uses: nothing else.
 * Not: judge a value. */
#ifndef T2M_ORIGIN_H
#define T2M_ORIGIN_H

#include <stdbool.h>

struct config;

/* Of one option. All zero: it was not set, the default counts. */
struct origin {
	unsigned line; /* of the file; 0: it does not set it */
	bool by_environment, by_old_name;
	const char *section, *key; /* as they were given there; they live as long as the tables */
};

/* A text that stands in a line for people. */
struct origin_text {
	char text[600];
};

/* The place of the first of these options that was set: FILE:LINE, environment:VARIABLE, or the file alone when none was. `names`:
 * "section.key" each, with blanks between them. */
struct origin_text origin_where(const struct config *config, const char *names);
/* An option with its place, for a sentence: "[mqtt] username (line 3)", "[mqtt] username (environment)", "[mqtt] username (not
 * set)". */
struct origin_text origin_named(const struct config *config, const char *name);
/* Was it set by the file or by the environment? */
bool origin_is_set(const struct config *config, const char *name);

#define ENVIRONMENT_HEAD "TRACKER2MQTT_"
/* TRACKER2MQTT_<SECTION>_<KEY> */
struct origin_text origin_variable(const char *section, const char *key);

#endif
