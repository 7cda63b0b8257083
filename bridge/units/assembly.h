// SPDX-License-Identifier: MIT
/* assembly: messages that came in several frames, put together within bounds.
 * Uses: codecs.
 * Not: know any protocol, the clock (`now_ms` is an argument, of a clock that never jumps).
 *
 * Nothing that is kept here has been acknowledged, so whatever is dropped comes again. Parts are kept by unit, whatever
 * connection they come by. Parts of one unit, kind and total belong together, in any order. A part that contradicts those
 * that are kept starts the message anew: another body under the same number, or an unasked part 1 with a later serial number.
 * After a message has ended, a digest of each of its parts stays for a while: a part that comes again is known.
 *
 * All bytes are counted: bodies, the structs, digests. Only the finished message is not, which lives as long as its frame.
 * Who pays for them is an address; units of the units file have a quarter of the memory for themselves. An address may hold
 * no more than what is then still free, so one greedy address gets half at most. Who needs room when it is scarce gets it from
 * an address that holds much more, and else from its own oldest message: n greedy addresses leave about 1/(n+1). */
#ifndef T2M_ASSEMBLY_H
#define T2M_ASSEMBLY_H

#include "codecs/codec.h"

struct assembly;

#define ASSEMBLY_PARTS_MAX 255     /* of one message, whatever the caller allows */
#define ASSEMBLY_BYTES (16u << 20) /* of all units together */

/* Whose part it is. */
struct assembly_from {
	const char *ident;
	const uint8_t *address; /* 16 bytes that stand for who pays; IPv6 by /64 */
	bool known;             /* a unit of the units file */
};

/* NULL: no memory. */
struct assembly *assembly_open(size_t max_bytes);
void assembly_free(struct assembly *assembly);

/* codec_sink.part. OVERSIZE: it has more parts than `max_parts`. What *out points to is valid until assembly_settle. */
enum codec_status assembly_add(struct assembly *assembly, const struct assembly_from *from, unsigned max_parts,
	const struct codec_part *part, int64_t now_ms, struct codec_parts *out);

/* The frame has been decoded, with this status. Frees the finished message. REFUSED: its parts stay, and the next one
 * that comes again completes it once more. */
void assembly_settle(struct assembly *assembly, enum codec_status status);

/* Drops what has been left alone for minutes; to be called every second or so. Returns how many incomplete messages were given
 * up since the last call. */
unsigned assembly_tidy(struct assembly *assembly, int64_t now_ms);

/* Asks the unit for the missing parts of a message that came from this address. False: not now. */
typedef bool assembly_ask(
	void *ctx, const char *ident, const uint8_t *address, const struct codec_parts *missing);
/* Asks for the rest of each message of which no part has come for a while: a few times, in the same distance. To be called every second
 * or so. */
void assembly_ask_late(struct assembly *assembly, assembly_ask *ask, void *ctx, int64_t now_ms);

/* Now, of all units. */
size_t assembly_bytes(const struct assembly *assembly);

#endif
