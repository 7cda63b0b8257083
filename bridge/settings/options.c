// SPDX-License-Identifier: MIT
/* options: the bridge's own tables of options, and the walk over them and those of the codecs.
 * Uses: bridge/base.
 * Not: read files, start anything. */
#include "bridge/settings/config.h"

#include "bridge/base/log.h"

/* --- table --- */

static const char *const states[] = {
	[PUBLISH_STATE_AUTO] = "auto", [PUBLISH_STATE_YES] = "yes", [PUBLISH_STATE_NO] = "no", NULL};
static const char *const customs[] = {
	[PUBLISH_CUSTOM_ACTIVE] = "active", [PUBLISH_CUSTOM_ALL] = "all", [PUBLISH_CUSTOM_NONE] = "none", NULL};
const char *const config_raw_words[] = {
	[PUBLISH_RAW_NO] = "no", [PUBLISH_RAW_ERRORS] = "errors", [PUBLISH_RAW_YES] = "yes", NULL};
static const char *const formats[] = {[PUBLISH_JSON] = "json", [PUBLISH_MSGPACK] = "msgpack", NULL};
static const char *const unknowns[] = {
	[UNITS_UNKNOWN_ACCEPT] = "accept", [UNITS_UNKNOWN_REJECT] = "reject", NULL};
static const char *const syncs[] = {[CONFIG_SYNC_ALWAYS] = "always",
	[CONFIG_SYNC_INTERVAL] = "interval",
	[CONFIG_SYNC_NEVER] = "never",
	NULL};
static const char *const damaged[] = {
	[CONFIG_DAMAGED_ASIDE] = "aside", [CONFIG_DAMAGED_REFUSE] = "refuse", NULL};
static const char *const replies[] = {[RELAY_REPLIES_BRIDGE] = "bridge", [RELAY_REPLIES_RELAY] = "relay", NULL};
static const char *const levels[] = {[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARNING] = "warning",
	[LOG_LEVEL_NOTICE] = "notice",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
	NULL};

#define AT(field) offsetof(struct config, field)
#define SECOND CONFIG_SECOND
#define HOUR CONFIG_HOUR
#define DAY CONFIG_DAY

static const struct option_row listen_rows[] = {
	{"tcp", OPTION_ENDPOINTS, 0, AT(listen.tcp), "0.0.0.0:8888", 0, 0, NULL,
		"Addresses for TCP units: address:port, comma-separated; IPv6 in brackets; empty: none."},
	{"udp", OPTION_ENDPOINTS, 0, AT(listen.udp), "0.0.0.0:8888", 0, 0, NULL, "Addresses for UDP units."},
	{"tls", OPTION_ENDPOINTS, 0, AT(listen.tls), "", 0, 0, NULL,
		"Addresses for TCP units and relays that speak TLS."},
	{"tls_cert_file", OPTION_TEXT, OPTION_FILE, AT(listen.tls_cert_file), "", 0, 180, NULL,
		"Certificate (PEM, with the chain behind it) for `tls`. Read again by a reload."},
	{"tls_key_file", OPTION_TEXT, OPTION_FILE | OPTION_PRIVATE, AT(listen.tls_key_file), "", 0, 180, NULL,
		"Its private key (PEM). Read again by a reload."},
	{"max_connections", OPTION_INTEGER, OPTION_RELOAD, AT(listen.max_connections), "100000", 1, 10000000,
		NULL,
		"Connections (TCP) and peers (UDP) at a time; then a UDP peer or the address with most gives "
		"one up for others, or "
		"they are refused. Those of units of the units file always have a place."},
	{"max_connections_per_address", OPTION_INTEGER, OPTION_RELOAD, AT(listen.max_connections_per_address),
		"0", 0, 10000000, NULL,
		"The same for one address (IPv6: /64); 0: no limit, for many units share the address of their "
		"operator."},
	{"proxy_protocol", OPTION_SOME_ENDPOINTS, 0, AT(listen.proxy_protocol), "no", 0, 0, NULL,
		"Addresses behind a proxy: TCP must begin with a PROXY header, v1 or v2; UDP has it in the "
		"first datagram from each port of the proxy, or in all. yes: all."},
	{"proxy_from", OPTION_NETWORKS, OPTION_RELOAD, AT(listen.proxy_from), "127.0.0.1,::1", 0, 0, NULL,
		"Proxies: only these may connect there, and only their datagrams' headers are believed."},
	{"first_frame_timeout", OPTION_DURATION, OPTION_RELOAD, AT(listen.first_frame_timeout), "30s", SECOND,
		DAY, NULL, "A connection that has not sent a whole frame after this time is closed."},
	{"idle_timeout", OPTION_DURATION, OPTION_RELOAD, AT(listen.idle_timeout), "30m", SECOND, 30 * DAY, NULL,
		"A TCP unit that has been silent for this time is closed."},
	{"drain_per_second", OPTION_INTEGER, OPTION_RELOAD, AT(listen.drain_per_second), "100", 1, 100000, NULL,
		"So many connections a second are closed while the bridge is drained (SIGUSR1)."},
	{"udp_timeout", OPTION_DURATION, OPTION_RELOAD, AT(listen.udp_timeout), "30m", SECOND, 30 * DAY, NULL,
		"A UDP unit that has been silent for this time is off line."},
	{"tcp_keepalive", OPTION_DURATION, OPTION_RELOAD, AT(listen.keepalive), "2m", 0, HOUR, NULL,
		"A silent TCP connection is probed after this time, so that units behind a dead NAT are "
		"noticed; 0: never. For new connections."},
	{"tcp_user_timeout", OPTION_DURATION, OPTION_RELOAD, AT(listen.user_timeout), "2m", 0, HOUR, NULL,
		"A TCP connection that acknowledges nothing for this time is broken; 0: as the system "
		"says. For new connections."},
	{.key = NULL},
};

