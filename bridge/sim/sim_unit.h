// SPDX-License-Identifier: MIT
/* sim_unit: the life of one simulated unit: connect, report, be acknowledged, send again.
 * Uses: bridge/base, codecs/record; <ev.h>.
 * Not: be part of the bridge.
 *
 * A unit makes a report each interval, connected or not, keeps it until it is acknowledged, and sends what is
 * not acknowledged again after reconnecting. Each report of a unit has a time of its own
 * (whole seconds), so `ident timestamp` names it. */
#ifndef T2M_SIM_UNIT_H
#define T2M_SIM_UNIT_H

#include "codecs/record/bytes.h"

#include <ev.h>
#include <netinet/in.h>
#include <stdio.h>

#define SIM_FRAME_MAX 2048
#define SIM_PENDING_MAX 20000 /* reports that a unit can store */
#define SIM_WINDOW 32         /* reports on their way at a time over TCP */

struct sim;

struct report {
	uint32_t number;
	uint16_t serial; /* of the frame that carried it last; the protocol's own */
	int64_t time_s;
};

struct sim_unit {
	struct sim *sim;
	char ident[21];
	uint32_t made; /* reports so far */
	int64_t last_time_s;
	struct report *pending; /* not acknowledged, the oldest first */
	uint32_t pending_count, pending_cap;
	uint32_t sent; /* of the pending ones, on this connection */
	bool connected, blocked, sos, dead;
	bool heard;                    /* the address that is tried acknowledges */
	const struct addrinfo *server; /* that address */
	int fd;
	ev_io io;
	ev_timer timer, retry, timeout;
	uint8_t in[SIM_FRAME_MAX];
	size_t in_len;
	uint8_t *out; /* what the socket did not take */
	size_t out_len;
	uint64_t priv[4]; /* the protocol's own; cleared on connecting */
};

/* How units speak one protocol. sim_<codec>.c has an array of them, `sim_<codec>`, that ends with a NULL name. */
struct sim_protocol {
	const char *name;
	/* A new connection: what is said first; may be nothing. */
	void (*hello)(struct sim_unit *u);
	/* The bytes of a report. */
	size_t (*report)(struct sim_unit *u, struct report *r, uint8_t out[SIM_FRAME_MAX]);
	/* Takes one frame off the input: its length, 0 when there is none yet. */
	size_t (*input)(struct sim_unit *u, struct span in);
	unsigned version; /* for the protocol's own use */
};

struct sim_counts {
	uint64_t made, sent, acknowledged, commands, answered, connects, lost, dropped;
};

struct sim {
	struct ev_loop *loop;
	struct addrinfo *
		servers; /* the addresses of the bridge: each unit tries one after another, until it is heard */
	struct sockaddr_storage from;
	socklen_t from_len; /* 0: any address */
	const struct sim_protocol *protocol;
	bool udp, silent;
	unsigned units;
	double interval, reconnect, ack_timeout;
	uint64_t reports; /* a unit; 0 = without end */
	unsigned alarm_every;
	double latitude, longitude;
	FILE *record;
	struct sim_counts counts;
	struct sim_unit *unit;
};

void sim_unit_start(struct sim_unit *u, double delay);
void sim_unit_stop(struct sim_unit *u);
/* For the protocols. */
void sim_unit_send(struct sim_unit *u, struct span frame);
/* The oldest report on its way is acknowledged. */
void sim_unit_acknowledged(struct sim_unit *u);
/* The protocol may send reports now. */
void sim_unit_ready(struct sim_unit *u);
/* The unit drops its connection, as after a restart. */
void sim_unit_hang_up(struct sim_unit *u);
/* Where the unit was at that report, in 1e-7 degrees; the speed in 1/100 knots, the course in degrees. */
struct sim_place {
	int64_t latitude, longitude;
	unsigned knots100, course;
};
struct sim_place sim_place(const struct sim_unit *u, const struct report *r);

#endif
