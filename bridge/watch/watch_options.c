// SPDX-License-Identifier: MIT
/* watch_options: see watch_options.h. */
#include "bridge/watch/watch_options.h"

#include "bridge/base/version.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PASSWORD_MAX 1024
#define TOPIC_MOST 65535

/* Without a letter. */
enum {
	PASSWORD_FILE = 256,
	CAFILE,
	CAPATH,
	CERT,
	KEY,
	OS_CERTS,
	INSECURE,
	PREFIX,
	JSON,
	FIRST,
	HINT,
	RECORD,
	HELP,
	VERSION
};

static int usage(FILE *out, int rc)
{
	fputs("tracker2mqtt-watch " T2M_VERSION ": shows what tracker2mqtt publishes, a line a thing\n\n"
	      "usage: tracker2mqtt-watch [options] [IDENT...]\n\n"
	      "  -h, --host HOST           the broker (localhost)\n"
	      "  -p, --port PORT           its port (1883; 8883 with TLS)\n"
	      "  -u, --username NAME       log in by this name\n"
	      "  -P, --pw PASSWORD         the password; others see it in the list of processes, so prefer a "
	      "file\n"
	      "      --password-file FILE  the first line of FILE is the password\n"
	      "  -i, --id NAME             client id (one by chance)\n"
	      "  -k, --keepalive SECONDS   between two signs of life (60)\n"
	      "  -V, --protocol-version V  mqttv31, mqttv311 or mqttv5 (mqttv311)\n"
	      "      --cafile FILE         TLS: the authorities to trust, PEM\n"
	      "      --capath DIR          TLS: the same as a directory of hashed names\n"
	      "      --tls-use-os-certs    TLS: trust the authorities of the system\n"
	      "      --cert FILE           TLS: the certificate to show to the broker, PEM\n"
	      "      --key FILE            TLS: its key, PEM\n"
	      "      --insecure            TLS: do not compare the name in the certificate of the broker\n"
	      "      --prefix TEXT         what the topics begin with (trackers)\n"
	      "  -t, --topic FILTER        subscribe to this instead; may be given several times\n"
	      "  -R, --no-retained         leave out what the broker has retained from before\n"
	      "  -C, --count N             stop after N messages\n"
	      "  -W, --timeout SECONDS     stop after this time\n"
	      "      --json                a line of JSON a message: topic and payload, keys as mosquitto_sub "
	      "-F %J has\n"
	      "      --first               show the first position in full, too\n"
	      "      --hint                show a command to try when the first unit is on line\n"
	      "      --record FILE         write `ident timestamp` of each position\n"
	      "      --help                this text\n"
	      "      --version             version\n\n"
	      "IDENT: only these units, by ident or by their topic. Both formats are read, JSON and "
	      "MessagePack.\n"
	      "The environment may give TRACKER2MQTT_MQTT_HOST, _PORT, _USERNAME, _PASSWORD and "
	      "_PASSWORD_FILE, and\n"
	      "TRACKER2MQTT_PUBLISH_PREFIX, as for the bridge. Colours: at a terminal, unless NO_COLOR is "
	      "set.\n"
	      "Exit codes: 0 fine, 1 wrong usage, 2 no connection, 3 fewer than -C messages came in -W "
	      "seconds.\n",
		out);
	return rc;
}

static int refuse(const char *what, const char *value, const char *allowed)
{
	fprintf(stderr, "tracker2mqtt-watch: %s %s: allowed is %s\n", what, value, allowed);
	return 1;
}

static bool number(const char *text, double min, double max, double *out)
{
	char *end;
	*out = strtod(text, &end);
	return end != text && *end == '\0' && *out >= min && *out <= max;
}

/* The first line; -1: go on. */
static int read_password(struct watch_options *o, const char *path)
{
	char line[PASSWORD_MAX];
	FILE *f = fopen(path, "r");
	if (f == NULL || fgets(line, sizeof(line), f) == NULL) {
		fprintf(stderr, "tracker2mqtt-watch: the password file %s: %s\n", path,
			f == NULL ? strerror(errno) : "it is empty");
		if (f != NULL)
			fclose(f);
		return 1;
	}
	fclose(f);
	line[strcspn(line, "\r\n")] = '\0';
	free(o->password);
	o->password = strdup(line);
	return o->password != NULL ? -1 : 1;
}

static bool add_topic(struct watch_options *o, const char *topic)
{
	char **more = realloc(o->topics, (o->topic_count + 1) * sizeof(*more));
	if (more == NULL)
		return false;
	o->topics = more;
	o->topics[o->topic_count] = strdup(topic);
	return o->topics[o->topic_count++] != NULL;
}

