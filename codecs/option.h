// SPDX-License-Identifier: MIT
/* option: what a user can set, as a row of a table. The bridge has such rows, and each codec brings its own.
 * Uses: nothing else.
 * Not: read a text, know who reads the rows. */
#ifndef T2M_OPTION_H
#define T2M_OPTION_H

#include <stddef.h>
#include <stdint.h>

/* What stands in the struct at `offset`, and what a user may write. */
enum option_type {
	OPTION_TEXT = 0, /* char *, as all down to PREFIXES; its own memory */
	OPTION_NAME,     /* letters, digits, . _ - */
	OPTION_TOPIC,    /* topic levels without wildcards */
	OPTION_PREFIXES, /* beginnings of topics, comma-separated */
	OPTION_LABEL,    /* char[max + 1]: any text */
	OPTION_LEVEL,    /* char[max + 1]: one topic level that stands for a unit */
	OPTION_BOOLEAN,  /* bool */
	OPTION_INTEGER,  /* int64_t, as all that follow but the lists */
	OPTION_DURATION, /* in ms */
	OPTION_SIZE,     /* in bytes */
	OPTION_CHOICE,   /* the place of the word in `choices` */
	OPTION_TIMEZONE, /* in seconds east of Greenwich; OPTION_NO_TIMEZONE for the word in `choices`, when it has one */
	OPTION_ENDPOINTS,      /* struct endpoints */
	OPTION_SOME_ENDPOINTS, /* the same: no, yes, or a list */
	OPTION_NETWORKS,       /* struct networks */
	OPTION_MOVED,          /* nothing: it is set under another name, which is the standard: "section.key" */
};

enum {
	OPTION_SECRET = 1,    /* its value is never shown */
	OPTION_RELOAD = 2,    /* changed by a reload; never a char * */
	OPTION_NOT_EMPTY = 4, /* a text: 1 character at least */
	OPTION_DIRECTORY =
		8, /* one that is made when it is missing; the default is another one for users who may not write it */
	OPTION_PER_UNIT = 16, /* a codec's: the units file may give it to a unit under the same key */
	OPTION_ANSWERS =
		32, /* a codec's, PER_UNIT: how the bridge answers. Who has its own there is answered by the bridge also
			       * when its frames are relayed and the platform answers all others. */
	OPTION_HOST = 64,     /* a text: a name or address, without a scheme or port */
	OPTION_FILE = 128,    /* a text: a file that must be there to be read; empty: none */
	OPTION_PRIVATE = 256, /* such a file that nobody else should read */
};

/* The value of an OPTION_TIMEZONE that names no time zone. */
#define OPTION_NO_TIMEZONE INT64_MIN

struct option_row {
	const char *key; /* NULL: the end of the table */
	enum option_type type;
	unsigned flags;
	size_t offset;              /* of the value in the struct of its owner */
	const char *standard;       /* the default, as a user would write it */
	int64_t min, max;           /* INTEGER, DURATION (ms), SIZE (bytes); texts: longest */
	const char *const *choices; /* CHOICE: the words; ends with NULL. TIMEZONE: one, or NULL */
	const char *help;
};

#endif