static const struct option_row limits_rows[] = {
	{"unidentified", OPTION_INTEGER, OPTION_RELOAD, AT(limits.unidentified), "10000", 1, 10000000, NULL,
		"Connections that have not named a unit yet (one over TLS counts as ten); when there are more, "
		"the oldest of the address with most is closed."},
	{"units", OPTION_INTEGER, OPTION_RELOAD, AT(limits.units), "200000", 1, 10000000, NULL,
		"Units on line at a time that are not in the units file; then the address with most gives one "
		"up for others."},
	{"units_per_connection", OPTION_INTEGER, OPTION_RELOAD, AT(limits.units_per_connection), "1000", 1,
		10000000, NULL, "Units that may speak through one connection or UDP peer."},
	{"frames_per_unit", OPTION_INTEGER, OPTION_RELOAD, AT(limits.frames_per_unit), "200", 0, 10000000, NULL,
		"Records a second of one unit; beyond, reading pauses (TCP) or datagrams are left out (UDP); "
		"0: no limit."},
	{"frames_per_address", OPTION_INTEGER, OPTION_RELOAD, AT(limits.frames_per_address), "10000", 0,
		10000000, NULL, "The same for all that comes from one address (IPv6: /64)."},
	{"arrivals_per_address", OPTION_INTEGER, OPTION_RELOAD, AT(limits.arrivals_per_address), "500", 0,
		10000000, NULL,
		"New units a second that come on line from one address, in the same way; those of the units "
		"file and those that are remembered may always come."},
	{"udp_arrivals", OPTION_INTEGER, OPTION_RELOAD, AT(limits.udp_arrivals), "500", 0, 10000000, NULL,
		"New units a second that come on line over UDP from all addresses, which may be forged; those "
		"of the units file and those that are remembered may always come; 0: no limit."},
	{"input", OPTION_SIZE, OPTION_RELOAD, AT(limits.input), "16K", 4096, 128 << 10, NULL,
		"Most bytes read from a connection at a time, and kept for it while the outbox is full."},
	{"output", OPTION_SIZE, OPTION_RELOAD, AT(limits.output), "64K", 4096, 1 << 20, NULL,
		"Most bytes that wait for a unit that does not read; what is beyond is left out."},
	{"parts", OPTION_INTEGER, OPTION_RELOAD, AT(limits.parts), "32", 2, 255, NULL,
		"Most parts of a message that comes in several frames."},
	{.key = NULL},
};