/* What the bridge publishes of a unit, "+" for all, and of itself. */
static bool add_unit(struct watch_options *o, const char *name)
{
	static const char *const leaves[] = {
		"position", "telemetry", "alarm", "status", "cmd", "cmd/reply", "raw"};
	char topic[600];
	for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
		snprintf(topic, sizeof(topic), "%s/%s/%s", o->prefix, name, leaves[i]);
		if (!add_topic(o, topic))
			return false;
	}
	return true;
}

static int add_topics(struct watch_options *o, int argc, char **argv)
{
	char topic[600];
	for (int i = optind; i < argc; i++) {
		if (*argv[i] == '\0' || strlen(argv[i]) > 60 || strpbrk(argv[i], "/+#") != NULL)
			return refuse("IDENT", argv[i],
				"a unit's ident or its topic, without / + #; an option begins with -");
		if (!add_unit(o, argv[i]))
			return 1;
	}
	if (o->topic_count > 0)
		return -1;
	if (!add_unit(o, "+"))
		return 1;
	static const char *const leaves[] = {"status", "unknown"};
	for (size_t i = 0; i < 2; i++) {
		snprintf(topic, sizeof(topic), "%s/bridge/+/%s", o->prefix, leaves[i]);
		if (!add_topic(o, topic))
			return 1;
	}
	return -1;
}

static bool set_version(struct watch_options *o, const char *text)
{
	o->version = strcmp(text, "mqttv5") == 0 || strcmp(text, "5") == 0       ? 5
		     : strcmp(text, "mqttv311") == 0 || strcmp(text, "311") == 0 ? 311
		     : strcmp(text, "mqttv31") == 0 || strcmp(text, "31") == 0   ? 31
										 : 0;
	return o->version != 0;
}

/* Hides it from the list of processes. */
static bool take_password(struct watch_options *o, char *text)
{
	free(o->password);
	o->password = strdup(text);
	memset(text, '*', strlen(text));
	return o->password != NULL;
}

/* NULL: taken; else what is allowed. */
static const char *set_number(struct watch_options *o, int c, const char *v)
{
	double n;
	if (c == 'p') {
		o->port = number(v, 1, 65535, &n) ? (int)n : -1;
		return o->port > 0 ? NULL : "1 to 65535";
	}
	if (c == 'k') {
		o->keepalive = number(v, 5, 65535, &n) ? (int)n : -1;
		return o->keepalive > 0 ? NULL : "5 to 65535 seconds";
	}
	if (c == 'C') {
		o->count = number(v, 1, 1e9, &n) ? (unsigned long)n : 0;
		return o->count > 0 ? NULL : "1 to 1000000000 messages";
	}
	return number(v, 0.1, 1e9, &o->seconds) ? NULL : "0.1 to 1000000000 seconds";
}

/* false: no such option without a value. */
static bool set_flag(struct watch_options *o, int c)
{
	bool *flag = c == 'R'        ? &o->no_retained
		     : c == OS_CERTS ? &o->tls
		     : c == INSECURE ? &o->insecure
		     : c == JSON     ? &o->json
		     : c == FIRST    ? &o->first
		     : c == HINT     ? &o->hint
				     : NULL;
	if (flag != NULL)
		*flag = true;
	return flag != NULL;
}

static const char *prefix_fault(const char *v)
{
	size_t len = strlen(v);
	bool fine = len > 0 && len <= 200 && strpbrk(v, "+#") == NULL && v[0] != '/' && v[len - 1] != '/';
	return fine ? NULL : "1 to 200 bytes without + and #, and no / at the ends";
}

/* NULL: taken; else what is allowed. */
static const char *set(struct watch_options *o, int c, char *v)
{
	const char **text = c == 'h'      ? &o->host
			    : c == 'u'    ? &o->username
			    : c == 'i'    ? &o->client_id
			    : c == CAFILE ? &o->cafile
			    : c == CAPATH ? &o->capath
			    : c == CERT   ? &o->cert
			    : c == KEY    ? &o->key
			    : c == RECORD ? &o->record
			    : c == PREFIX ? &o->prefix
					  : NULL;
	if (text != NULL) {
		*text = v;
		return c == PREFIX ? prefix_fault(v) : *v != '\0' ? NULL : "a text that is not empty";
	}
	if (c == 'p' || c == 'k' || c == 'C' || c == 'W')
		return set_number(o, c, v);
	if (c == 'V')
		return set_version(o, v) ? NULL : "mqttv31, mqttv311 or mqttv5";
	if (c == 'P')
		return take_password(o, v) ? NULL : "a text that there is memory for";
	return *v != '\0' && strlen(v) <= TOPIC_MOST && add_topic(o, v) ? NULL
									: "a topic filter of 1 to 65535 bytes";
}

