// SPDX-License-Identifier: MIT
/* fifo: items of one size, the first in is the first out; a ring that grows.
 * Uses: nothing else.
 * Not: know what the items are. */
#ifndef T2M_FIFO_H
#define T2M_FIFO_H

#include <stdbool.h>
#include <stddef.h>

/* All zero: empty. */
struct fifo {
	size_t size; /* bytes of an item */
	unsigned char *items;
	size_t head, count, room;
};

/* `item`, of `size` bytes, is copied; all have the same size. False: no memory, and nothing has changed. */
bool fifo_put(struct fifo *fifo, const void *item, size_t size);
/* Item i behind the first, of at least i + 1; valid until the next fifo_put. */
void *fifo_at(const struct fifo *fifo, size_t i);
/* Of at least one. */
void fifo_drop_first(struct fifo *fifo);
void fifo_drop_last(struct fifo *fifo);
/* It is empty then, and can be used again. */
void fifo_free(struct fifo *fifo);

#endif
