/* options: the option table, and the sample ini printed from it.
 * May use: config, directory. May not: read files, start anything. */
#include "bridge/settings/config.h"

#include "bridge/base/directory.h"

#include <stdlib.h>

/* --- table --- */

static const char *const formats[] = {"json", "msgpack", NULL};
const char *const option_h02_acks[] = {"auto", "v4", "r12", "off", NULL};
static const char *const accept_reject[] = {"accept", "reject", NULL};
static const char *const syncs[] = {"always", "interval", "never", NULL};
static const char *const aside_refuse[] = {"aside", "refuse", NULL};
static const char *const replies[] = {"bridge", "relay", NULL};
static const char *const levels[] = {"error", "warning", "notice", "info", "debug", NULL};

#define AT(field) offsetof(struct config, field)
#define SECOND CONFIG_SECOND
#define HOUR CONFIG_HOUR
#define DAY CONFIG_DAY

const struct config_option option_table[] = {
	{"listen", "tcp", OPTION_ENDPOINTS, 0, AT(listen.tcp), "0.0.0.0:8888", 0, 0, NULL,
		"Addresses for TCP units: address:port, comma-separated; IPv6 in brackets; empty: none."},
	{"listen", "udp", OPTION_ENDPOINTS, 0, AT(listen.udp), "0.0.0.0:8888", 0, 0, NULL,
		"Addresses for UDP units."},
	{"listen", "tls", OPTION_ENDPOINTS, 0, AT(listen.tls), "", 0, 0, NULL,
		"Addresses for TCP units and relays that speak TLS."},
	{"listen", "tls_cert_file", OPTION_TEXT, 0, AT(listen.tls_cert_file), "", 0, 180, NULL,
		"Certificate (PEM, with the chain behind it) for `tls`. Read again by a reload."},
	{"listen", "tls_key_file", OPTION_TEXT, 0, AT(listen.tls_key_file), "", 0, 180, NULL,
		"Its private key (PEM). Read again by a reload."},
	{"listen", "max_connections", OPTION_INTEGER, OPTION_RELOAD, AT(listen.max_connections), "100000", 1,
		10000000, NULL,
		"Connections (TCP) and peers (UDP) at a time; then a UDP peer or the address with most gives "
		"one up for others, or "
		"they are refused. Those of units of the units file always have a place."},
	{"listen", "max_connections_per_address", OPTION_INTEGER, OPTION_RELOAD,
		AT(listen.max_connections_per_address), "0", 0, 10000000, NULL,
		"The same for one address (IPv6: /64); 0: no limit, for many units share the address of their "
		"operator."},
	{"listen", "proxy_protocol", OPTION_SOME_ENDPOINTS, 0, AT(listen.proxy_protocol), "no", 0, 0, NULL,
		"Which of the TCP and TLS addresses take connections from a proxy (haproxy) that begin with a "
		"PROXY header, v1 or v2; those without are refused. yes: all."},
	{"listen", "proxy_from", OPTION_NETWORKS, OPTION_RELOAD, AT(listen.proxy_from), "127.0.0.1,::1", 0, 0,
		NULL, "Who may connect there; all others are refused."},
	{"listen", "first_frame_timeout", OPTION_DURATION, OPTION_RELOAD, AT(listen.first_frame_timeout), "30s",
		SECOND, DAY, NULL, "A connection that has not sent a whole frame after this time is closed."},
	{"listen", "idle_timeout", OPTION_DURATION, OPTION_RELOAD, AT(listen.idle_timeout), "30m", SECOND,
		30 * DAY, NULL, "A TCP unit that has been silent for this time is closed."},
	{"listen", "udp_timeout", OPTION_DURATION, OPTION_RELOAD, AT(listen.udp_timeout), "30m", SECOND,
		30 * DAY, NULL, "A UDP unit that has been silent for this time is off line."},
	{"listen", "tcp_keepalive", OPTION_DURATION, OPTION_RELOAD, AT(listen.keepalive), "2m", 0, HOUR, NULL,
		"A silent TCP connection is probed after this time, so that units behind a dead NAT are "
		"noticed; 0: never. For new connections."},
	{"listen", "tcp_user_timeout", OPTION_DURATION, OPTION_RELOAD, AT(listen.user_timeout), "2m", 0, HOUR,
		NULL,
		"A TCP connection that acknowledges nothing for this time is broken; 0: as the system "
		"says. For new connections."},
	{"limits", "unidentified", OPTION_INTEGER, OPTION_RELOAD, AT(limits.unidentified), "10000", 1, 10000000,
		NULL,
		"Connections that have not named a unit yet (one over TLS counts as ten); when there are more, "
		"the oldest of the "
		"address with most is closed."},
	{"limits", "units", OPTION_INTEGER, OPTION_RELOAD, AT(limits.units), "200000", 1, 10000000, NULL,
		"Units on line at a time that are not in the units file; then the address with most gives one "
		"up for others."},
	{"limits", "units_per_connection", OPTION_INTEGER, OPTION_RELOAD, AT(limits.units_per_connection),
		"1000", 1, 10000000, NULL, "Units that may speak through one connection or UDP peer."},
	{"limits", "frames_per_unit", OPTION_INTEGER, OPTION_RELOAD, AT(limits.frames_per_unit), "200", 0,
		10000000, NULL,
		"Records a second of one unit; beyond, reading pauses (TCP) or datagrams are left out (UDP); "
		"0: "
		"no limit."},
	{"limits", "frames_per_address", OPTION_INTEGER, OPTION_RELOAD, AT(limits.frames_per_address), "10000",
		0, 10000000, NULL, "The same for all that comes from one address (IPv6: /64)."},
	{"limits", "arrivals_per_address", OPTION_INTEGER, OPTION_RELOAD, AT(limits.arrivals_per_address),
		"500", 0, 10000000, NULL,
		"New units a second that come on line from one address, in the same way; those of the units "
		"file and those that "
		"are remembered may always come."},
	{"limits", "udp_arrivals", OPTION_INTEGER, OPTION_RELOAD, AT(limits.udp_arrivals), "500", 0, 10000000,
		NULL,
		"New units a second that come on line over UDP from all addresses, which may be forged; those "
		"of the units file "
		"and those that are remembered may always come; 0: no limit."},
	{"limits", "input", OPTION_SIZE, OPTION_RELOAD, AT(limits.input), "16K", 4096, 128 << 10, NULL,
		"Most bytes read from a connection at a time, and kept for it while the outbox is full."},
	{"limits", "output", OPTION_SIZE, OPTION_RELOAD, AT(limits.output), "64K", 4096, 1 << 20, NULL,
		"Most bytes that wait for a unit that does not read; what is beyond is left out."},
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
		"File whose first line is the password, instead of `password`; empty: none. The service reads "
		"/etc/tracker2mqtt/mqtt-password so."},
	{"mqtt", "keepalive", OPTION_DURATION, 0, AT(mqtt.keepalive), "60s", 5 * SECOND, HOUR, NULL,
		"MQTT keep-alive."},
	{"mqtt", "inflight", OPTION_INTEGER, 0, AT(mqtt.inflight), "1000", 1, 60000, NULL,
		"Messages on their way without the broker's acknowledgement; the broker may allow fewer."},
	{"mqtt", "connect_timeout", OPTION_DURATION, 0, AT(mqtt.connect_timeout), "10s", SECOND, HOUR, NULL,
		"How long to wait for the broker's answer to a connect."},
	{"mqtt", "qos", OPTION_INTEGER, 0, AT(mqtt.qos), "1", 0, 1, NULL,
		"QoS of messages. 0 is for brokers without QoS 1, and ends the guarantee: what is on its way "
		"when the "
		"connection breaks is lost."},
	{"mqtt", "ack_timeout", OPTION_DURATION, 0, AT(mqtt.ack_timeout), "60s", SECOND, HOUR, NULL,
		"A message that the broker does not acknowledge for so long, while it acknowledges others, is "
		"sent again "
		"over a new connection."},
	{"mqtt", "tls", OPTION_BOOLEAN, 0, AT(mqtt.tls), "no", 0, 0, NULL,
		"Speak TLS to the broker; its certificate must be valid for `host`."},
	{"mqtt", "tls_ca_file", OPTION_TEXT, 0, AT(mqtt.tls_ca_file), "", 0, 180, NULL,
		"Certificates (PEM) of the authorities to trust; empty: those of the system."},
	{"mqtt", "tls_cert_file", OPTION_TEXT, 0, AT(mqtt.tls_cert_file), "", 0, 180, NULL,
		"Certificate (PEM) to show the broker; empty: none. Read at each connect."},
	{"mqtt", "tls_key_file", OPTION_TEXT, 0, AT(mqtt.tls_key_file), "", 0, 180, NULL,
		"Its private key (PEM)."},
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
		"Only these commands, comma-separated: names (position.request), words of text commands (D1); "
		"empty: all."},
	{"commands", "response_topics", OPTION_PREFIXES, 0, AT(commands.response_topics),
		"answers/,replies/,responses/,reply/,response/", 0, 180, NULL,
		"Beginnings of MQTT 5 response topics that are allowed beside the unit's own cmd/reply; empty: "
		"none."},
	{"commands", "max_held_per_unit", OPTION_INTEGER, OPTION_RELOAD, AT(commands.max_held_per_unit), "8", 1,
		1000, NULL, "Commands that may wait for one unit, held or for their answer."},
	{"outbox", "path", OPTION_TEXT, OPTION_DIRECTORY, AT(outbox.path), "/var/lib/tracker2mqtt/outbox", 0,
		180, NULL,
		"Directory where messages wait for the broker; empty: in memory only, lost when the process "
		"ends. The default of a user who may not write it is ~/.local/state/tracker2mqtt/outbox."},
	{"outbox", "size", OPTION_SIZE, 0, AT(outbox.size), "1G", 1 << 20, 1LL << 40, NULL,
		"Most bytes that wait for the broker; when full, reading from units pauses."},
	{"outbox", "sync", OPTION_CHOICE, 0, AT(outbox.sync), "always", 0, 0, syncs,
		"When it is safe against power loss: before each acknowledgement, every sync_interval, or as "
		"the kernel likes."},
	{"outbox", "sync_interval", OPTION_DURATION, 0, AT(outbox.sync_interval), "1s", 10, HOUR, NULL,
		"For sync = interval."},
	{"outbox", "damaged", OPTION_CHOICE, 0, AT(outbox.damaged), "aside", 0, 0, aside_refuse,
		"What becomes of an outbox that cannot be read, after a power cut for example: its files are "
		"moved "
		"aside and an empty one begins, or the start is refused."},
	{"units", "file", OPTION_TEXT, 0, AT(units.file), "", 0, 180, NULL,
		"Ini file with a section for each unit: name, id, type, topic, ack, timezone; empty: none. "
		"Read again by a reload."},
	{"units", "unknown", OPTION_CHOICE, OPTION_RELOAD, AT(units.unknown), "accept", 0, 0, accept_reject,
		"Units that are not in the units file."},
	{"units", "remember", OPTION_DURATION, OPTION_RELOAD, AT(units.remember), "90d", DAY, 3650 * DAY, NULL,
		"A unit that is not in the units file is forgotten so long after its last word; its retained "
		"topics are then "
		"cleared."},
	{"units", "remembered", OPTION_INTEGER, OPTION_RELOAD, AT(units.remembered), "100000", 0, 10000000,
		NULL,
		"So many of them are remembered at most, as far as an eighth of the outbox' size has room (64 "
		"bytes each)."},
	{"h02", "ack", OPTION_CHOICE, OPTION_RELOAD, AT(h02.ack), "auto", 0, 0, option_h02_acks,
		"How H02 units are acknowledged: by message type, always V4, always R12, or not at all."},
	{"jt808", "registration", OPTION_CHOICE, OPTION_RELOAD, AT(jt808.registration), "accept", 0, 0,
		accept_reject, "What a JT/T 808 unit that registers is told."},
	{"jt808", "auth_code", OPTION_TEXT, 0, AT(jt808.auth_code), "", 0, 60, NULL,
		"Authentication code given at registration; empty: the unit's ident. It is no secret: whoever "
		"registers is told it, and it is not checked when a unit authenticates."},
	{"jt808", "timezone", OPTION_TIMEZONE, OPTION_RELOAD, AT(jt808.timezone), "+08:00", 0, 0, NULL,
		"Time zone of the times that JT/T 808 units send; the standard says +08:00."},
	{"jt808", "max_packets", OPTION_INTEGER, OPTION_RELOAD, AT(jt808.max_packets), "32", 2, 255, NULL,
		"Most parts of a message that comes in several frames."},
	{"owntracks", "topic", OPTION_TEXT, 0, AT(owntracks.topic), "", 0, 120, NULL,
		"Positions in OwnTracks' form as well, to this topic: owntracks/{ident}/tracker; empty: not."},
	{"homeassistant", "discovery", OPTION_BOOLEAN, 0, AT(homeassistant.discovery), "no", 0, 0, NULL,
		"Tell Home Assistant of each unit (MQTT discovery); needs format = json."},
	{"homeassistant", "prefix", OPTION_TOPIC, 0, AT(homeassistant.prefix), "homeassistant", 0, 100, NULL,
		"First level or levels of Home Assistant's topics."},
	{"homeassistant", "retain", OPTION_BOOLEAN, OPTION_RELOAD, AT(homeassistant.retain), "no", 0, 0, NULL,
		"Publish what Home Assistant is told retained; without, it is told again when it starts."},
	{"homeassistant", "engine", OPTION_BOOLEAN, 0, AT(homeassistant.engine), "no", 0, 0, NULL,
		"Give Home Assistant buttons that stop and resume engines."},
	{"metrics", "listen", OPTION_ENDPOINTS, 0, AT(metrics.listen), "", 0, 0, NULL,
		"Address for /metrics (Prometheus) and /healthz over HTTP, such as 127.0.0.1:9888; empty: "
		"none."},
	{"metrics", "offline_limit", OPTION_DURATION, OPTION_RELOAD, AT(metrics.offline_limit), "5m", SECOND,
		DAY, NULL, "/healthz says 503 when the broker has been away for so long."},
	{"relay", "server", OPTION_TEXT, 0, AT(relay.server), "", 0, 180, NULL,
		"host:port of the maker's platform, to which the frames of H02 units go as well; empty: none. "
		"In "
		"the units file, relay = no takes a unit out."},
	{"relay", "replies", OPTION_CHOICE, 0, AT(relay.replies), "bridge", 0, 0, replies,
		"Who answers those units: the bridge, or the platform through it; then the bridge does not "
		"acknowledge H02 frames itself."},
	{"relay", "buffer", OPTION_SIZE, 0, AT(relay.buffer), "16K", 1024, 1 << 20, NULL,
		"Most bytes that wait for the platform for each unit; beyond, the oldest frames are left out."},
	{"log", "level", OPTION_CHOICE, OPTION_RELOAD, AT(log.level), "info", 0, 0, levels, "What is logged."},
};