/* -1: go on. */
static int read_environment(struct watch_options *o)
{
	const char *host = getenv("TRACKER2MQTT_MQTT_HOST"), *port = getenv("TRACKER2MQTT_MQTT_PORT"),
		   *user = getenv("TRACKER2MQTT_MQTT_USERNAME"),
		   *password = getenv("TRACKER2MQTT_MQTT_PASSWORD"),
		   *file = getenv("TRACKER2MQTT_MQTT_PASSWORD_FILE"),
		   *prefix = getenv("TRACKER2MQTT_PUBLISH_PREFIX");
	if (host != NULL && *host != '\0')
		o->host = host;
	if (user != NULL && *user != '\0')
		o->username = user;
	if (prefix != NULL && *prefix != '\0')
		o->prefix = prefix;
	if (prefix_fault(o->prefix) != NULL)
		return refuse("TRACKER2MQTT_PUBLISH_PREFIX", prefix, prefix_fault(o->prefix));
	if (port != NULL && *port != '\0' && set_number(o, 'p', port) != NULL)
		return refuse("TRACKER2MQTT_MQTT_PORT", port, "1 to 65535");
	if (password != NULL && *password != '\0')
		return (o->password = strdup(password)) != NULL ? -1 : 1;
	return file != NULL && *file != '\0' ? read_password(o, file) : -1;
}

static const struct option longs[] = {
	{"host", required_argument, NULL, 'h'},
	{"port", required_argument, NULL, 'p'},
	{"username", required_argument, NULL, 'u'},
	{"pw", required_argument, NULL, 'P'},
	{"password-file", required_argument, NULL, PASSWORD_FILE},
	{"id", required_argument, NULL, 'i'},
	{"keepalive", required_argument, NULL, 'k'},
	{"protocol-version", required_argument, NULL, 'V'},
	{"cafile", required_argument, NULL, CAFILE},
	{"capath", required_argument, NULL, CAPATH},
	{"tls-use-os-certs", no_argument, NULL, OS_CERTS},
	{"cert", required_argument, NULL, CERT},
	{"key", required_argument, NULL, KEY},
	{"insecure", no_argument, NULL, INSECURE},
	{"prefix", required_argument, NULL, PREFIX},
	{"topic", required_argument, NULL, 't'},
	{"no-retained", no_argument, NULL, 'R'},
	{"count", required_argument, NULL, 'C'},
	{"timeout", required_argument, NULL, 'W'},
	{"json", no_argument, NULL, JSON},
	{"first", no_argument, NULL, FIRST},
	{"hint", no_argument, NULL, HINT},
	{"record", required_argument, NULL, RECORD},
	{"help", no_argument, NULL, HELP},
	{"version", no_argument, NULL, VERSION},
	{NULL, 0, NULL, 0},
};

static int read_arguments(struct watch_options *o, int argc, char **argv)
{
	char name[64];
	for (int c, at = optind; (c = getopt_long(argc, argv, "h:p:u:P:i:k:V:t:RC:W:", longs, NULL)) != -1;
		at = optind) {
		if (c == HELP)
			return usage(stdout, 0);
		if (c == VERSION)
			return version_print("tracker2mqtt-watch");
		if (c == '?') {
			fputs("see tracker2mqtt-watch --help\n", stderr);
			return 1;
		}
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(argv[at], "="), argv[at]);
		int rc = c == PASSWORD_FILE ? read_password(o, optarg) : -1;
		if (rc >= 0)
			return rc;
		if (c == PASSWORD_FILE || set_flag(o, c))
			continue;
		const char *allowed = set(o, c, optarg);
		if (allowed != NULL)
			return refuse(name, optarg, allowed);
	}
	return -1;
}

int watch_options_read(struct watch_options *o, int argc, char **argv)
{
	*o = (struct watch_options){.host = "localhost", .prefix = "trackers", .keepalive = 60, .version = 311};
	int rc = read_environment(o);
	if (rc < 0)
		rc = read_arguments(o, argc, argv);
	if (rc < 0)
		rc = add_topics(o, argc, argv);
	if (rc >= 0)
		return rc;
	o->tls |= o->cafile != NULL || o->capath != NULL || o->cert != NULL || o->key != NULL || o->insecure;
	if (o->port == 0)
		o->port = o->tls ? 8883 : 1883;
	if ((o->cert != NULL) != (o->key != NULL))
		return refuse("--cert and --key", o->cert != NULL ? o->cert : o->key, "both or none");
	if (o->password != NULL && o->username == NULL)
		return refuse("a password", "without a name", "both, -u NAME as well");
	return -1;
}

void watch_options_free(struct watch_options *o)
{
	for (size_t i = 0; i < o->topic_count; i++)
		free(o->topics[i]);
	free(o->topics);
	free(o->password);
}
