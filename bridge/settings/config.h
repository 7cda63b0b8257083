/* config: the configuration: one struct, one table of options, one strict reader.
 * May use: inifile (config.c only), the codecs' option types.
 * May not: start anything.
 *
 * The table in options.c is the source: the reader, the sample ini, --help and the man page come from it.
 * Durations are kept in milliseconds, sizes in bytes. */
#ifndef T2M_CONFIG_H
#define T2M_CONFIG_H

#include "bridge/base/address.h"
#include "codecs/codec.h"

#include <stdio.h>

#define CONFIG_DEFAULT_FILE "/etc/tracker2mqtt/tracker2mqtt.ini"
#define CONFIG_ENDPOINTS_MAX 16

#define CONFIG_NETWORKS_MAX 32

/* durations are kept in milliseconds */
#define CONFIG_SECOND 1000LL
#define CONFIG_HOUR (3600 * CONFIG_SECOND)
#define CONFIG_DAY (24 * CONFIG_HOUR)

struct endpoints {
	unsigned count;
	bool all; /* the word `yes` instead of a list */
	union address item[CONFIG_ENDPOINTS_MAX];
};

struct networks {
	unsigned count;
	struct network item[CONFIG_NETWORKS_MAX];
};

struct config {
	struct {
		struct endpoints tcp, udp, tls, proxy_protocol;
		struct networks proxy_from;
		char *tls_cert_file, *tls_key_file;
		int64_t max_connections, max_connections_per_address;
		int64_t first_frame_timeout, idle_timeout, udp_timeout, keepalive, user_timeout;
	} listen;
	struct {
		int64_t unidentified, units, units_per_connection, arrivals_per_address, udp_arrivals,
			frames_per_unit, frames_per_address;
		int64_t input, output;
	} limits;
	struct {
		char *host, *client_id, *username, *password, *password_file;
		char *tls_ca_file, *tls_cert_file, *tls_key_file;
		int64_t port, version, keepalive, inflight, connect_timeout, qos, ack_timeout;
		bool tls;
	} mqtt;
	struct {
		char *prefix, *instance;
		int64_t format, channel_id, stats_interval;
		bool retain, raw, unknown;
	} publish;
	struct {
		bool enabled;
		int64_t gap, timeout, hold, max_held_per_unit;
		char *allow, *response_topics;
	} commands;
	struct {
		char *path;
		int64_t size, sync, sync_interval, damaged;
	} outbox;
	struct {
		int64_t ack;
	} h02;
	struct {
		char *file;
		int64_t unknown, remember, remembered;
	} units;
	struct {
		int64_t registration, timezone, max_packets;
		char *auth_code;
	} jt808;
	struct {
		char *topic;
	} owntracks;
	struct {
		bool discovery, retain, engine;
		char *prefix;
	} homeassistant;
	struct {
		struct endpoints listen;
		int64_t offline_limit;
	} metrics;
	struct {
		char *server;
		int64_t replies, buffer;
	} relay;
	struct {
		int64_t level;
	} log;
};

enum option_type {
	OPTION_TEXT = 0,
	OPTION_NAME,     /* letters, digits, . _ - */
	OPTION_TOPIC,    /* topic levels without wildcards */
	OPTION_PREFIXES, /* beginnings of topics, comma-separated */
	OPTION_BOOLEAN,
	OPTION_INTEGER,
	OPTION_DURATION,
	OPTION_SIZE,
	OPTION_CHOICE,
	OPTION_ENDPOINTS,
	OPTION_SOME_ENDPOINTS, /* no, yes, or a list */
	OPTION_NETWORKS,
	OPTION_TIMEZONE,
};

/* DIRECTORY: one that is made when it is missing; the default is another one for users who may not write it. */
enum { OPTION_SECRET = 1, OPTION_RELOAD = 2, OPTION_NOT_EMPTY = 4, OPTION_DIRECTORY = 8 };

struct config_option {
	const char *section, *key;
	enum option_type type;
	unsigned flags;
	size_t offset;
	const char *standard; /* the default, as text; option_standard gives the one of this user */
	int64_t min, max;     /* INTEGER, DURATION (ms), SIZE (bytes); TEXT: longest */
	const char *const *choices;
	const char *help;
};

extern const struct config_option option_table[];
extern const size_t option_count;
#define CONFIG_OPTIONS_MAX 128

/* All defaults, as option_standard gives them. false: no memory; config_free is all that may follow. */
bool config_init(struct config *config);
void config_free(struct config *config);

/* Reads a file over the defaults, then the environment (TRACKER2MQTT_<SECTION>_<KEY>), then the password: of the option, of
 * password_file, or of the service's credential, a file `mqtt-password` in $CREDENTIALS_DIRECTORY, or, where that is not set,
 * beside `path`. An empty one is none. Writes one line for each fault to `errors`. Returns the number of faults. `path` NULL: no file. */
unsigned config_load(struct config *config, const char *path, FILE *errors);

/* Takes from `fresh` what may change while running; logs the name of every other change. */
void config_apply(struct config *config, const struct config *fresh);

bool endpoints_have(const struct endpoints *list, const union address *a);

/* +HH:MM or -HH:MM as seconds east of Greenwich. */
bool option_timezone(const char *text, int64_t *out);
/* The place of a word in a list that ends with NULL; -1: it is not there. */
int option_choice(const char *const *choices, const char *text);
extern const char *const option_h02_acks[];
/* Sets one option from text, which is copied. False: `why` says what is wrong and what is allowed. */
bool option_set(
	struct config *config, const struct config_option *option, const char *text, char *why, size_t size);
const struct config_option *option_find(const char *section, const char *key);

/* The default for the user who runs this: of a directory below /var/lib that he may not write, the same name below his own
 * state ($XDG_STATE_HOME, ~/.local/state). Valid as long as `buf` of OPTION_STANDARD_MAX bytes. */
#define OPTION_STANDARD_MAX 200
const char *option_standard(const struct config_option *option, char *buf);

/* The allowed values in words: "5s to 1h", "always, interval or never". */
void option_allowed(const struct config_option *option, char *buf, size_t size);
/* The complete sample ini. */
void options_print(FILE *out);

#endif