static const struct option_row mqtt_rows[] = {
	{"host", OPTION_TEXT, OPTION_NOT_EMPTY | OPTION_HOST, AT(mqtt.host), "localhost", 0, 1000, NULL,
		"Name or address of the broker; or several that are tried in turn, such as a:1883, b:1883."},
	{"port", OPTION_INTEGER, 0, AT(mqtt.port), "1883", 1, 65535, NULL, "Port, where `host` has none."},
	{"version", OPTION_INTEGER, 0, AT(mqtt.version), "5", 4, 5, NULL, "MQTT version: 5, or 4 for 3.1.1."},
	{"client_id", OPTION_TEXT, 0, AT(mqtt.client_id), "", 0, 180, NULL,
		"Client id; empty: tracker2mqtt- and the instance."},
	{"username", OPTION_TEXT, 0, AT(mqtt.username), "", 0, 180, NULL, "User name; empty: none."},
	{"password", OPTION_TEXT, OPTION_SECRET, AT(mqtt.password), "", 0, 180, NULL, "Password."},
	{"password_file", OPTION_TEXT, OPTION_FILE | OPTION_PRIVATE, AT(mqtt.password_file), "", 0, 180, NULL,
		"File whose first line is the password, instead of `password`; empty: none. The service reads "
		"/etc/tracker2mqtt/mqtt-password so."},
	{"session", OPTION_DURATION, 0, AT(mqtt.session), "1h", 0, 30 * DAY, NULL,
		"How long the broker keeps the bridge's session while the bridge is away, so that a command "
		"(QoS 1) published "
		"meanwhile arrives later; 0: not at all. Under 3.1.1 the broker itself says how long."},
	{"keepalive", OPTION_DURATION, 0, AT(mqtt.keepalive), "60s", 5 * SECOND, HOUR, NULL,
		"MQTT keep-alive."},
	{"inflight", OPTION_INTEGER, 0, AT(mqtt.inflight), "1000", 1, 60000, NULL,
		"Messages on their way without the broker's acknowledgement; the broker may allow fewer."},
	{"connect_timeout", OPTION_DURATION, 0, AT(mqtt.connect_timeout), "10s", SECOND, HOUR, NULL,
		"How long to wait for the broker's answer to a connect."},
	{"qos", OPTION_INTEGER, 0, AT(mqtt.qos), "1", 0, 1, NULL,
		"QoS of messages. 0 is for brokers without QoS 1, and ends the guarantee: what is on its way "
		"when the "
		"connection breaks is lost."},
	{"ack_timeout", OPTION_DURATION, 0, AT(mqtt.ack_timeout), "60s", SECOND, HOUR, NULL,
		"A message that the broker does not acknowledge for so long, while it acknowledges others, is "
		"sent again "
		"over a new connection."},
	{"tls", OPTION_BOOLEAN, 0, AT(mqtt.tls), "no", 0, 0, NULL,
		"Speak TLS to the broker; its certificate must be valid for `host`."},
	{"tls_ca_file", OPTION_TEXT, OPTION_FILE, AT(mqtt.tls_ca_file), "", 0, 180, NULL,
		"Certificates (PEM) of the authorities to trust; empty: those of the system."},
	{"tls_cert_file", OPTION_TEXT, OPTION_FILE, AT(mqtt.tls_cert_file), "", 0, 180, NULL,
		"Certificate (PEM) to show the broker; empty: none. Read at each connect."},
	{"tls_key_file", OPTION_TEXT, OPTION_FILE | OPTION_PRIVATE, AT(mqtt.tls_key_file), "", 0, 180, NULL,
		"Its private key (PEM)."},
	{.key = NULL},
};

