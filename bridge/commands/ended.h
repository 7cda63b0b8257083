// SPDX-License-Identifier: MIT
/* ended: the tokens of commands that have ended lately: an answer that comes late belongs to them, and to no command that waits.
 * Uses: codecs.
 * Not: know requests, units, the clock. */
#ifndef T2M_ENDED_H
#define T2M_ENDED_H

#include "codecs/codec.h"

#define ENDED_MOST 1024 /* of all units together; the oldest is forgotten first */

struct ended_one {
	char ident[CODEC_IDENT_MAX + 1]; /* "": none */
	struct command_token token;
};

/* All zero: none. */
struct ended {
	struct ended_one one[ENDED_MOST];
	unsigned next;
};

/* A command with this token was sent to the unit, and has ended. Without time and serial number nothing is to be noted. */
void ended_note(struct ended *all, const char *ident, const struct command_token *token);
/* Does the reply carry the time or the serial number of a command of this unit that has ended? */
bool ended_has(const struct ended *all, const char *ident, const struct command_token *reply);

#endif
