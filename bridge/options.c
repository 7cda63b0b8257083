/* options: the option table, its types, and the sample ini printed from it.
 * May use: config. May not: read files, start anything. */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

/* --- table --- */

static const char *const formats[] = {"json", "msgpack", NULL};
const char *const option_h02_acks[] = {"auto", "v4", "r12", "off", NULL};
static const char *const accept_reject[] = {"accept", "reject", NULL};
static const char *const syncs[] = {"always", "interval", "never", NULL};
static const char *const levels[] = {"error", "warning", "notice", "info", "debug", NULL};

#define AT(field) offsetof(struct config, field)
#define SECOND 1000LL
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)

const struct config_option option_table[] = {
	{"listen", "tcp", OPTION_ENDPOINTS, 0, AT(listen.tcp), "0.0.0.0:8888", 0, 0, NULL,
		"Addresses for TCP units: address:port, comma-separated; IPv6 in brackets; empty: none."},
	{"listen", "udp", OPTION_ENDPOINTS, 0, AT(listen.udp), "0.0.0.0:8888", 0, 0, NULL,
		"Addresses for UDP units."},
	{"listen", "max_connections", OPTION_INTEGER, OPTION_RELOAD, AT(listen.max_connections), "100000", 1,
		10000000, NULL, "Connections (TCP) and peers (UDP) at a time; more are refused."},
	{"listen", "first_frame_timeout", OPTION_DURATION, OPTION_RELOAD, AT(listen.first_frame_timeout), "30s",
		SECOND, DAY, NULL, "A connection that has not sent a whole frame after this time is closed."},
	{"listen", "idle_timeout", OPTION_DURATION, OPTION_RELOAD, AT(listen.idle_timeout), "30m", SECOND,
		30 * DAY, NULL, "A TCP unit that has been silent for this time is closed."},
	{"listen", "udp_timeout", OPTION_DURATION, OPTION_RELOAD, AT(listen.udp_timeout), "30m", SECOND,
		30 * DAY, NULL, "A UDP unit that has been silent for this time is off line."},
	{"mqtt", "host", OPTION_TEXT, OPTION_NOT_EMPTY, AT(mqtt.host), "localhost", 0, 180, NULL,
		"Name or address of the broker."},
	{"mqtt", "port", OPTION_INTEGER, 0, AT(mqtt.port), "1883", 1, 65535, NULL, "Port of the broker."},
	{"mqtt", "version", OPTION_INTEGER, 0, AT(mqtt.version), "5", 4, 5, NULL,
		"MQTT version: 5, or 4 for 3.1.1."},
	{"mqtt", "client_id", OPTION_TEXT, 0, AT(mqtt.client_id), "", 0, 180, NULL,
		"Client id; empty: tracker2mqtt- and the instance."},
	{"mqtt", "username", OPTION_TEXT, 0, AT(mqtt.username), "", 0, 180, NULL, "User name; empty: none."},
	{"mqtt", "password", OPTION_TEXT, OPTION_SECRET, AT(mqtt.password), "", 0, 180, NULL, "Password."},
	{"mqtt", "password_file", OPTION_TEXT, 0, AT(mqtt.password_file), "", 0, 180, NULL,
		"File whose first line is the password, instead of `password`."},
	{"mqtt", "keepalive", OPTION_DURATION, 0, AT(mqtt.keepalive), "60s", 5 * SECOND, HOUR, NULL,
		"MQTT keep-alive."},
	{"mqtt", "inflight", OPTION_INTEGER, 0, AT(mqtt.inflight), "1000", 1, 60000, NULL,
		"Messages on their way without the broker's acknowledgement; the broker may allow fewer."},
	{"mqtt", "connect_timeout", OPTION_DURATION, 0, AT(mqtt.connect_timeout), "10s", SECOND, HOUR, NULL,
		"How long to wait for the broker's answer to a connect."},
	{"publish", "prefix", OPTION_TOPIC, 0, AT(publish.prefix), "trackers", 0, 100, NULL,
		"First level or levels of all topics."},
	{"publish", "format", OPTION_CHOICE, 0, AT(publish.format), "json", 0, 0, formats,
		"Format of the records."},
	{"publish", "retain", OPTION_BOOLEAN, OPTION_RELOAD, AT(publish.retain), "yes", 0, 0, NULL,
		"Publish the newest position of each unit retained."},
	{"publish", "raw", OPTION_BOOLEAN, OPTION_RELOAD, AT(publish.raw), "no", 0, 0, NULL,
		"Publish each frame, in and out, as hex and text."},
	{"publish", "unknown", OPTION_BOOLEAN, OPTION_RELOAD, AT(publish.unknown), "yes", 0, 0, NULL,
		"Publish the first bytes of connections that no protocol recognises, at most one a second."},
	{"publish", "instance", OPTION_NAME, 0, AT(publish.instance), "", 0, 60, NULL,
		"Name of this bridge in topics and status; empty: the host name."},
	{"publish", "channel_id", OPTION_INTEGER, OPTION_RELOAD, AT(publish.channel_id), "1", 0, 4294967295LL,
		NULL, "Number of this bridge in each record (channel.id)."},
	{"publish", "stats_interval", OPTION_DURATION, OPTION_RELOAD, AT(publish.stats_interval), "60s", SECOND,
		DAY, NULL, "How often the counters are published."},
	{"commands", "enabled", OPTION_BOOLEAN, 0, AT(commands.enabled), "yes", 0, 0, NULL,
		"Take commands from <prefix>/<ident>/cmd."},
	{"commands", "gap", OPTION_DURATION, OPTION_RELOAD, AT(commands.gap), "200ms", 0, 60 * SECOND, NULL,
		"Silence before and after a command on a unit's connection; units ignore what shares a "
		"segment."},
	{"commands", "timeout", OPTION_DURATION, OPTION_RELOAD, AT(commands.timeout), "30s", SECOND, DAY, NULL,
		"How long to wait for a unit's answer, unless the command says so itself."},
	{"commands", "hold", OPTION_DURATION, OPTION_RELOAD, AT(commands.hold), "0", 0, 30 * DAY, NULL,
		"How long a command for an absent unit is kept, unless it says so itself; 0: not at all."},
	{"commands", "allow", OPTION_TEXT, 0, AT(commands.allow), "", 0, 180, NULL,
		"Only these commands, comma-separated: names (engine.stop), words of text commands (S20); "
		"empty: all."},
	{"commands", "max_held_per_unit", OPTION_INTEGER, OPTION_RELOAD, AT(commands.max_held_per_unit), "8", 1,
		1000, NULL, "Commands that may wait for one unit, held or for their answer."},
	{"outbox", "path", OPTION_TEXT, 0, AT(outbox.path), "/var/lib/tracker2mqtt/outbox", 0, 180, NULL,
		"Directory where messages wait for the broker; empty: in memory only, lost when the process "
		"ends."},
	{"outbox", "size", OPTION_SIZE, 0, AT(outbox.size), "1G", 1 << 20, 1LL << 40, NULL,
		"Most bytes that wait for the broker; when full, reading from units pauses."},
	{"outbox", "sync", OPTION_CHOICE, 0, AT(outbox.sync), "always", 0, 0, syncs,
		"When it is safe against power loss: before each acknowledgement, every sync_interval, or as "
		"the kernel likes."},
	{"outbox", "sync_interval", OPTION_DURATION, 0, AT(outbox.sync_interval), "1s", 10, HOUR, NULL,
		"For sync = interval."},
	{"units", "file", OPTION_TEXT, 0, AT(units.file), "", 0, 180, NULL,
		"Ini file with a section for each unit: name, id, type, topic, ack, timezone; empty: none. "
		"Read again by a reload."},
	{"units", "unknown", OPTION_CHOICE, OPTION_RELOAD, AT(units.unknown), "accept", 0, 0, accept_reject,
		"Units that are not in the units file."},
	{"h02", "ack", OPTION_CHOICE, OPTION_RELOAD, AT(h02.ack), "auto", 0, 0, option_h02_acks,
		"How H02 units are acknowledged: by message type, always V4, always R12, or not at all."},
	{"jt808", "registration", OPTION_CHOICE, OPTION_RELOAD, AT(jt808.registration), "accept", 0, 0,
		accept_reject, "What a JT/T 808 unit that registers is told."},
	{"jt808", "auth_code", OPTION_TEXT, 0, AT(jt808.auth_code), "", 0, 60, NULL,
		"Authentication code given at registration; empty: the unit's ident."},
	{"jt808", "timezone", OPTION_TIMEZONE, OPTION_RELOAD, AT(jt808.timezone), "+08:00", 0, 0, NULL,
		"Time zone of the times that JT/T 808 units send; the standard says +08:00."},
	{"jt808", "max_packets", OPTION_INTEGER, OPTION_RELOAD, AT(jt808.max_packets), "32", 2, 255, NULL,
		"Most parts of a message that comes in several frames."},
	{"log", "level", OPTION_CHOICE, OPTION_RELOAD, AT(log.level), "info", 0, 0, levels, "What is logged."},
};

