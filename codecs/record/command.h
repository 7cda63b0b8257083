// SPDX-License-Identifier: MIT
/* command: what may be asked of a unit, and what it answers.
 * Uses: nothing else.
 * Not: know any protocol, allocate.
 *
 * A command is either a text, sent to the unit as it is, or a named one: a row of its codec's table with arguments. A name means
 * the same in every protocol. */
#ifndef T2M_COMMAND_H
#define T2M_COMMAND_H

#include "codecs/record/bytes.h"
#include "codecs/record/telemetry.h"

#define COMMAND_ARGS_MAX 8

struct command_arg {
	struct param param;   /* PARAM_INTEGER or PARAM_TEXT */
	const char *standard; /* the value when the user gives none; NULL: he must */
	const char *example;  /* of a text, for people; NULL for numbers */
};

/* Rows of a table of arguments. `min` and `max` of a text are its lengths in bytes. */
/* Versions of clang-format differ on braces in macros. */
/* clang-format off */
#define COMMAND_NUMBER(key, min, max, unit, help, standard)                                                    \
	{                                                                                                      \
		{key, PARAM_INTEGER, 0, min, max, unit, help}, standard, NULL                                  \
	}
#define COMMAND_TEXT(key, min, max, help, standard, example)                                                   \
	{                                                                                                      \
		{key, PARAM_TEXT, 0, min, max, "", help}, standard, example                                    \
	}
/* clang-format on */

struct command_spec {
	const char *name; /* engine.stop */
	const char *help; /* for people */
	uint16_t message; /* the message id to send, in protocols that have such; else 0 */
	const char *
		pattern; /* what to send, in the codec's own language: see its …_command.c. {name} stands for an argument */
	struct command_arg args[COMMAND_ARGS_MAX]; /* up to the first without a key */
};

/* The value of one argument: the number or the text, as its row says. */
struct command_value {
	bool given; /* by the user, or set by command_complete */
	int64_t number;
	struct span text;
};

struct command {
	struct span text;                              /* of a text command: command_check_text allows it */
	const struct command_spec *spec;               /* the row of a named command; NULL: it is a text */
	struct command_value values[COMMAND_ARGS_MAX]; /* of a named one, in the order of its row */
};

#define COMMAND_WORD_MAX 16
#define COMMAND_TIME_MAX 14

/* What ties a command to its reply: as much of this as the protocol has. */
struct command_token {
	char word[COMMAND_WORD_MAX + 1]; /* the command's word or message id, cut at COMMAND_WORD_MAX; or "" */
	char time[COMMAND_TIME_MAX + 1]; /* the time that the command carries and the reply repeats, or "" */
	int32_t serial;                  /* the serial number of the command, or -1 */
	bool report; /* of a command: a report that it brings about answers it; of a reply: it is such a report */
	bool any_serial; /* of a reply: with the serial number of no command it may answer any, as if it had none */
};

struct command_reply {
	struct command_token token;
	struct span result; /* what the unit says: ok, or its own words; may be empty */
	struct span frame;  /* the whole frame of the reply */
	bool receipt;       /* the unit has the command, and the answer proper may still come */
};

/* The characters that a codec keeps for itself; see struct codec. */
struct command_marks {
	const char *frame; /* these delimit frames: no text and no value may have them */
	const char *field; /* these delimit the fields of a text: no value may have them */
	const char *
		end; /* each of these ends a text: it may only be its last character, and no value may have it; NULL: none */
};

/* May this text, of at most `max` bytes, be sent as a command? NULL: yes. Else why not, as a sentence for the user, which may be in
 * `why`. `marks` NULL: the unit's protocol is not known yet. */
const char *command_check_text(
	struct span text, size_t max, const struct command_marks *marks, char *why, size_t size);

/* NULL when the table has no such command. */
const struct command_spec *command_find(const struct command_spec *table, struct span name);

/* Does the argument allow this value? NULL: yes. Else why not, as a part of a sentence, which may be in `why`. */
const char *command_check_value(const struct command_arg *arg, const struct command_value *value,
	const struct command_marks *marks, char *why, size_t size);

/* Sets the standard values of the arguments of a named command that were not given. NULL, or the name of one that has none. */
const char *command_complete(struct command *command);

/* Writes a JSON request for the command, with every argument that must be given: a text as its example, a number as its least value. */
void command_example(const struct command_spec *spec, struct writer *out);

/* The value of the argument with this name, and its row; NULL: the command has no such argument. For patterns. */
const struct command_value *command_value(
	const struct command *command, struct span name, const struct command_arg **arg);

/* Does the reply answer this command? 2: surely (serial number or time agree), 1: it may, 0: no. A reply with the time or serial number
 * of another command never does, unless its serial number may be any. */
int command_matches(const struct command_token *command, const struct command_token *reply);

#endif