static const struct option_row publish_rows[] = {
	{"prefix", OPTION_TOPIC, 0, AT(publish.prefix), "trackers", 0, 100, NULL,
		"First level or levels of all topics. What was retained under another prefix stays there."},
	{"format", OPTION_CHOICE, 0, AT(publish.format), "json", 0, 0, formats, "Format of the records."},
	{"custom", OPTION_CHOICE, 0, AT(publish.custom), "active", 0, 0, customs,
		"Which parameters under custom. a record shows. active: booleans that are true and numbers "
		"that "
		"are not 0; all; none."},
	{"retain", OPTION_BOOLEAN, OPTION_RELOAD, AT(publish.retain), "yes", 0, 0, NULL,
		"Publish the newest position of each unit retained. no: what was retained is cleared."},
	{"state", OPTION_CHOICE, 0, AT(publish.state), "auto", 0, 0, states,
		"Publish the newest value of every key of each unit, retained in its state topic. auto: when "
		"Home "
		"Assistant or the page wants it. Switched off: what was published is cleared."},
	{"state_interval", OPTION_DURATION, OPTION_RELOAD, AT(publish.state_interval), "1s", 100, HOUR, NULL,
		"The state of a unit is published and stored at most once in this time."},
	{"raw", OPTION_CHOICE, OPTION_RELOAD, AT(publish.raw), "no", 0, 0, config_raw_words,
		"Publish frames as hex and text. errors: those that were rejected. yes: each one, in and out. "
		"The units file may say it for a unit, and <prefix>/<ident>/raw/set for a while."},
	{"unknown", OPTION_BOOLEAN, OPTION_RELOAD, AT(publish.unknown), "yes", 0, 0, NULL,
		"Publish what comes and is no unit: the first bytes of what no protocol recognises, with "
		"looks.like when they are "
		"known, and units that are not admitted; at most 60 a minute."},
	{"instance", OPTION_NAME, 0, AT(publish.instance), "", 0, 60, NULL,
		"Name of this bridge in topics and status; empty: the host name."},
	{"channel_id", OPTION_INTEGER, OPTION_RELOAD, AT(publish.channel_id), "1", 0, 4294967295LL, NULL,
		"Number of this bridge in each record (channel.id)."},
	{"stats_interval", OPTION_DURATION, OPTION_RELOAD, AT(publish.stats_interval), "60s", SECOND, DAY, NULL,
		"How often the counters are published."},
	{.key = NULL},
};

static const struct option_row commands_rows[] = {
	{"enabled", OPTION_BOOLEAN, 0, AT(commands.enabled), "yes", 0, 0, NULL,
		"Take commands from <prefix>/<ident>/cmd."},
	{"gap", OPTION_DURATION, OPTION_RELOAD, AT(commands.gap), "200ms", 0, 60 * SECOND, NULL,
		"Silence before and after a command on a unit's connection; units ignore what shares a "
		"segment."},
	{"timeout", OPTION_DURATION, OPTION_RELOAD, AT(commands.timeout), "30s", SECOND, DAY, NULL,
		"How long to wait for a unit's answer, unless the command says so itself."},
	{"hold", OPTION_DURATION, OPTION_RELOAD, AT(commands.hold), "0", 0, 30 * DAY, NULL,
		"How long a command for an absent unit is kept, unless it says so itself; 0: not at all."},
	{"allow", OPTION_TEXT, 0, AT(commands.allow), "", 0, 180, NULL,
		"Only these commands, comma-separated: names (position.request), words of text commands (D1); "
		"empty: all."},
	{"response_topics", OPTION_PREFIXES, 0, AT(commands.response_topics),
		"answers/,replies/,responses/,reply/,response/", 0, 180, NULL,
		"Beginnings of MQTT 5 response topics that are allowed beside the unit's own cmd/reply; empty: "
		"none."},
	{"max_held_per_unit", OPTION_INTEGER, OPTION_RELOAD, AT(commands.max_held_per_unit), "8", 1, 1000, NULL,
		"Commands that may wait for one unit, held or for their answer."},
	{.key = NULL},
};

