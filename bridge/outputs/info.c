// SPDX-License-Identifier: MIT
/* info: see info.h. The tables are those from which records and commands are made: a form or a label never differs from the code. */
#include "bridge/outputs/info.h"

#include "codecs/codec.h"

static void emit_argument(struct emitter *e, const struct command_arg *arg)
{
	const struct param *p = &arg->param;
	emit_map(e, 6u + (arg->standard != NULL ? 1u : 0u) + (arg->example != NULL ? 1u : 0u));
	emit_pair_text(e, "name", span_text(p->key));
	emit_pair_text(e, "type", span_text(param_type_names[p->type]));
	emit_pair_integer(e, "min", p->min);
	emit_pair_integer(e, "max", p->max);
	emit_pair_text(e, "unit", span_text(p->unit));
	emit_pair_text(e, "help", span_text(p->help));
	if (arg->standard != NULL)
		emit_pair_text(e, "default", span_text(arg->standard));
	if (arg->example != NULL)
		emit_pair_text(e, "example", span_text(arg->example));
	emit_end(e);
}

static void emit_command(struct emitter *e, const struct command_spec *s)
{
	unsigned n = 0;
	while (n < COMMAND_ARGS_MAX && s->args[n].param.key != NULL)
		n++;
	emit_map(e, 3);
	emit_pair_text(e, "name", span_text(s->name));
	emit_pair_text(e, "help", span_text(s->help));
	emit_key(e, "args");
	emit_array(e, n);
	for (unsigned i = 0; i < n; i++)
		emit_argument(e, &s->args[i]);
	emit_end(e);
	emit_end(e);
}

static void emit_protocol(struct emitter *e, const struct codec *c)
{
	unsigned n = 0;
	while (c->commands[n].name != NULL)
		n++;
	emit_map(e, 4);
	emit_pair_text(e, "name", span_text(c->name));
	emit_pair_text(e, "title", span_text(c->title));
	emit_pair_integer(e, "text.max", (int64_t)c->max_command);
	emit_key(e, "commands");
	emit_array(e, n);
	for (unsigned i = 0; i < n; i++)
		emit_command(e, &c->commands[i]);
	emit_end(e);
	emit_end(e);
}

static void emit_parameters(struct emitter *e)
{
	emit_array(e, TM_FIELD_COUNT);
	for (const struct param *p = telemetry_params; p < telemetry_params + TM_FIELD_COUNT; p++) {
		emit_map(e, 4);
		emit_pair_text(e, "name", span_text(p->key));
		emit_pair_text(e, "type", span_text(param_type_names[p->type]));
		emit_pair_text(e, "unit", span_text(p->unit));
		emit_pair_text(e, "help", span_text(p->help));
		emit_end(e);
	}
	emit_end(e);
}

static void emit_info(const struct config *c, struct emitter *e)
{
	unsigned n = 0;
	while (codecs[n] != NULL)
		n++;
	emit_map(e, 9);
	emit_pair_text(e, "version", span_text(T2M_VERSION));
	emit_pair_text(e, "instance", span_text(c->publish.instance));
	emit_pair_text(e, "format", span_text(c->publish.format == PUBLISH_JSON ? "json" : "msgpack"));
	emit_key(e, "raw");
	emit_boolean(e, c->publish.raw == PUBLISH_RAW_YES);
	emit_pair_text(e, "raw.mode", span_text(config_raw_words[c->publish.raw]));
	emit_key(e, "commands");
	emit_boolean(e, c->commands.enabled);
	emit_pair_text(
		e, "units.unknown", span_text(c->units.unknown == UNITS_UNKNOWN_ACCEPT ? "accept" : "reject"));
	emit_key(e, "protocols");
	emit_array(e, n);
	for (unsigned i = 0; i < n; i++)
		emit_protocol(e, codecs[i]);
	emit_end(e);
	emit_key(e, "parameters");
	emit_parameters(e);
	emit_end(e);
}

void info_write(const struct config *c, struct writer *out)
{
	struct emitter e = emitter_of(&emit_json, out);
	emit_info(c, &e);
}
