/* lanes: which orders wait because the broker refused a message of theirs, and when each is tried again.
 * May use: the C library, the clock's numbers as arguments. May not: know MQTT, or hold messages.
 *
 * An order that is in the table is not sent but for its first message, when that is due: after a second, then two, up to some
 * minutes. When that passes, what was left out behind it goes in one sweep over the backlog, for all that passed
 * by then; what is refused in it waits again. Memory: 32 bytes each, LANES_MOST at most. */
#ifndef T2M_LANES_H
#define T2M_LANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LANES_MOST (1u << 18)
#define LANES_FULL                                                                                             \
	(LANES_MOST - 65536u) /* from here on nothing new is sent: so what is on its way has a place */

enum lane_state {
	LANE_NONE = 0,
	LANE_WAITS, /* `first` is to be tried when due */
	LANE_TRIED, /* `first` is on its way */
	LANE_OPEN,  /* `first` has passed; what is behind it goes with the next sweep */
	LANE_SWEPT, /* the sweep gives out what is behind `first` */
};

struct lane {
	uint64_t order, first;
	int64_t due_ms;
	uint8_t state, tries;
	bool closes; /* the broker did not answer but closed the connection */
};

struct lanes {
	struct lane *slot;
	size_t size, count, open, scan; /* size: a power of two; scan: where the search for due ones goes on */
	int64_t scan_from_ms, woken_ms, tokens_ms;
	unsigned tokens;
	bool eager; /* one passed, and none was refused since: no limit to how many are tried a second */
};

void lanes_free(struct lanes *l);
/* NULL: this order does not wait. Valid until the next call that adds or removes. */
struct lane *lanes_find(const struct lanes *l, uint64_t order);
/* Message `number` of this order was refused. False: no memory. */
bool lanes_refused(struct lanes *l, uint64_t order, uint64_t number, bool closes, int64_t now_ms);
/* A message of this order was taken or set aside. */
void lanes_passed(struct lanes *l, uint64_t order, uint64_t number, int64_t now_ms);
/* One that may be tried now; NULL: none, for now. It is LANE_TRIED from then on. */
struct lane *lanes_try(struct lanes *l, int64_t now_ms);
/* The next sweep begins: those that passed take part; the lowest number behind which it must begin. False: there are none. */
bool lanes_begin_sweep(struct lanes *l, uint64_t *from);
/* The sweep is through: they are like all others again. */
void lanes_end_sweep(struct lanes *l);
/* The connection broke: what was on its way is not; all is looked at from the oldest message again. */
void lanes_rewind(struct lanes *l, int64_t now_ms);

#endif
