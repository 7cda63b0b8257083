// SPDX-License-Identifier: MIT
/* fifo: see fifo.h. */
#include "bridge/base/fifo.h"

#include <stdlib.h>
#include <string.h>

#define ROOM_FIRST 64

void *fifo_at(const struct fifo *f, size_t i)
{
	return f->items + (f->head + i) % f->room * f->size;
}

static bool grow(struct fifo *f)
{
	size_t room = f->room > 0 ? f->room * 2 : ROOM_FIRST;
	unsigned char *items = malloc(room * f->size);
	if (items == NULL)
		return false;
	for (size_t i = 0; i < f->count; i++)
		memcpy(items + i * f->size, fifo_at(f, i), f->size);
	free(f->items);
	*f = (struct fifo){.size = f->size, .items = items, .count = f->count, .room = room};
	return true;
}

bool fifo_put(struct fifo *f, const void *item, size_t size)
{
	f->size = size;
	if (f->count == f->room && !grow(f))
		return false;
	memcpy(fifo_at(f, f->count++), item, size);
	return true;
}

void fifo_drop_first(struct fifo *f)
{
	f->head = (f->head + 1) % f->room;
	f->count--;
}

void fifo_drop_last(struct fifo *f)
{
	f->count--;
}

void fifo_free(struct fifo *f)
{
	free(f->items);
	*f = (struct fifo){.size = 0};
}
