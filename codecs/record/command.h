/* command: what may be asked of a unit, and what it answers.
 * May use: bytes, telemetry (struct param). May not: know any protocol, allocate.
 *
 * A command is either text, sent as it is, or a row of its codec's table with arguments. The same name means the
 * same thing in every protocol. */
#ifndef T2M_COMMAND_H
#define T2M_COMMAND_H

#include "codecs/record/bytes.h"
#include "codecs/record/telemetry.h"

#define COMMAND_ARGS_MAX 8

struct command_arg {
	struct param param;   /* INTEGER, or TEXT with its lengths */
	const char *standard; /* when it is not given; NULL: it must be */
	const char *example;  /* of a text, for people */
};

/* Rows of a table of arguments; `standard` NULL: must be given. */
#define COMMAND_NUMBER(key, min, max, unit, help, standard)                                                    \
	{                                                                                                      \
		{key, PARAM_INTEGER, 0, min, max, unit, help}, standard, NULL                                  \
	}
#define COMMAND_TEXT(key, min, max, help, standard, example)                                                   \
	{                                                                                                      \
		{key, PARAM_TEXT, 0, min, max, "", help}, standard, example                                    \
	}

struct command_spec {
	const char *name; /* engine.stop */
	const char *help;
	/* The codec's own language: see h02_command.c and jt808_command.c. {name} stands for an argument. */
	uint16_t message;
	const char *pattern;
	struct command_arg args[COMMAND_ARGS_MAX]; /* up to the first without a key */
};

struct command_value {
	bool given;
	int64_t number;
	struct span text;
};

struct command {
	struct span text;                /* a text command: ASCII; unused when spec is set */
	const struct command_spec *spec; /* NULL: a text command */
	struct command_value values[COMMAND_ARGS_MAX];
};

#define COMMAND_WORD_MAX 16
#define COMMAND_TIME_MAX 14

/* What ties a command to its reply. */
struct command_token {
	char word[COMMAND_WORD_MAX + 1]; /* command word, cut at COMMAND_WORD_MAX; "" when there is none */
	char time[COMMAND_TIME_MAX + 1]; /* the time that it carries, or "" */
	int32_t serial;                  /* serial number; -1 in protocols without */
};

struct command_reply {
	struct command_token token;
	struct span result; /* the unit's own words; may be empty */
	struct span frame;  /* the whole frame */
};

/* NULL: the text may be sent. Else why not, as a sentence for the user. */
const char *command_check_text(struct span text, size_t max);

/* NULL when the table has no such command. */
const struct command_spec *command_find(const struct command_spec *table, struct span name);

/* Is this a value that the argument allows? NULL or why not. */
const char *command_check_value(const struct command_arg *arg, const struct command_value *value);

/* Fills in the standard values. NULL, or the name of an argument that is missing. */
const char *command_complete(struct command *command);

/* Writes a request for it as JSON, with every argument that must be given. */
void command_example(const struct command_spec *spec, struct writer *out);

/* The value of the argument with this name in the pattern; NULL when there is none. */
const struct command_value *command_value(
	const struct command *command, struct span name, const struct command_arg **arg);

/* Does the reply answer this command? 2: surely, 1: it may, 0: no. */
int command_matches(const struct command_token *command, const struct command_token *reply);

/* Copies a text into one of the token's arrays, cut at its size. */
void command_token_copy(char *to, size_t size, struct span from);

#endif
