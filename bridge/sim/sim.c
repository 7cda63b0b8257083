// SPDX-License-Identifier: MIT
/* sim: tracker2mqtt-sim, simulated units: flags, the loop, the summary. See sim_unit.h.
 * Uses: bridge/base. */
#include "bridge/base/version.h"
#include "bridge/sim/sim_unit.h"

#include <getopt.h>
#include <netdb.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#define UNITS_MAX 20000

/* Those that CMake has found: each is an array that ends with a NULL name. */
#define X(name) extern const struct sim_protocol sim_##name[];
SIM_PROTOCOLS
#undef X
#define X(name) sim_##name,
static const struct sim_protocol *const protocols[] = {SIM_PROTOCOLS NULL};
#undef X

static int usage(FILE *out, int rc)
{
	fprintf(out, "tracker2mqtt-sim " T2M_VERSION ": simulated GPS trackers\n\n"
		     "usage: tracker2mqtt-sim [options]\n\n"
		     "  -s, --server HOST:PORT   the bridge (127.0.0.1:8888)\n"
		     "  -n, --units N            units, 1 to 20000 (3)\n"
		     "  -p, --protocol NAME      ");
	for (size_t i = 0; protocols[i] != NULL; i++)
		for (const struct sim_protocol *p = protocols[i]; p->name != NULL; p++)
			fprintf(out, "%s%s", p != protocols[0] ? ", " : "", p->name);
	fprintf(out,
		" (h02)\n"
		"  -t, --transport NAME     tcp or udp (tcp)\n"
		"  -i, --interval SECONDS   between two reports of a unit; 0: as fast as they are acknowledged "
		"(10)\n"
		"      --spread SECONDS     the units start over this time (the interval)\n"
		"  -r, --reports N          reports of each unit; 0: without end (0)\n"
		"  -d, --duration SECONDS   stop after this time; 0: never (0)\n"
		"      --ident NUMBER       id of the first unit, 10 digits (9170000001)\n"
		"      --alarm-every N      each N-th report carries an SOS alarm; 0: none (0)\n"
		"      --position LAT,LON   middle of the route (50.0755,14.4378)\n"
		"      --silent             never answer a command\n"
		"      --ack-timeout S      reconnect and send again when nothing is acknowledged for S (15)\n"
		"      --reconnect S        mean pause before reconnecting (1)\n"
		"      --bind ADDRESS       where the units connect from (any)\n"
		"      --record FILE        write `ident timestamp` of each acknowledged report\n"
		"  -h, --help               this text\n"
		"  -V, --version            version\n\n"
		"Ends by itself when --reports are all acknowledged or the duration is over, and prints what "
		"happened.\n"
		"Exit codes: 0 every report acknowledged, 1 wrong usage, 3 some reports not acknowledged.\n");
	return rc;
}

static bool resolve_from(struct sim *s, const char *address)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST}, *info = NULL;
	if (getaddrinfo(address, "0", &hints, &info) != 0)
		return false;
	memcpy(&s->from, info->ai_addr, info->ai_addrlen);
	s->from_len = info->ai_addrlen;
	freeaddrinfo(info);
	return true;
}

static bool resolve_server(struct sim *s, const char *text)
{
	char host[256];
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	const char *colon = strrchr(text, ':');
	if (colon == NULL || (size_t)(colon - text) >= sizeof(host))
		return false;
	size_t n = (size_t)(colon - text);
	bool brackets = n > 2 && text[0] == '[' && text[n - 1] == ']';
	snprintf(host, sizeof(host), "%.*s", (int)(brackets ? n - 2 : n), brackets ? text + 1 : text);
	return getaddrinfo(host, colon + 1, &hints, &s->servers) == 0;
}

static bool number(const char *text, double min, double max, double *out)
{
	char *end;
	*out = strtod(text, &end);
	return end != text && *end == '\0' && *out >= min && *out <= max;
}

