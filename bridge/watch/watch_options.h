// SPDX-License-Identifier: MIT
/* watch_options: what tracker2mqtt-watch is told: its command line and the environment.
 * Uses: bridge/base. */
#ifndef T2M_WATCH_OPTIONS_H
#define T2M_WATCH_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

struct watch_options {
	const char *host, *username, *client_id, *prefix;
	char *password;                           /* NULL: none */
	const char *cafile, *capath, *cert, *key; /* NULL: not given */
	bool tls, insecure;                       /* tls: one of its options was given */
	int port, keepalive,
		version; /* version: one of libmosquitto's MQTT_PROTOCOL_... is made of it: 31, 311, 5 */
	char **topics;   /* what to subscribe to */
	size_t topic_count;
	bool json, first, hint, no_retained;
	double seconds;      /* 0: without end */
	unsigned long count; /* 0: without end */
	const char *record;  /* NULL: none */
};

/* -1: go on; else what main returns, and everything is said. The texts of argv must stay. */
int watch_options_read(struct watch_options *o, int argc, char **argv);
void watch_options_free(struct watch_options *o);

#endif
