/* command: what may be asked of a unit, and what it answers.
 * May use: bytes.
 * May not: know any protocol, allocate. */
#ifndef T2M_COMMAND_H
#define T2M_COMMAND_H

#include "bytes.h"

struct command {
	struct span text; /* what stands between `*XX,<ident>,` and `#`; ASCII */
};

#define COMMAND_WORD_MAX 16
#define COMMAND_TIME_MAX 14

/* What ties a command to its reply. */
struct command_token {
	char word[COMMAND_WORD_MAX + 1]; /* command word, cut at COMMAND_WORD_MAX; "" when there is none */
	char time[COMMAND_TIME_MAX + 1]; /* the time that it carries, or "" */
};

struct command_reply {
	struct command_token token;
	struct span result; /* the unit's own words; may be empty */
	struct span frame;  /* the whole frame */
};

/* NULL: may be sent. Else why not, as a sentence for the user. */
const char *command_check(const struct command *command, size_t max);

/* Copies a text into one of the token's arrays, cut at its size. */
void command_token_copy(char *to, size_t size, struct span from);

#endif
