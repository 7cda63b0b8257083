// SPDX-License-Identifier: MIT
/* lanes: which orders wait because the broker refused a message of theirs, and when each is tried again.
 * Uses: nothing else.
 * Not: know MQTT, hold messages, ask for the time: `now_ms` is an argument, of a steady clock.
 *
 * An order that waits has a lane. Only its first message is sent, when that is due: after a second, then two, up to four
 * minutes. Once the broker has taken that message, the lane is open: the messages behind it were left out, and are given in
 * one sweep over the backlog. One sweep serves all lanes that are open when it begins. A message that is refused during the
 * sweep makes its order wait again. Memory: 32 bytes a lane, LANES_MOST lanes at most. */
#ifndef T2M_LANES_H
#define T2M_LANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LANES_MOST (1u << 18)
#define LANES_FULL                                                                                             \
	(LANES_MOST - 65536u) /* with so many lanes nothing new is sent: each message on its way may need one */

enum lane_state {
	LANE_NONE = 0,
	LANE_WAITS, /* message `first` is sent when it is due */
	LANE_TRIED, /* message `first` is on its way to the broker */
	LANE_OPEN,  /* the broker took `first`; the next sweep gives what is behind it */
	LANE_SWEPT, /* the sweep at hand gives what is behind `first` */
};

struct lane {
	uint64_t order, first;
	int64_t due_ms;
	uint8_t state, tries;
	bool closes; /* the broker closed the connection instead of answering */
};

struct lanes {
	struct lane *slot;
	size_t size, count, open; /* slots, a power of two; those in use; those that are LANE_OPEN */
	size_t scan;              /* the slot where the search for lanes that are due goes on */
	int64_t scan_from_ms;     /* not before */
	int64_t woken_ms;         /* when all lanes were made due last; 0: never */
	unsigned tokens;          /* tries that are left */
	int64_t tokens_ms;        /* when `tokens` grew last */
	bool eager;               /* the broker took one, and refused none since: tries are not limited */
};

void lanes_free(struct lanes *l);
/* NULL: this order does not wait. Valid until the next call that adds or removes a lane. */
struct lane *lanes_find(const struct lanes *l, uint64_t order);
/* The broker refused message `number` of this order: the order waits. False: no memory. */
bool lanes_refused(struct lanes *l, uint64_t order, uint64_t number, bool closes, int64_t now_ms);
/* The broker took message `number` of this order, or it was set aside: when the order waited for it, its lane is open. */
void lanes_passed(struct lanes *l, uint64_t order, uint64_t number, int64_t now_ms);
/* Takes a lane that is due, and makes it LANE_TRIED: its message `first` is to be sent now. NULL: none may be tried now. */
struct lane *lanes_try(struct lanes *l, int64_t now_ms);
/* Begins a sweep for all lanes that are open, behind number *from. False: none is open. */
bool lanes_begin_sweep(struct lanes *l, uint64_t *from);
/* The sweep is through: the lanes that took part are removed. */
void lanes_end_sweep(struct lanes *l);
/* The connection broke: nothing is on its way any more, and the backlog begins again with the oldest message. */
void lanes_rewind(struct lanes *l, int64_t now_ms);

#endif
