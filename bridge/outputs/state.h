// SPDX-License-Identifier: MIT
/* state: what is known of a unit, the newest value of every key -> its state topic, retained. Of trusted units alone.
 * Uses: codecs/formats.
 * Not: know sockets, MQTT or other outputs.
 *
 * At most one is published per unit in [publish] state_interval, and none while the gate is closed: it is published when the gate
 * opens, as it is then. */
#ifndef T2M_STATE_H
#define T2M_STATE_H

#include "bridge/outputs/leftover.h"

struct state;

/* Does the configuration want it? */
bool state_is_wanted(const struct config *config);
/* What it leaves behind when it is not. */
extern const struct leftover_kind state_leftover;
/* Before the first unit; all three must live longer. NULL: no memory. */
struct state *state_open(const struct config *config, struct publish *publish, struct sessions *sessions);
void state_free(struct state *state);
/* To be registered behind who completes the record, and behind who publishes it. */
const struct unit_listener *state_listener(struct state *state);
/* And one that publishes the newest position again, where the unit has another name in topics, or after state_tell_places. */
const struct unit_listener *state_place_listener(struct state *state);
/* The broker has lost what it retained, as far as can be told: the newest position of each unit, if it is known from a fix, is published
 * again, soon. */
void state_tell_places(struct state *state);

/* At the start, before units are recalled: what an earlier run kept under a name that begins with #. And when all have been recalled. */
void state_recall_table(struct state *state, struct span name, struct span value);
void state_recalled(struct state *state);

/* --- in a cluster --- */

/* What is joined of another bridge names keys by that bridge's table. This one's, written to `text`; its key. */
#define STATE_TABLE_MOST (64 << 10)
uint32_t state_table(const struct state *state, struct writer *text);
/* Another bridge's. False: it is known already, or is none. */
bool state_learn_table(struct state *state, struct span text);

/* Does the broker take messages, soon? At first it does not. */
void state_gate(struct state *state, bool open);
/* Publishes what is due. `last`: all that has changed, for there will be no later time. In how many milliseconds it is to be called
 * again; -1: when something happens. */
int64_t state_turn(struct state *state, bool last, struct moment now);

#endif