static const struct option_row outbox_rows[] = {
	{"path", OPTION_TEXT, OPTION_DIRECTORY, AT(outbox.path), "/var/lib/tracker2mqtt/outbox", 0, 180, NULL,
		"Directory where messages wait for the broker; empty: in memory only, lost when the process "
		"ends. The default of a user who may not write it is ~/.local/state/tracker2mqtt/outbox."},
	{"size", OPTION_SIZE, 0, AT(outbox.size), "1G", 1 << 20, 1LL << 40, NULL,
		"Most bytes that wait for the broker; when full, reading from units pauses."},
	{"sync", OPTION_CHOICE, 0, AT(outbox.sync), "always", 0, 0, syncs,
		"When it is safe against power loss: before each acknowledgement, every sync_interval, or as "
		"the kernel likes."},
	{"sync_interval", OPTION_DURATION, 0, AT(outbox.sync_interval), "1s", 10, HOUR, NULL,
		"For sync = interval."},
	{"collect", OPTION_DURATION, OPTION_RELOAD, AT(outbox.collect), "5ms", 0, 1000, NULL,
		"What comes within this time is stored and acknowledged together, which saves CPU; under load "
		"the bridge takes less time."},
	{"damaged", OPTION_CHOICE, 0, AT(outbox.damaged), "aside", 0, 0, damaged,
		"What becomes of an outbox that cannot be read, after a power cut for example: its files are "
		"moved aside and an empty one begins, or the start is refused."},
	{.key = NULL},
};

static const struct option_row units_rows[] = {
	{"file", OPTION_TEXT, OPTION_FILE, AT(units.file), "", 0, 180, NULL,
		"Ini file with a section for each unit: name, id, type, topic, {per unit}; empty: none. "
		"Read again by a reload."},
	{"unknown", OPTION_CHOICE, OPTION_RELOAD, AT(units.unknown), "accept", 0, 0, unknowns,
		"Units that are not in the units file."},
	{"remember", OPTION_DURATION, OPTION_RELOAD, AT(units.remember), "90d", DAY, 3650 * DAY, NULL,
		"A unit that is not in the units file is forgotten so long after its last word; its retained "
		"topics are then "
		"cleared."},
	{"return", OPTION_DURATION, OPTION_RELOAD, AT(units.comes_back), "2m", SECOND, DAY, NULL,
		"Units that were on line when the bridge ended are off line when they have not come back so "
		"long "
		"after its start."},
	{"remembered", OPTION_INTEGER, OPTION_RELOAD, AT(units.remembered), "100000", 0, 10000000, NULL,
		"So many of them are remembered at most, as far as an eighth of the outbox' size has room (64 "
		"bytes each)."},
	{.key = NULL},
};

static const struct option_row owntracks_rows[] = {
	{"topic", OPTION_TEXT, 0, AT(owntracks.topic), "", 0, 120, NULL,
		"Positions in OwnTracks' form as well, to this topic: owntracks/{ident}/tracker; empty: not."},
	{.key = NULL},
};

static const struct option_row homeassistant_rows[] = {
	{"discovery", OPTION_BOOLEAN, 0, AT(homeassistant.discovery), "no", 0, 0, NULL,
		"Tell Home Assistant of each unit of the units file (MQTT discovery); needs format = json and "
		"the state topics. When it is switched off, the devices are removed from Home Assistant."},
	{"prefix", OPTION_TOPIC, 0, AT(homeassistant.prefix), "homeassistant", 0, 100, NULL,
		"First level or levels of Home Assistant's topics. Before it is changed, switch discovery off "
		"once."},
	{"unknown", OPTION_BOOLEAN, OPTION_RELOAD, AT(homeassistant.unknown), "no", 0, 0, NULL,
		"Tell Home Assistant of units that are not in the units file, too."},
	{"retain", OPTION_BOOLEAN, OPTION_RELOAD, AT(homeassistant.retain), "no", 0, 0, NULL,
		"Publish what Home Assistant is told retained; without, it is told again when it starts."},
	{"engine", OPTION_BOOLEAN, 0, AT(homeassistant.engine), "no", 0, 0, NULL,
		"Give Home Assistant buttons that stop and resume engines."},
	{.key = NULL},
};

