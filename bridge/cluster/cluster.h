// SPDX-License-Identifier: MIT
/* cluster: several bridges, one fleet: who has a unit, who takes commands, what becomes of the units of a bridge that is gone.
 * Uses: bridge/broker, bridge/commands, bridge/outputs, bridge/units.
 * Not: know frames, hold up records, wait for the registry.
 *
 * A Redis or Valkey, the registry, knows which bridge has a unit: the one to which it connected last. etc/doc/cluster.md has the life of
 * a claim and of a command; scripts.h the keys. Records never ask. */
#ifndef T2M_CLUSTER_H
#define T2M_CLUSTER_H

#include "bridge/broker/mqtt.h"
#include "bridge/commands/downlink.h"
#include "bridge/outputs/homeassistant.h"
#include "bridge/outputs/records.h"
#include "bridge/outputs/state.h"
#include "bridge/outputs/status.h"
#include "bridge/units/session.h"

struct cluster;

/* What the cluster works with; all live longer. */
struct cluster_parts {
	struct ev_loop *loop;
	const struct config *config;
	struct sessions *sessions;
	struct outbox *outbox;
	struct publish *publish;
	struct status *status;
	struct records *records;
	struct state *state;                 /* NULL: not wanted */
	struct homeassistant *homeassistant; /* the same */
	struct downlink *downlink;
};

/* How many faults the options have; they are written to `errors`. */
unsigned cluster_check(const struct config *config, FILE *errors);

/* Before the first session: reserves memory in each. NULL: no memory, or the registry's addresses have faults. */
struct cluster *cluster_open(const struct cluster_parts *parts);
/* To be registered before the listener of the status. */
const struct unit_listener *cluster_listener(struct cluster *cluster);
/* Units that were remembered are someone else's until the registry says so. */
void cluster_recalled(struct cluster *cluster);
/* Asks the registry for the instance's name, for a few seconds at most; without an answer the bridge starts all the same. False: another
 * process has the name; `why`. */
bool cluster_begin(struct cluster *cluster, char *why, size_t size);
/* What the broker is given is checked from now on. */
void cluster_use_mqtt(struct cluster *cluster, struct mqtt *mqtt);
void cluster_free(struct cluster *cluster);

/* Once per turn of the loop, after outbox_sync. */
void cluster_turn(struct cluster *cluster);
/* Another process has taken the instance's name: this one is to end. */
bool cluster_is_usurped(const struct cluster *cluster);
/* The bridge stops; cluster_is_idle says when the registry has been told. */
void cluster_stop(struct cluster *cluster);
bool cluster_is_idle(const struct cluster *cluster);
/* What is wrong, a sentence; NULL: nothing. */
const char *cluster_trouble(const struct cluster *cluster);

#endif
