// SPDX-License-Identifier: MIT
/* send_order: which message goes next.
 * Uses: nothing else.
 * Not: know what is in a message, the disk or MQTT; ask for the time: `now_ms` is an argument, of a steady
 * clock.
 *
 * The backlog goes in order. Beside it go the messages of units that have none in the backlog (the live lane), and those of
 * orders that wait because the broker refused a message of theirs (lanes.h). A message is here its number and its order, which
 * says what unit it is about. Numbers rise. Messages of one order are given in the order of their numbers. A message is given
 * once, unless it is refused or postponed, or all begins again with send_order_rewind. */
#ifndef T2M_SEND_ORDER_H
#define T2M_SEND_ORDER_H

#include "bridge/outbox/lanes.h"

struct send_message {
	uint64_t number, order;
};

/* UNREADABLE: the messages cannot be read now, so it is not known whether there is one. */
enum send_found { SEND_FOUND, SEND_NONE, SEND_UNREADABLE };

/* Where the waiting messages are. Both are called by send_order_next alone. */
struct send_source {
	void *ctx;
	/* The first waiting message behind number `after`. */
	enum send_found (*behind)(void *ctx, uint64_t after, struct send_message *out);
	/* The message with exactly this number. */
	enum send_found (*at)(void *ctx, uint64_t number, struct send_message *out);
};

struct send_queue { /* of numbers */
	uint64_t *item;
	size_t head, count;
};

/* Orders share a group by hash; sharing one only makes them wait for each other. */
struct send_group {
	uint64_t last; /* number of the last message of these orders */
	bool live;     /* that message went into the live lane */
};

struct send_order {
	struct send_source source;
	uint64_t cursor; /* the backlog up to this number has been given, or waits in `lanes` */
	/* live: numbers waiting in the live lane. skip: numbers that the live lane has given already; the backlog jumps over them when it
	 * reaches them. */
	struct send_queue live, skip;
	unsigned turn;
	struct send_group *groups;
	struct lanes lanes;
	uint64_t sweep; /* the sweep (see lanes.h) has looked at all up to this number; 0: there is no sweep */
	size_t swept;   /* messages that the sweep has looked at */
	int64_t sweep_from_ms; /* the next sweep begins no earlier */
	size_t held; /* messages up to the cursor that wait because the broker refused them, or one before them */
	bool more; /* send_order_next gave up before it had looked at all: it looks on when it is called again */
	bool urgent;              /* an order of `lanes` goes next */
	struct send_message last; /* the one that was given last */
};

/* False: no memory. `source` is copied. */
bool send_order_open(struct send_order *o, const struct send_source *source);
void send_order_close(struct send_order *o);
/* A message from an earlier run waits: new ones of its order come after it. Before the first send_order_put, in rising order. */
void send_order_note_old(struct send_order *o, struct send_message message);
/* A message was put; `waiting` is how many are in the outbox, it included. */
void send_order_put(struct send_order *o, struct send_message message, size_t waiting);
/* Is nothing behind this message in its order? False also when that is not sure. */
bool send_order_is_last(const struct send_order *o, struct send_message message);
/* Do orders wait, so that send_order_next needs to know the time? */
bool send_order_needs_time(const struct send_order *o);
/* The next message of those up to number `stored`; it is the one that `source` found last. False: none, or see `more`. */
bool send_order_next(struct send_order *o, uint64_t stored, int64_t now_ms, struct send_message *out);
/* The message that was given last waits for so long, and its order behind it; 0: it is the next one that is given. */
void send_order_postpone(struct send_order *o, int64_t ms, int64_t now_ms);
/* Nothing that was given counts: all that `source` still has is given again, from the lowest number. */
void send_order_rewind(struct send_order *o, int64_t now_ms);
/* The broker has this message, or it was set aside: when its order waited for it, the order goes on. */
void send_order_passed(struct send_order *o, struct send_message message, int64_t now_ms);
/* The broker refused this message: its order waits. `closes`: the broker closed the connection instead of answering. */
void send_order_refused(struct send_order *o, struct send_message message, bool closes, int64_t now_ms);
/* How many messages wait because of send_order_refused and send_order_postpone, those behind them included; about. */
size_t send_order_held(const struct send_order *o);

#endif