const size_t option_count = sizeof(option_table) / sizeof(option_table[0]);

const struct config_option *option_find(const char *section, const char *key)
{
	for (size_t i = 0; i < option_count; i++)
		if (strcmp(option_table[i].section, section) == 0 && strcmp(option_table[i].key, key) == 0)
			return &option_table[i];
	return NULL;
}

/* --- types --- */

struct unit_name {
	const char *name;
	int64_t factor;
};

static const struct unit_name durations[] = {
	{"ms", 1}, {"s", SECOND}, {"m", 60 * SECOND}, {"h", HOUR}, {"d", DAY}, {NULL, 0}};
static const struct unit_name sizes[] = {{"K", 1LL << 10}, {"M", 1LL << 20}, {"G", 1LL << 30}, {NULL, 0}};

/* A whole number with one of the units behind it; a bare one only when `bare` is not 0 or it is 0. */
static bool parse_number(const char *text, const struct unit_name *units, int64_t bare, int64_t *out)
{
	char *end;
	errno = 0;
	if (text[0] != '-' && (text[0] < '0' || text[0] > '9'))
		return false;
	long long v = strtoll(text, &end, 10);
	if (errno != 0)
		return false;
	int64_t factor = *end == '\0' ? (v == 0 ? 1 : bare) : 0;
	for (size_t i = 0; units != NULL && units[i].name != NULL; i++)
		if (strcmp(end, units[i].name) == 0)
			factor = units[i].factor;
	if (factor == 0)
		return false;
	return !__builtin_mul_overflow((int64_t)v, factor, out);
}