const size_t option_count = sizeof(option_table) / sizeof(option_table[0]);
_Static_assert(sizeof(option_table) / sizeof(option_table[0]) <= CONFIG_OPTIONS_MAX,
	"CONFIG_OPTIONS_MAX has room for all");

const struct config_option *option_find(const char *section, const char *key)
{
	for (size_t i = 0; i < option_count; i++)
		if (strcmp(option_table[i].section, section) == 0 && strcmp(option_table[i].key, key) == 0)
			return &option_table[i];
	return NULL;
}

const char *option_standard(const struct config_option *option, char *buf)
{
	static const char head[] = "/var/lib/";
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME"), *below = "";
	char where[DIRECTORY_PATH_MAX];
	if (!(option->flags & OPTION_DIRECTORY) || strncmp(option->standard, head, sizeof(head) - 1) != 0)
		return option->standard;
	if (getenv("STATE_DIRECTORY") != NULL || directory_fault(option->standard, where) == NULL)
		return option->standard; /* systemd has made it, or this user may make it */
	if (state == NULL || state[0] != '/') {
		state = home;
		below = "/.local/state";
	}
	if (state == NULL || state[0] != '/')
		return option->standard;
	int n = snprintf(
		buf, OPTION_STANDARD_MAX, "%s%s/%s", state, below, option->standard + sizeof(head) - 1);
	return n <= option->max ? buf : option->standard;
}

void options_print(FILE *out)
{
	char own[OPTION_STANDARD_MAX];
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
			*o->standard ? " " : "", option_standard(o, own));
	}
}
