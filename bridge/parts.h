// SPDX-License-Identifier: MIT
/* parts: the rooms of the bridge and how they are joined.
 * Uses: bridge/base, bridge/broker, bridge/cluster, bridge/commands, bridge/outbox, bridge/outputs,
 * bridge/peers, bridge/settings, bridge/units, bridge/web.
 * Not: hold any logic of its own.
 *
 * The life of a frame. Each line is a call of the one before; `…` waits for the loop.
 *
 *   listener           a connection is accepted or a datagram received: conns_accept(), conns_datagram()
 *   peers/conn         the kernel has bytes: conn_on_io(), conn_take(); what a PROXY header says stands before them
 *   units/session      conn_ops.input: codec_next() recognises the protocol and finds one frame, codec_decode() reads it
 *   codecs/<protocol>  says through struct codec_sink, in this order: identify, record, reply, send
 *   units/session      session_identify(): is the unit admitted, does it take over, is there a place? It comes on line
 *   units/events       events_record(): every listener is told, in the order in which listen_to_units() registered it
 *   outputs/records    completes the record, writes it with telemetry_emit() under its topic: publish_put(), outbox_put()
 *   peers/conn_out     conn_answer(): the acknowledgement is queued, it does not leave yet
 *   …
 *   parts_turn()       outbox_sync(): the turn's messages are stored, and a flush makes them safe beside the loop
 *   …                  the flush ends and wakes the loop
 *   parts_turn()       outbox_sync(): what the flush had is safe. Only then conns_flush(): the unit is acknowledged
 *   broker/mqtt        mqtt_kick(): what the window has room for is published
 *   …                  the broker acknowledges: outbox_taken(). Only now the record is forgotten
 *
 * The life of a command.
 *
 *   broker/mqtt_routes a message of <prefix>/+/cmd goes to its route: downlink_message()
 *   commands/downlink  request_parse(), request_resolve(): a text, or a named command of the unit's codec with its arguments
 *   units/session      session_find(), session_encode(): the codec writes the frame; session_send() queues it: conn_command()
 *   …
 *   peers/conn_out     conn_work(): the frame leaves alone, `gap` after anything else; `sent`
 *   …
 *   units/session      a frame of the unit answers: events_reply() tells downlink; the token says which command it answers
 *   commands/outcome   outcome_tell(): one end, counted, logged, and published to …/cmd/reply through the outbox. What is not
 *                      answered ends in downlink_tick() (timeout, expired), with events_offline(), or in downlink_stop() */
#ifndef T2M_PARTS_H
#define T2M_PARTS_H

#include "bridge/settings/config.h"
#include "bridge/peers/conn_all.h"
#include "bridge/commands/allowed.h"
#include "bridge/cluster/cluster.h"
#include "bridge/commands/downlink.h"
#include "bridge/outputs/homeassistant.h"
#include "bridge/peers/listener.h"
#include "bridge/base/collect.h"
#include "bridge/base/http.h"
#include "bridge/outputs/info.h"
#include "bridge/outputs/metrics.h"
#include "bridge/broker/mqtt.h"
#include "bridge/outbox/outbox.h"
#include "bridge/outputs/relay.h"
#include "bridge/units/session.h"
#include "bridge/web/web.h"
#include "bridge/outputs/owntracks.h"
#include "bridge/outputs/publish.h"
#include "bridge/outputs/raw.h"
#include "bridge/outputs/records.h"
#include "bridge/outputs/state.h"
#include "bridge/outputs/status.h"

struct bridge {
	struct ev_loop *loop;
	const char *path;
	struct config config;
	struct stats stats;
	struct outbox *outbox;
	ev_async disk; /* the disk has answered the outbox */
	struct units *units;
	struct sources *sources;
	struct sessions *sessions;
	uint64_t connects; /* to the broker, of which the parts know */
	struct collect collect;
	bool info_due;     /* `info` is to be published */
	int64_t wishes_ms; /* when wishes are looked for; steady time */
	unsigned unread;   /* notes of units that are none */
	struct publish *publish;
	struct status *status;
	struct records *records;
	struct state *state;                          /* NULL: not wanted */
	struct leftover *no_state, *no_homeassistant; /* in their places, where these are not wanted */
	struct owntracks *owntracks;                  /* NULL: not wanted */
	struct raw *raw;
	struct conns *conns;
	struct listeners *listeners;
	struct downlink *downlink;
	struct mqtt *mqtt;
	struct homeassistant *homeassistant; /* NULL: not wanted */
	struct cluster *cluster;             /* NULL: this bridge is alone */
	struct relay *relay;                 /* NULL: not wanted */
	struct http *http;                   /* NULL: not wanted */
	struct metrics *metrics;             /* NULL: not wanted */
	struct web *web;                     /* NULL: not wanted */
	char trouble[120];
	ev_prepare before_sleep;
	ev_timer stats_timer, stop_timer, command_timer, service_timer, wake;
	ev_signal term, interrupt, hangup, drain;
	int64_t started_ms; /* by the steady clock; 0: not yet */
	bool stopping;
	bool drains;      /* no new connections; units are asked to go */
	double drain_due; /* so many connections are to be closed */
};

/* Gives the log the options of the configuration. */
void parts_use_config(struct bridge *bridge);
/* This turn of the loop by both clocks. */
struct moment parts_now(const struct bridge *bridge);
/* The gauges among the counters as they are now. */
void parts_refresh_stats(void *bridge);
/* Opens what lies between the sockets and the broker: all but relay, mqtt, metrics and listeners. False: `why`; parts_close
 * is still due. */
bool parts_open_inside(struct bridge *bridge, char *why, size_t size);
/* Opens every part, the listeners last. False: `why`; parts_close is still due. */
bool parts_open(struct bridge *bridge, char *why, size_t size);
/* Once per turn of the loop: who is to go goes, then the disk, then the units. When it wants to be
 * called again, in ms; -1: when something happens. */
int64_t parts_turn(struct bridge *bridge);
/* Behind each turn: how many microseconds the loop collects what comes before the next one. */
int64_t parts_collect_us(struct bridge *bridge);
/* Is everything told that is to be told before the process ends, or has another process taken the instance's name? */
bool parts_are_done(const struct bridge *bridge);
bool parts_are_usurped(const struct bridge *bridge);
#define PARTS_TICK 0.25 /* seconds between two parts_tick */
/* What waits for a unit, or for its answer, may have waited long enough. */
void parts_tick(struct bridge *bridge);
/* The bridge stops: what is stored is acknowledged, commands end, units go. The outbox stays open. */
void parts_stop(struct bridge *bridge);
/* Reads the configuration, the units file and the certificate of the listeners again. False: one of them has faults, they
 * are told, and nothing has changed. */
bool parts_reload(struct bridge *bridge);
void parts_close(struct bridge *bridge);

#endif
