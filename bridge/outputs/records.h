// SPDX-License-Identifier: MIT
/* records: a record of a unit -> position or telemetry, and alarm.
 * Uses: nothing else.
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

/* Completes the record (protocol, peer, device, server's time and number) and publishes it. */
const struct unit_listener *records_listener(struct records *records);
/* Publishes its new alarms, and counts the record. */
const struct unit_listener *records_alarm_listener(struct records *records);

#endif
