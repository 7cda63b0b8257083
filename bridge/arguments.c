// SPDX-License-Identifier: MIT
/* arguments: see arguments.h. */
#include "bridge/arguments.h"

#include "bridge/base/stats.h"
#include "bridge/base/version.h"
#include "bridge/settings/config.h"
#include "codecs/codec.h"
#include "codecs/record/telemetry.h"

#include <getopt.h>
#include <unistd.h>

static void print_help(FILE *out)
{
	fprintf(out, "tracker2mqtt " T2M_VERSION ": GPS trackers (");
	for (const struct codec *const *c = codecs; *c != NULL; c++)
		fprintf(out, "%s%s", c == codecs ? "" : ", ", (*c)->label);
	fprintf(out, ") to an MQTT broker and back\n\n"
		     "usage: tracker2mqtt [-c FILE]       run in the foreground, log on stderr\n"
		     "       tracker2mqtt -t [-c FILE]    check the configuration\n\n"
		     "  -c, --config FILE      configuration; default " CONFIG_DEFAULT_FILE ",\n"
		     "                         built-in defaults where that is missing\n"
		     "  -t, --test             check the configuration and exit: 0 fine, 1 faults\n"
		     "      --print-config     print the complete sample configuration\n"
		     "      --print-parameters print the parameters of the records\n"
		     "      --print-commands   print the named commands of each protocol\n"
		     "      --print-counters   print the counters of the stats topic and what each counts\n"
		     "      --outbox-status    count, bytes and the oldest message of the outbox, and what was "
		     "set aside, also while "
		     "it is in use\n"
		     "      --units            what is known of each unit: protocol, last heard, on line or "
		     "not; also "
		     "while it is in use\n"
		     "      --forget IDENT     forget a unit and clear its retained topics: the bridge does "
		     "it, now or "
		     "when it starts\n"
		     "      --outbox-aside     move the outbox aside; nothing is deleted\n"
		     "  -h, --help             this text\n"
		     "  -V, --version          version\n\n"
		     "Options of the configuration, [section] key (default):\n");
	char own[OPTION_STANDARD_MAX], text[OPTION_HELP_MAX];
	for (struct option_at at = {0}; option_next(&at);)
		if (at.row->type != OPTION_MOVED)
			fprintf(out, "  [%s] %s (%s)\n      %s\n", at.section, at.row->key,
				option_standard(at.row, own), option_help(at.row, text));
	fprintf(out, "\nEach may be given in the environment as TRACKER2MQTT_<SECTION>_<KEY>.\n"
		     "Exit codes: 0 fine, 1 configuration or usage, 2 could not start.\n");
}

static void print_parameters(void)
{
	printf("%-40s %-15s %-6s %s\n", "parameter", "type", "unit", "meaning");
	for (size_t i = 0; i < TM_FIELD_COUNT; i++) {
		const struct param *p = &telemetry_params[i];
		printf("%-40s %-15s %-6s %s\n", p->key, param_type_names[p->type], p->unit, p->help);
	}
}

static void print_argument(const struct command_arg *arg)
{
	const struct param *p = &arg->param;
	bool number = p->type == PARAM_INTEGER;
	printf("    %-12s %s %lld to %lld%s%s%s; %s%s%s\n", p->key, number ? "number" : "text of length",
		(long long)p->min, (long long)p->max, *p->unit ? " " : "", p->unit, number ? "" : " characters",
		p->help, arg->standard ? "; default: " : "",
		arg->standard ? (*arg->standard ? arg->standard : "none") : "");
}

/* A request with every argument that must be given. */
static void print_example(const struct command_spec *s)
{
	char buf[600];
	struct writer w = writer_of(buf, sizeof(buf));
	command_example(s, &w);
	printf("    %.*s\n", (int)w.len, buf);
}

static void print_commands(void)
{
	for (const struct codec *const *c = codecs; *c != NULL; c++) {
		printf("%s: %s\n", (*c)->name, (*c)->title);
		for (const struct command_spec *s = (*c)->commands; s->name != NULL; s++) {
			printf("  %-22s %s\n", s->name, s->help);
			for (size_t i = 0; i < COMMAND_ARGS_MAX && s->args[i].param.key != NULL; i++)
				print_argument(&s->args[i]);
			print_example(s);
		}
	}
}

enum {
	PRINT_CONFIG = 256,
	PRINT_PARAMETERS,
	PRINT_COMMANDS,
	PRINT_COUNTERS,
	OUTBOX_STATUS,
	OUTBOX_ASIDE,
	UNITS,
	FORGET
};

/* What is printed and done with. False: it is something else. */
static bool print(int option)
{
	switch (option) {
	case PRINT_CONFIG:
		options_print(stdout);
		return true;
	case PRINT_PARAMETERS:
		print_parameters();
		return true;
	case PRINT_COMMANDS:
		print_commands();
		return true;
	case PRINT_COUNTERS:
		stats_print(stdout);
		return true;
	case 'h':
		print_help(stdout);
		return true;
	case 'V':
		version_print("tracker2mqtt");
		return true;
	default:
		return false;
	}
}

/* What is left for main. False: there is no such option. */
static bool take(int option, struct arguments *out)
{
	out->test |= option == 't';
	out->outbox_status |= option == OUTBOX_STATUS;
	out->outbox_aside |= option == OUTBOX_ASIDE;
	out->units |= option == UNITS;
	if (option == 'c')
		out->path = optarg;
	if (option == FORGET)
		out->forget = optarg;
	return option != '?';
}

int arguments_read(int argc, char **argv, struct arguments *out)
{
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'},
		{"test", no_argument, NULL, 't'},
		{"print-config", no_argument, NULL, PRINT_CONFIG},
		{"print-parameters", no_argument, NULL, PRINT_PARAMETERS},
		{"print-commands", no_argument, NULL, PRINT_COMMANDS},
		{"print-counters", no_argument, NULL, PRINT_COUNTERS},
		{"outbox-status", no_argument, NULL, OUTBOX_STATUS},
		{"outbox-aside", no_argument, NULL, OUTBOX_ASIDE},
		{"outbox-reset", no_argument, NULL, OUTBOX_ASIDE}, /* its name before */
		{"units", no_argument, NULL, UNITS},
		{"forget", required_argument, NULL, FORGET},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	*out = (struct arguments){0};
	for (int c; (c = getopt_long(argc, argv, "c:thV", longs, NULL)) != -1;) {
		if (print(c))
			return 0;
		if (!take(c, out)) {
			fprintf(stderr, "try tracker2mqtt --help\n");
			return 1;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "tracker2mqtt: unexpected argument %s; try --help\n", argv[optind]);
		return 1;
	}
	if (out->path == NULL && access(CONFIG_DEFAULT_FILE, F_OK) == 0)
		out->path = CONFIG_DEFAULT_FILE;
	return -1;
}
