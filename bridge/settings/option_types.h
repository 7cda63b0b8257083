// SPDX-License-Identifier: MIT
/* option_types: what the values of options may be: read from text, told in words, kept in the struct of their owner.
 * Uses: bridge/base, codecs, codecs/record.
 * Not: know whose rows they are, read files, start anything.
 *
 * Durations are kept in milliseconds, sizes in bytes. */
#ifndef T2M_OPTION_TYPES_H
#define T2M_OPTION_TYPES_H

#include "bridge/base/address.h"
#include "codecs/option.h"

#define CONFIG_ENDPOINTS_MAX 16

#define CONFIG_NETWORKS_MAX 32

/* durations are kept in milliseconds */
#define CONFIG_SECOND 1000LL
#define CONFIG_HOUR (3600 * CONFIG_SECOND)
#define CONFIG_DAY (24 * CONFIG_HOUR)

struct endpoints {
	unsigned count;
	bool all; /* the word `yes` instead of a list */
	union address item[CONFIG_ENDPOINTS_MAX];
};

struct networks {
	unsigned count;
	struct network item[CONFIG_NETWORKS_MAX];
};

bool endpoints_have(const struct endpoints *list, const union address *a);

/* Sets the value of `row` in `options`, the struct of its owner, from text. false: it is not allowed, or there is no memory.
 * Nothing can be set through a row that has MOVED. */
bool option_parse(const struct option_row *row, const char *text, void *options);
/* The same; then `why` says what is wrong and what is allowed. `key` is what the option is called there. */
bool option_set(
	const struct option_row *row, const char *key, const char *text, void *options, char *why, size_t size);

/* A whole number with a unit (ms s m h d), or 0, in milliseconds. */
bool option_duration(const char *text, int64_t *out);
/* The allowed values in words: "5s to 1h", "always, interval or never". */
void option_allowed(const struct option_row *row, char *buf, size_t size);

/* Is it a char * with memory of its own? */
bool option_is_string(const struct option_row *row);
/* Bytes of the value in its struct. */
size_t option_size(const struct option_row *row);

/* The rows of a table that ends with a NULL key; a table may be NULL. The struct is all zero at first: every value becomes the
 * default. false: no memory, or a default of the table is not allowed. */
bool options_use_standard(const struct option_row *rows, void *options);
/* Gives back what the strings have of memory; `options` itself stays. */
void options_free_strings(const struct option_row *rows, void *options);

#endif
