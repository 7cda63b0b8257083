// SPDX-License-Identifier: MIT
/* command: checking and matching; see command.h. */
#include "codecs/record/command.h"

static bool is_one_of(uint8_t c, const char *marks)
{
	return marks != NULL && strchr(marks, c) != NULL; /* c is never NUL */
}

static const char *say_end(uint8_t c, char *why, size_t size)
{
	struct writer w = writer_of((uint8_t *)why, size - 1);
	writer_text(&w, "the character ");
	writer_u8(&w, c);
	writer_text(&w, " ends a command in this protocol and is only allowed as its last one");
	why[w.len] = '\0';
	return why;
}

const char *command_check_text(
	struct span text, size_t max, const struct command_marks *marks, char *why, size_t size)
{
	if (text.len == 0)
		return "empty command; send what stands between *XX,<ident>, and #, for example S32,000000,1";
	if (text.len > max)
		return "command too long for this protocol";
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];
		if (c < 0x20 || c == 0x7f)
			return "control characters are not allowed in a command";
		if (c > 0x7f)
			return "only ASCII characters are allowed in a command";
		if (marks != NULL && i + 1 < text.len && is_one_of(c, marks->end))
			return say_end(c, why, size);
		if (marks == NULL || !is_one_of(c, marks->frame))
			continue;
		struct writer w = writer_of((uint8_t *)why, size - 1);
		writer_text(&w, "the characters");
		for (const char *m = marks->frame; *m != '\0'; m++) {
			writer_u8(&w, ' ');
			writer_u8(&w, (uint8_t)*m);
		}
		writer_text(&w, " delimit frames in this protocol and are not allowed in a command");
		why[w.len] = '\0';
		return why;
	}
	return NULL;
}

const struct command_spec *command_find(const struct command_spec *table, struct span name)
{
	for (const struct command_spec *s = table; s != NULL && s->name != NULL; s++)
		if (span_is(name, s->name))
			return s;
	return NULL;
}

const char *command_check_value(const struct command_arg *arg, const struct command_value *value,
	const struct command_marks *marks, char *why, size_t size)
{
	const struct param *p = &arg->param;
	if (p->type == PARAM_INTEGER)
		return value->number < p->min || value->number > p->max ? "out of range" : NULL;
	if ((int64_t)value->text.len < p->min || (int64_t)value->text.len > p->max)
		return "too short or too long";
	for (size_t i = 0; i < value->text.len; i++)
		if (value->text.ptr[i] < 0x20 || value->text.ptr[i] > 0x7e ||
			is_one_of(value->text.ptr[i], marks->field))
			return *marks->field
				       ? "blanks, commas, control and non-ASCII characters are not allowed"
				       : "control and non-ASCII characters are not allowed";
	for (size_t i = 0; i < value->text.len; i++)
		if (is_one_of(value->text.ptr[i], marks->end))
			return say_end(value->text.ptr[i], why, size);
	return value->text.len > 0 ? command_check_text(value->text, value->text.len, marks, why, size) : NULL;
}

static int64_t parse(const char *text)
{
	int64_t v = 0;
	for (; byte_is_digit((uint8_t)*text); text++)
		v = v * 10 + (*text - '0');
	return v;
}

const char *command_complete(struct command *command)
{
	for (size_t i = 0; i < COMMAND_ARGS_MAX && command->spec->args[i].param.key != NULL; i++) {
		const struct command_arg *arg = &command->spec->args[i];
		struct command_value *value = &command->values[i];
		if (value->given)
			continue;
		if (arg->standard == NULL)
			return arg->param.key;
		value->given = true;
		value->number = parse(arg->standard);
		value->text = span_text(arg->standard);
	}
	return NULL;
}

void command_example(const struct command_spec *spec, struct writer *out)
{
	unsigned given = 0;
	writer_text(out, "{\"command\":\"");
	writer_text(out, spec->name);
	writer_text(out, "\"");
	for (size_t i = 0; i < COMMAND_ARGS_MAX && spec->args[i].param.key != NULL; i++) {
		const struct command_arg *arg = &spec->args[i];
		if (arg->standard != NULL)
			continue;
		writer_text(out, given++ == 0 ? ",\"args\":{\"" : ",\"");
		writer_text(out, arg->param.key);
		writer_text(out, "\":");
		if (arg->param.type == PARAM_INTEGER) {
			writer_decimal(out, (uint64_t)arg->param.min, 1);
		} else {
			writer_text(out, "\"");
			writer_text(out, arg->example);
			writer_text(out, "\"");
		}
	}
	writer_text(out, given > 0 ? "}}" : "}");
}

const struct command_value *command_value(
	const struct command *command, struct span name, const struct command_arg **arg)
{
	for (size_t i = 0; i < COMMAND_ARGS_MAX && command->spec->args[i].param.key != NULL; i++) {
		*arg = &command->spec->args[i];
		if (span_is(name, (*arg)->param.key))
			return &command->values[i];
	}
	return NULL;
}

int command_matches(const struct command_token *command, const struct command_token *reply)
{
	if (command->serial >= 0 && reply->serial >= 0)
		return command->serial == reply->serial ? 2 : reply->any_serial ? 1 : 0;
	if (reply->report && !command->report)
		return 0;
	/* a reply without a word is free text: it can answer a command that carries no time */
	if (strcmp(command->word, reply->word) != 0)
		return reply->word[0] == '\0' && command->time[0] == '\0' ? 1 : 0;
	if (command->time[0] == '\0' || reply->time[0] == '\0')
		return 1;
	return strcmp(command->time, reply->time) == 0 ? 2 : 0;
}