static void print_number(int64_t v, const struct unit_name *units, char *buf, size_t size)
{
	const struct unit_name *best = NULL;
	for (const struct unit_name *u = units; v != 0 && u->name != NULL; u++)
		if (v % u->factor == 0)
			best = u;
	snprintf(buf, size, "%" PRId64 "%s", best ? v / best->factor : v, best ? best->name : "");
}

static bool parse_boolean(const char *text, bool *out)
{
	static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(text, words[i]) == 0) {
			*out = i % 2 == 1;
			return true;
		}
	}
	return false;
}

static bool parse_endpoint(char *text, struct endpoint *out)
{
	char *host = text + strspn(text, " \t");
	host[strcspn(host, " \t")] = '\0';
	char *colon = strrchr(host, ':');
	if (colon == NULL || colon[1] == '\0' || strspn(colon + 1, "0123456789") != strlen(colon + 1))
		return false;
	*colon = '\0';
	long port = strtol(colon + 1, NULL, 10);
	if (port < 0 || port > 65535 || strlen(colon + 1) > 5)
		return false;
	memset(out, 0, sizeof(*out));
	struct sockaddr_in *in4 = (struct sockaddr_in *)&out->addr;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&out->addr;
	size_t n = strlen(host);
	if (n > 2 && host[0] == '[' && host[n - 1] == ']') {
		host[n - 1] = '\0';
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((uint16_t)port);
		out->len = sizeof(*in6);
		return inet_pton(AF_INET6, host + 1, &in6->sin6_addr) == 1;
	}
	in4->sin_family = AF_INET;
	in4->sin_port = htons((uint16_t)port);
	out->len = sizeof(*in4);
	return inet_pton(AF_INET, host, &in4->sin_addr) == 1;
}

static bool parse_endpoints(const char *text, struct endpoints *out)
{
	char buf[1024];
	out->count = 0;
	if (strlen(text) >= sizeof(buf))
		return false;
	strcpy(buf, text);
	char *save = NULL;
	for (char *part = strtok_r(buf, ",", &save); part != NULL; part = strtok_r(NULL, ",", &save)) {
		if (out->count == CONFIG_ENDPOINTS_MAX || !parse_endpoint(part, &out->item[out->count]))
			return false;
		out->count++;
	}
	return true;
}

int option_choice(const char *const *choices, const char *text)
{
	for (int i = 0; choices[i] != NULL; i++)
		if (strcmp(choices[i], text) == 0)
			return i;
	return -1;
}

bool option_timezone(const char *text, int64_t *out)
{
	unsigned hours, minutes;
	char sign, end;
	if (strlen(text) != 6 || sscanf(text, "%c%2u:%2u%c", &sign, &hours, &minutes, &end) != 3)
		return false;
	*out = (int64_t)(hours * 3600 + minutes * 60) * (sign == '-' ? -1 : 1);
	return (sign == '+' || sign == '-') && hours <= 14 && minutes <= 59;
}

static bool text_allowed(const struct config_option *option, const char *text)
{
	size_t n = strlen(text);
	if ((int64_t)n > option->max || (n == 0 && (option->flags & OPTION_NOT_EMPTY)))
		return false;
	if (option->type == OPTION_TOPIC && (n == 0 || text[0] == '/' || text[0] == '$' || text[n - 1] == '/'))
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];
		if (c < 0x20 || c == 0x7f)
			return false;
		if (option->type == OPTION_TOPIC && (c == '+' || c == '#'))
			return false;
		if (option->type == OPTION_NAME && !byte_is_alnum(c) && strchr("._-", c) == NULL)
			return false;
	}
	return true;
}