static const struct sim_protocol *find_protocol(const char *name)
{
	for (size_t i = 0; protocols[i] != NULL; i++)
		for (const struct sim_protocol *p = protocols[i]; p->name != NULL; p++)
			if (strcmp(p->name, name) == 0)
				return p;
	return NULL;
}

struct settings {
	uint64_t ident;
	double duration, spread; /* spread: below 0: not given */
	const char *server, *record;
};

enum {
	IDENT = 256,
	ALARM_EVERY,
	POSITION,
	SILENT,
	ACK_TIMEOUT,
	RECONNECT,
	RECORD,
	SPREAD,
	BIND
}; /* without a letter */

/* false: the value is not allowed. */
static bool set(struct sim *s, struct settings *x, int c, const char *v)
{
	double n = 0;
	switch (c) {
	case 's':
		x->server = v;
		return true;
	case 'n':
		s->units = number(v, 1, UNITS_MAX, &n) ? (unsigned)n : 0;
		return s->units > 0;
	case 'p':
		return (s->protocol = find_protocol(v)) != NULL;
	case 't':
		s->udp = strcmp(v, "udp") == 0;
		return s->udp || strcmp(v, "tcp") == 0;
	case 'i':
		return number(v, 0, 86400, &s->interval) && (s->interval == 0 || s->interval >= 0.001);
	case 'r':
		s->reports = number(v, 0, 1e9, &n) ? (uint64_t)n : 0;
		return n >= 0;
	case 'd':
		return number(v, 0, 1e9, &x->duration);
	case IDENT:
		x->ident = strtoull(v, NULL, 10);
		return strlen(v) == 10 && strspn(v, "0123456789") == 10;
	case ALARM_EVERY:
		s->alarm_every = number(v, 0, 1e9, &n) ? (unsigned)n : 0;
		return n >= 0;
	case POSITION:
		return sscanf(v, "%lf,%lf", &s->latitude, &s->longitude) == 2;
	case SILENT:
		s->silent = true;
		return true;
	case ACK_TIMEOUT:
		return number(v, 0.05, 3600, &s->ack_timeout);
	case RECONNECT:
		return number(v, 0.001, 3600, &s->reconnect);
	case RECORD:
		x->record = v;
		return true;
	case SPREAD:
		return number(v, 0, 86400, &x->spread);
	case BIND:
		return resolve_from(s, v);
	}
	return false;
}

static void on_stop(struct ev_loop *loop, ev_signal *signal, int events)
{
	(void)signal;
	(void)events;
	ev_break(loop, EVBREAK_ALL);
}

static void on_end(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)timer;
	(void)events;
	ev_break(loop, EVBREAK_ALL);
}

/* Ten times a second: is all acknowledged? */
static void on_check(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)events;
	struct sim *s = timer->data;
	if (s->reports > 0 && s->counts.acknowledged + s->counts.dropped >= s->reports * s->units)
		ev_break(loop, EVBREAK_ALL);
}

static void run(struct sim *s, const struct settings *x)
{
	ev_signal term, interrupt;
	ev_timer end, check;
	ev_signal_init(&term, on_stop, SIGTERM);
	ev_signal_init(&interrupt, on_stop, SIGINT);
	ev_signal_start(s->loop, &term);
	ev_signal_start(s->loop, &interrupt);
	ev_timer_init(&end, on_end, x->duration, 0.);
	if (x->duration > 0)
		ev_timer_start(s->loop, &end);
	ev_timer_init(&check, on_check, 0.1, 0.1);
	check.data = s;
	ev_timer_start(s->loop, &check);
	for (unsigned i = 0; i < s->units; i++) {
		struct sim_unit *u = &s->unit[i];
		u->sim = s;
		snprintf(u->ident, sizeof(u->ident), "%010llu",
			(unsigned long long)(x->ident + i) % 10000000000ULL);
		sim_unit_start(u, (x->spread >= 0 ? x->spread : s->interval) * i / s->units);
	}
	ev_run(s->loop, 0);
}

