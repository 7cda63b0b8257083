// SPDX-License-Identifier: MIT
/* buffers: memory for what one peer sent and for what it is owed. Both come and go with each frame, so buffers of the usual size are
 * kept for the next one.
 * Uses: nothing else.
 * Not: know whose they are. */
#ifndef T2M_BUFFERS_H
#define T2M_BUFFERS_H

#include <stddef.h>
#include <stdint.h>

#define BUFFER_BYTES 2048 /* the usual size, and the least */

/* Those that nobody uses now; all zero at first. */
struct buffers {
	struct spare *spares;
	unsigned count;
};

/* A buffer of at least `need` bytes that begins with the first `len` of `old`, which it replaces; its size goes to `cap`.
 * NULL: no memory, and `old` and `cap` stay as they are. `old` may be NULL with a `cap` of 0. */
uint8_t *buffer_grow(struct buffers *buffers, uint8_t *old, uint32_t *cap, size_t len, size_t need);
/* It is not used any more. `buffer` may be NULL. */
void buffer_done(struct buffers *buffers, uint8_t *buffer, uint32_t cap);
/* Frees those that nobody uses. */
void buffers_free(struct buffers *buffers);

#endif
