// SPDX-License-Identifier: MIT
/* records: a record of a unit -> position or telemetry, and alarm.
 * Uses: bridge/base.
 * Not: know sockets, MQTT or other outputs.
 *
 * What a record gives leaves in this order: the record itself, what other outputs make of it, its alarm. Hence two listeners: the
 * first completes the record, for all behind it; the other one ends it. */
#ifndef T2M_RECORDS_H
#define T2M_RECORDS_H

#include "bridge/outputs/publish.h"

struct records;

/* Before the first unit. NULL: no memory. */
struct records *records_open(
	const struct config *config, struct publish *publish, struct sessions *sessions, struct stats *stats);
void records_free(struct records *records);
/* The configuration has changed, and is in force: positions that are not retained any more are cleared. */
void records_reload(struct records *records);

/* Publishes alarms that had no room, or that an earlier run left: once in a turn of the loop. */
void records_turn(struct records *records, struct moment now);

/* --- in a cluster: a unit that comes from another bridge, and what that bridge has raised --- */

/* While publish_is_asking says so of a unit, its alarms wait until records_answer is called for it. `changed` is told when the alarms of a unit have
 * changed; it is kept. Before the first unit. */
typedef void records_changed(void *ctx, struct session *session);
void records_use_cluster(struct records *records, records_changed *changed, void *ctx);
/* `note` is that of the bridge that had the unit last; empty: there is none. `stale`: what is known here is from before another bridge had the
 * unit. */
void records_learn(struct records *records, struct session *session, bool stale, struct span note);
/* There is nothing more to learn: the alarms that waited are published, or dropped. Once for each unit that was asked for, before the session may be
 * forgotten. True: its alarms have changed. */
bool records_answer(struct records *records, struct session *session, struct moment now);

/* Completes the record (protocol, peer, device, server's time and number) and publishes it. */
const struct unit_listener *records_listener(struct records *records);
/* Publishes its new alarms, and counts the record. */
const struct unit_listener *records_alarm_listener(struct records *records);

#endif
