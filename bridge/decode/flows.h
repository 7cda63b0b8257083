// SPDX-License-Identifier: MIT
/* flows: the connections that an input holds, side by side, and the bytes of each in order.
 * Uses: bridge/base.
 * Not: read a file. */
#ifndef T2M_FLOWS_H
#define T2M_FLOWS_H

#include "bridge/decode/decoder.h"
#include "bridge/decode/link.h"

struct flows;

/* `port`: only what is sent to it is decoded; 0: what the side sends that speaks first, or that opened the connection. NULL: no memory. */
struct flows *flows_open(struct decoder *decoder, const char *file, uint16_t port);
/* Decodes what is left and frees it. `stranger_fails`: bytes that no codec knows are a failure, even if others were known. */
void flows_close(struct flows *flows, bool stranger_fails);

/* Bytes of the connection of this name, in order. */
void flows_part(struct flows *flows, const char *name, unsigned long line, struct span bytes, int64_t now_ms);
/* A captured segment or datagram. TCP is put in order: repeats and overlaps are dropped, bytes that are missing for good are told. */
void flows_segment(struct flows *flows, unsigned long packet, const struct segment *segment, int64_t time_ms);

#endif
