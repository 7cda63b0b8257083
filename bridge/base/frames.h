// SPDX-License-Identifier: MIT
/* frames: frames one behind the other in one buffer, each behind its length in two bytes.
 * Uses: codecs/record.
 * Not: own the buffer, or know what is in a frame.
 *
 * The caller owns the buffer and remembers `len`, the number of bytes in it that frames take. */
#ifndef T2M_FRAMES_H
#define T2M_FRAMES_H

#include "codecs/record/bytes.h"

#define FRAMES_HEAD 2
#define FRAMES_LONGEST UINT16_MAX

/* The bytes that a frame of this length takes. */
static inline size_t frames_need(size_t frame_len)
{
	return FRAMES_HEAD + frame_len;
}

/* Puts a frame behind the others and returns the new `len`. The buffer has room for frames_need, and the frame is no longer than
 * FRAMES_LONGEST. */
static inline size_t frames_put(uint8_t *buffer, size_t len, struct span frame)
{
	struct writer w = writer_of(buffer + len, frames_need(frame.len));
	writer_counted(&w, frame);
	return len + w.len;
}

/* The first frame; `len` is not 0. Valid until the buffer changes. */
static inline struct span frames_first(const uint8_t *buffer)
{
	return span_of(buffer + FRAMES_HEAD, (size_t)buffer[0] << 8 | buffer[1]);
}

/* Removes the first frame and returns the new `len`; `len` is not 0. */
static inline size_t frames_drop(uint8_t *buffer, size_t len)
{
	size_t n = frames_need(frames_first(buffer).len);
	memmove(buffer, buffer + n, len - n);
	return len - n;
}

#endif
