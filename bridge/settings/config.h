// SPDX-License-Identifier: MIT
/* config: the configuration: one struct, tables of options, one strict reader.
 * Uses: bridge/base.
 * Not: start anything, name a codec.
 *
 * The tables in options.c and those of the codecs are the source: the reader, the sample ini, --help and the man page come from
 * them. Durations are kept in milliseconds, sizes in bytes. */
#ifndef T2M_CONFIG_H
#define T2M_CONFIG_H

#include "bridge/settings/codec_settings.h"
#include "bridge/settings/option_types.h"

#include <stdio.h>

#define CONFIG_DEFAULT_FILE "/etc/tracker2mqtt/tracker2mqtt.ini"

/* What the words of the choices mean; the words stand in options.c. */
enum publish_format { PUBLISH_JSON = 0, PUBLISH_MSGPACK };
enum publish_custom { PUBLISH_CUSTOM_ACTIVE = 0, PUBLISH_CUSTOM_ALL, PUBLISH_CUSTOM_NONE };
enum publish_state { PUBLISH_STATE_AUTO = 0, PUBLISH_STATE_YES, PUBLISH_STATE_NO };
enum publish_raw { PUBLISH_RAW_NO = 0, PUBLISH_RAW_ERRORS, PUBLISH_RAW_YES };
extern const char *const config_raw_words[]; /* of enum publish_raw; ends with NULL */
enum units_unknown { UNITS_UNKNOWN_ACCEPT = 0, UNITS_UNKNOWN_REJECT };
enum relay_replies { RELAY_REPLIES_BRIDGE = 0, RELAY_REPLIES_RELAY };
enum config_sync { CONFIG_SYNC_ALWAYS = 0, CONFIG_SYNC_INTERVAL, CONFIG_SYNC_NEVER };
enum config_damaged { CONFIG_DAMAGED_ASIDE = 0, CONFIG_DAMAGED_REFUSE };

struct config {
	struct {
		struct endpoints tcp, udp, tls, proxy_protocol;
		struct networks proxy_from;
		char *tls_cert_file, *tls_key_file;
		int64_t max_connections, max_connections_per_address;
		int64_t drain_per_second;
		int64_t first_frame_timeout, idle_timeout, udp_timeout, keepalive, user_timeout;
	} listen;
	struct {
		int64_t unidentified, units, units_per_connection, arrivals_per_address, udp_arrivals,
			frames_per_unit, frames_per_address;
		int64_t input, output, parts;
	} limits;
	struct {
		char *host, *client_id, *username, *password, *password_file;
		char *tls_ca_file, *tls_cert_file, *tls_key_file;
		int64_t port, version, keepalive, inflight, connect_timeout, qos, ack_timeout, session;
		bool tls;
	} mqtt;
	struct {
		char *prefix, *instance;
		int64_t format, custom, state, state_interval, raw, channel_id, stats_interval;
		bool retain, unknown;
	} publish;
	struct {
		bool enabled;
		int64_t gap, timeout, hold, max_held_per_unit;
		char *allow, *response_topics;
	} commands;
	struct {
		char *path;
		int64_t size, sync, sync_interval, collect, damaged;
	} outbox;
	struct {
		char *file;
		int64_t unknown, remember, comes_back, remembered;
	} units;
	struct {
		char *topic;
	} owntracks;
	struct {
		bool discovery, unknown, retain, engine;
		char *prefix;
	} homeassistant;
	struct {
		struct endpoints listen;
		int64_t offline_limit;
	} metrics;
	struct {
		struct endpoints listen;
		char *root, *mqtt, *tiles, *tiles_attribution, *frame_ancestors, *tls_cert_file, *tls_key_file;
		int64_t max_viewers;
		bool anonymous;
	} web;
	struct {
		char *server;
		int64_t replies, buffer;
	} relay;
	struct {
		char *registry, *name, *username, *password, *tls_ca_file;
		char *sentinels, *sentinel_username, *sentinel_password;
		int64_t lease;
	} cluster;
	struct {
		int64_t level;
	} log;
	struct codec_settings *codecs; /* what the codecs bring */
	struct config_places *places;  /* where each option was set; NULL: nothing was read */
};

/* An option in its section: where option_next stands in the tables. All zero: before the first. */
struct option_at {
	const char *section;
	const struct option_row *row;
	const struct codec *codec; /* that it belongs to; NULL: to the bridge itself */
	size_t number;             /* counts from 0 */
	size_t next, next_codec;   /* option_next's own */
};

/* Goes to the next of all options, in the order of the sample; false: there is none. */
bool option_next(struct option_at *at);
/* The option with this key; false: there is none. */
bool option_find(const char *section, const char *key, struct option_at *out);
/* The option that this one is the old name of; every other option is its own. */
void option_moved(const struct option_at *old, struct option_at *out);
/* The struct that its row describes. */
void *option_owner(struct config *config, const struct option_at *at);

/* All defaults, as option_standard gives them. false: no memory; config_free is all that may follow. */
bool config_init(struct config *config);
void config_free(struct config *config);

/* Reads a file over the defaults, then the environment (TRACKER2MQTT_<SECTION>_<KEY>), then the password: of the option, of
 * password_file, or of the service's credential, a file `mqtt-password` in $CREDENTIALS_DIRECTORY, or, where that is not set,
 * beside `path`. An empty one is none. Writes one line for each fault to `errors`, and one for each option that stands there under
 * its old name, which is none. Returns the number of faults. `path` NULL: no file. */
unsigned config_load(struct config *config, const char *path, FILE *errors);

/* A fault of this option, or a notice that is none, in a line to `errors`, with the place where it was set: FILE:LINE, the variable of
 * the environment, or, when it is the default, FILE. `path` of config_load must still be there. Returns 1. */
unsigned config_fault(const struct config *config, FILE *errors, const char *section, const char *key,
	const char *format, ...) __attribute__((format(printf, 5, 6)));
void config_notice(const struct config *config, FILE *errors, const char *section, const char *key,
	const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Takes from `fresh` what may change while running; logs the name of every other change. */
void config_apply(struct config *config, const struct config *fresh);

/* The client id that the bridge shows the broker. Valid as long as `buf` and the configuration. */
#define CONFIG_CLIENT_ID_MAX 80
const char *config_client_id(const struct config *config, char buf[CONFIG_CLIENT_ID_MAX]);

/* Does the platform, to which frames are relayed, answer their units? */
bool config_platform_answers(const struct config *config);

/* The default for the user who runs this: of a directory below /var/lib that he may not write, the same name below his own
 * state ($XDG_STATE_HOME, ~/.local/state). Valid as long as `buf` of OPTION_STANDARD_MAX bytes. */
#define OPTION_STANDARD_MAX 200
const char *option_standard(const struct option_row *row, char *buf);

/* What it is for, with the codecs' own words where the row leaves a place for them. Valid as long as `buf` of OPTION_HELP_MAX
 * bytes. */
#define OPTION_HELP_MAX 600
const char *option_help(const struct option_row *row, char *buf);

/* The complete sample ini. */
void options_print(FILE *out);

#endif