/* -1: go on; otherwise what main returns. */
static int read_arguments(int argc, char **argv, struct sim *s, struct settings *x)
{
	static const struct option longs[] = {
		{"server", required_argument, NULL, 's'},
		{"units", required_argument, NULL, 'n'},
		{"protocol", required_argument, NULL, 'p'},
		{"transport", required_argument, NULL, 't'},
		{"interval", required_argument, NULL, 'i'},
		{"reports", required_argument, NULL, 'r'},
		{"duration", required_argument, NULL, 'd'},
		{"ident", required_argument, NULL, IDENT},
		{"alarm-every", required_argument, NULL, ALARM_EVERY},
		{"position", required_argument, NULL, POSITION},
		{"silent", no_argument, NULL, SILENT},
		{"ack-timeout", required_argument, NULL, ACK_TIMEOUT},
		{"reconnect", required_argument, NULL, RECONNECT},
		{"record", required_argument, NULL, RECORD},
		{"spread", required_argument, NULL, SPREAD},
		{"bind", required_argument, NULL, BIND},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	for (int c; (c = getopt_long(argc, argv, "s:n:p:t:i:r:d:hV", longs, NULL)) != -1;) {
		if (c == 'h')
			return usage(stdout, 0);
		if (c == 'V')
			return version_print("tracker2mqtt-sim");
		if (c == '?')
			return usage(stderr, 1);
		if (!set(s, x, c, optarg)) {
			fprintf(stderr, "%s is not allowed there; see --help\n", optarg);
			return 1;
		}
	}
	if (optind < argc || !resolve_server(s, x->server)) {
		fprintf(stderr, "server %s is not HOST:PORT, or unknown\n",
			optind < argc ? argv[optind] : x->server);
		return 1;
	}
	return -1;
}

static void allow_files(rlim_t count)
{
	struct rlimit files = {count, count}, old;
	if (getrlimit(RLIMIT_NOFILE, &old) != 0 || old.rlim_cur >= count)
		return;
	files.rlim_max = old.rlim_max > count ? old.rlim_max : count;
	setrlimit(RLIMIT_NOFILE, &files);
}

static void print_summary(const struct sim *s, uint64_t pending)
{
	printf("units %u made %llu sent %llu acknowledged %llu pending %llu dropped %llu commands %llu "
	       "answered %llu "
	       "connects %llu lost %llu\n",
		s->units, (unsigned long long)s->counts.made, (unsigned long long)s->counts.sent,
		(unsigned long long)s->counts.acknowledged, (unsigned long long)pending,
		(unsigned long long)s->counts.dropped, (unsigned long long)s->counts.commands,
		(unsigned long long)s->counts.answered, (unsigned long long)s->counts.connects,
		(unsigned long long)s->counts.lost);
}

int main(int argc, char **argv)
{
	struct sim s = {.units = 3,
		.protocol = find_protocol("h02"),
		.interval = 10,
		.reconnect = 1,
		.ack_timeout = 15,
		.latitude = 50.0755,
		.longitude = 14.4378};
	struct settings x = {.ident = 9170000001, .spread = -1, .server = "127.0.0.1:8888"};
	int rc = read_arguments(argc, argv, &s, &x);
	if (rc >= 0)
		return rc;
	if (x.record != NULL && (s.record = fopen(x.record, "w")) == NULL) {
		perror(x.record);
		freeaddrinfo(s.servers);
		return 1;
	}
	allow_files(s.units + 64);
	s.loop = ev_default_loop(EVFLAG_AUTO);
	s.unit = calloc(s.units, sizeof(*s.unit));
	if (s.unit == NULL)
		return 1;
	run(&s, &x);
	uint64_t pending = 0;
	for (unsigned i = 0; i < s.units; i++) {
		pending += s.unit[i].pending_count;
		sim_unit_stop(&s.unit[i]);
	}
	free(s.unit);
	freeaddrinfo(s.servers);
	if (s.record != NULL)
		fclose(s.record);
	print_summary(&s, pending);
	return pending + s.counts.dropped > 0 ? 3 : 0;
}