void option_allowed(const struct config_option *option, char *buf, size_t size)
{
	char from[32], to[32];
	switch (option->type) {
	case OPTION_TEXT:
		snprintf(buf, size, "a text of %s to %" PRId64 " characters",
			option->flags & OPTION_NOT_EMPTY ? "1" : "0", option->max);
		return;
	case OPTION_NAME:
		snprintf(buf, size, "letters, digits, . _ -, at most %" PRId64, option->max);
		return;
	case OPTION_TOPIC:
		snprintf(buf, size,
			"topic levels without + and #, not beginning with / or $, 1 to %" PRId64 " characters",
			option->max);
		return;
	case OPTION_BOOLEAN:
		snprintf(buf, size, "yes or no");
		return;
	case OPTION_INTEGER:
		snprintf(buf, size, "a whole number from %" PRId64 " to %" PRId64, option->min, option->max);
		return;
	case OPTION_DURATION:
		print_number(option->min, durations, from, sizeof(from));
		print_number(option->max, durations, to, sizeof(to));
		snprintf(buf, size, "a duration from %s to %s with a unit: ms s m h d", from, to);
		return;
	case OPTION_SIZE:
		print_number(option->min, sizes, from, sizeof(from));
		print_number(option->max, sizes, to, sizeof(to));
		snprintf(buf, size, "a size from %s to %s, in bytes or with K M G", from, to);
		return;
	case OPTION_CHOICE:
		buf[0] = '\0';
		for (size_t i = 0; option->choices[i] != NULL; i++) {
			size_t n = strlen(buf);
			const char *glue = i == 0 ? "" : option->choices[i + 1] == NULL ? " or " : ", ";
			snprintf(buf + n, size - n, "%s%s", glue, option->choices[i]);
		}
		return;
	case OPTION_TIMEZONE:
		snprintf(buf, size, "+HH:MM or -HH:MM");
		return;
	case OPTION_ENDPOINTS:
		snprintf(buf, size,
			"address:port, comma-separated, at most %d, numeric addresses, IPv6 in brackets,"
			" or empty",
			CONFIG_ENDPOINTS_MAX);
		return;
	}
}

/* false: not allowed. */
static bool parse_value(const struct config_option *option, const char *text, void *at)
{
	int64_t v = 0;
	char **string = at;
	switch (option->type) {
	case OPTION_TEXT:
	case OPTION_NAME:
	case OPTION_TOPIC:
		if (!text_allowed(option, text))
			return false;
		free(*string);
		*string = strdup(text);
		return *string != NULL;
	case OPTION_BOOLEAN:
		return parse_boolean(text, at);
	case OPTION_ENDPOINTS:
		return parse_endpoints(text, at);
	case OPTION_TIMEZONE:
		if (!option_timezone(text, &v))
			return false;
		break;
	case OPTION_CHOICE:
		v = option_choice(option->choices, text);
		if (v < 0)
			return false;
		break;
	case OPTION_INTEGER:
	case OPTION_DURATION:
	case OPTION_SIZE: {
		const struct unit_name *units = option->type == OPTION_DURATION ? durations
						: option->type == OPTION_SIZE   ? sizes
										: NULL;
		int64_t bare = option->type == OPTION_DURATION ? 0 : 1;
		if (!parse_number(text, units, bare, &v) || v < option->min || v > option->max)
			return false;
		break;
	}
	}
	memcpy(at, &v, sizeof(v));
	return true;
}

bool option_set(
	struct config *config, const struct config_option *option, const char *text, char *why, size_t size)
{
	if (parse_value(option, text, (char *)config + option->offset))
		return true;
	char allowed[256];
	option_allowed(option, allowed, sizeof(allowed));
	const char *shown = option->flags & OPTION_SECRET ? "(hidden)" : text;
	snprintf(why, size, "%s = %s is not allowed; allowed: %s", option->key, shown, allowed);
	return false;
}

void options_print(FILE *out)
{
	fprintf(out, "# tracker2mqtt: the complete configuration, with its defaults.\n"
		     "# Durations take a unit (ms s m h d), sizes may (K M G). A line begins in the first "
		     "column; a ';'\n"
		     "# behind a blank starts a comment. TRACKER2MQTT_<SECTION>_<KEY> in the environment "
		     "overrides.\n");
	for (size_t i = 0; i < option_count; i++) {
		const struct config_option *o = &option_table[i];
		char allowed[256];
		if (i == 0 || strcmp(o->section, option_table[i - 1].section) != 0)
			fprintf(out, "\n[%s]\n", o->section);
		option_allowed(o, allowed, sizeof(allowed));
		fprintf(out, "# %s\n#   %s%s\n%s =%s%s\n", o->help, allowed,
			o->flags & OPTION_RELOAD ? "; changed by a reload" : "", o->key,
			*o->standard ? " " : "", o->standard);
	}
}
