// SPDX-License-Identifier: MIT
/* buffers: see buffers.h. */
#include "bridge/peers/buffers.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define SPARES_MOST 512

struct spare {
	struct spare *next;
};

uint8_t *buffer_grow(struct buffers *b, uint8_t *old, uint32_t *cap, size_t len, size_t need)
{
	uint32_t size = BUFFER_BYTES;
	while (size < need)
		size *= 2;
	uint8_t *fresh = NULL;
	if (size == BUFFER_BYTES && b->spares != NULL) {
		fresh = (uint8_t *)b->spares;
		LL_DELETE(b->spares, b->spares);
		b->count--;
	} else {
		fresh = malloc(size);
	}
	if (fresh == NULL)
		return NULL;
	if (len > 0)
		memcpy(fresh, old, len);
	buffer_done(b, old, *cap);
	*cap = size;
	return fresh;
}

void buffer_done(struct buffers *b, uint8_t *buffer, uint32_t cap)
{
	if (cap != BUFFER_BYTES || b->count == SPARES_MOST) {
		free(buffer);
		return;
	}
	struct spare *spare = (struct spare *)(void *)buffer;
	LL_PREPEND(b->spares, spare);
	b->count++;
}

void buffers_free(struct buffers *b)
{
	while (b->spares != NULL) {
		struct spare *spare = b->spares;
		LL_DELETE(b->spares, spare);
		free(spare);
	}
	b->count = 0;
}