static const struct option_row metrics_rows[] = {
	{"listen", OPTION_ENDPOINTS, 0, AT(metrics.listen), "", 0, 0, NULL,
		"Address for /metrics (Prometheus) and /healthz over HTTP, such as 127.0.0.1:9888; empty: "
		"none. It may be that of the page; then it speaks HTTPS where the page does."},
	{"offline_limit", OPTION_DURATION, OPTION_RELOAD, AT(metrics.offline_limit), "5m", SECOND, DAY, NULL,
		"/healthz says 503 when the broker has been away for so long."},
	{.key = NULL},
};

static const struct option_row web_rows[] = {
	{"listen", OPTION_ENDPOINTS, 0, AT(web.listen), "", 0, 0, NULL,
		"Address of the page in the browser, such as 127.0.0.1:8880; empty: none. Who opens it logs in "
		"with a user "
		"of the broker."},
	{"root", OPTION_TEXT, 0, AT(web.root), "/usr/share/tracker2mqtt/web", 0, 180, NULL,
		"Directory of the page's files."},
	{"mqtt", OPTION_TEXT, 0, AT(web.mqtt), "", 0, 180, NULL,
		"Empty: the page reaches the broker through the bridge, at /mqtt. Else the broker's own "
		"address for "
		"browsers, such as wss://broker.example/mqtt."},
	{"tiles", OPTION_TEXT, 0, AT(web.tiles), "", 0, 180, NULL,
		"Map tiles, such as https://tiles.example/{z}/{x}/{y}.png; empty: only the map that comes with "
		"the page, "
		"and nothing is asked of other servers."},
	{"tiles_attribution", OPTION_TEXT, 0, AT(web.tiles_attribution), "", 0, 180, NULL,
		"Whose tiles they are, as their owner wants it to be shown."},
	{"anonymous", OPTION_BOOLEAN, 0, AT(web.anonymous), "no", 0, 0, NULL,
		"Let browsers in without a user name: everybody who reaches the page is what the broker lets "
		"anonymous "
		"clients be."},
	{"max_viewers", OPTION_INTEGER, 0, AT(web.max_viewers), "64", 1, 10000, NULL,
		"Browsers at a time that reach the broker through the bridge; each may take 0.5 MiB of "
		"memory."},
	{"frame_ancestors", OPTION_TEXT, 0, AT(web.frame_ancestors), "", 0, 180, NULL,
		"Other pages that may show this one inside themselves, such as "
		"http://homeassistant.local:8123; empty: none."},
	{"tls_cert_file", OPTION_TEXT, OPTION_FILE, AT(web.tls_cert_file), "", 0, 180, NULL,
		"Certificate (PEM, with the chain behind it): the page speaks HTTPS. Empty: HTTP."},
	{"tls_key_file", OPTION_TEXT, OPTION_FILE | OPTION_PRIVATE, AT(web.tls_key_file), "", 0, 180, NULL,
		"Its private key (PEM)."},
	{.key = NULL},
};

static const struct option_row relay_rows[] = {
	{"server", OPTION_TEXT, 0, AT(relay.server), "", 0, 180, NULL,
		"host:port of the maker's platform, to which the frames of {relayed} units go as well; empty: "
		"none. "
		"In "
		"the units file, relay = no takes a unit out."},
	{"replies", OPTION_CHOICE, 0, AT(relay.replies), "bridge", 0, 0, replies,
		"Who answers those units: the bridge, or the platform through it; then the bridge does not "
		"acknowledge {relayed} frames itself."},
	{"buffer", OPTION_SIZE, 0, AT(relay.buffer), "16K", 1024, 1 << 20, NULL,
		"Most bytes that wait for the platform for each unit; beyond, the oldest frames are left out."},
	{.key = NULL},
};

static const struct option_row cluster_rows[] = {
	{"registry", OPTION_TEXT, 0, AT(cluster.registry), "", 0, 180, NULL,
		"Address of the Redis or Valkey that makes several bridges one fleet, such as "
		"redis://host:6379/0; rediss:// for "
		"TLS; several with commas; empty: this bridge is alone."},
	{"name", OPTION_NAME, OPTION_NOT_EMPTY, AT(cluster.name), "t2m", 0, 40, NULL,
		"Name of the fleet, the same for all of its bridges; the registry's keys begin with it."},
	{"username", OPTION_TEXT, 0, AT(cluster.username), "", 0, 180, NULL,
		"User name at the registry; empty: none."},
	{"password", OPTION_TEXT, OPTION_SECRET, AT(cluster.password), "", 0, 180, NULL,
		"Password at the registry; empty: none."},
	{"sentinels", OPTION_TEXT, 0, AT(cluster.sentinels), "", 0, 180, NULL,
		"Sentinels that know the master, as redis://host:26379, comma-separated; registry then names "
		"the master: redis://mymaster/0. Empty: registry is the server itself."},
	{"sentinel_username", OPTION_TEXT, 0, AT(cluster.sentinel_username), "", 0, 180, NULL,
		"User name at the Sentinels; empty: none."},
	{"sentinel_password", OPTION_TEXT, OPTION_SECRET, AT(cluster.sentinel_password), "", 0, 180, NULL,
		"Password at the Sentinels; empty: none."},
	{"tls_ca_file", OPTION_TEXT, 0, AT(cluster.tls_ca_file), "", 0, 180, NULL,
		"Certificates (PEM) of the authorities to trust for rediss://; empty: those of the system."},
	{"lease", OPTION_DURATION, 0, AT(cluster.lease), "10s", SECOND, 10 * 60 * SECOND, NULL,
		"A bridge of which the registry has heard nothing for so long is gone: others end its commands "
		"and tell its units "
		"off line."},
	{.key = NULL},
};

static const struct option_row log_rows[] = {
	{"level", OPTION_CHOICE, OPTION_RELOAD, AT(log.level), "info", 0, 0, levels, "What is logged."},
	{.key = NULL},
};

/* In the order of the sample. Without a name: here stand the sections of the codecs. */
static const struct {
	const char *name;
	const struct option_row *rows;
} sections[] = {
	{"listen", listen_rows},
	{"limits", limits_rows},
	{"mqtt", mqtt_rows},
	{"publish", publish_rows},
	{"commands", commands_rows},
	{"outbox", outbox_rows},
	{"units", units_rows},
	{NULL, NULL},
	{"owntracks", owntracks_rows},
	{"homeassistant", homeassistant_rows},
	{"metrics", metrics_rows},
	{"web", web_rows},
	{"relay", relay_rows},
	{"cluster", cluster_rows},
	{"log", log_rows},
};
#define SECTION_COUNT (sizeof(sections) / sizeof(sections[0]))

/* --- walking --- */

/* false: there are no more. */
static bool next_section(struct option_at *at)
{
	bool own = at->next < SECTION_COUNT && sections[at->next].name != NULL;
	if (at->next == SECTION_COUNT)
		return false;
	at->codec = own ? NULL : codecs[at->next_codec];
	if (own) {
		at->section = sections[at->next].name;
		at->row = sections[at->next].rows;
	} else if (at->codec != NULL) {
		at->section = at->codec->name;
		at->row = at->codec->options;
		at->next_codec++;
	}
	at->next += own || at->codec == NULL;
	return true;
}

bool option_next(struct option_at *at)
{
	if (at->row != NULL) {
		at->row++;
		at->number++;
	}
	while (at->row == NULL || at->row->key == NULL)
		if (!next_section(at))
			return false;
	return true;
}

bool option_find(const char *section, const char *key, struct option_at *out)
{
	*out = (struct option_at){0};
	while (option_next(out))
		if (strcmp(out->section, section) == 0 && strcmp(out->row->key, key) == 0)
			return true;
	return false;
}

void option_moved(const struct option_at *old, struct option_at *out)
{
	const char *name = old->row->standard, *dot = old->row->type == OPTION_MOVED ? strchr(name, '.') : NULL;
	char section[50];
	snprintf(section, sizeof(section), "%.*s", dot != NULL ? (int)(dot - name) : 0, name);
	if (dot == NULL || !option_find(section, dot + 1, out))
		*out = *old;
}

void *option_owner(struct config *config, const struct option_at *at)
{
	return at->codec != NULL ? codec_settings_of(config->codecs, at->codec) : config;
}
