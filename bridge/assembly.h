/* assembly: messages that came in several frames, put together within bounds.
 * May use: codec (struct codec_part). May not: know any protocol.
 *
 * Parts of one unit, kind and total belong together; part 1 starts anew; a repeated part replaces the earlier one. */
#ifndef T2M_ASSEMBLY_H
#define T2M_ASSEMBLY_H

#include "codec.h"

struct assembly;

struct assembly_limits {
	unsigned max_parts; /* of one message */
	size_t max_bytes;   /* of all connections together */
	size_t bytes;       /* now */
};

#define ASSEMBLY_LIMITS_STANDARD ((struct assembly_limits){.max_parts = 32, .max_bytes = 16 << 20})

/* OK: complete, *whole is valid until the next call with this list. MORE: kept. OVERSIZE: more than the limits
 * allow. BAD_LENGTH: the number makes no sense. */
enum codec_status assembly_add(struct assembly **list, struct assembly_limits *limits, const char *ident,
	const struct codec_part *part, int64_t now_ms, struct span *whole);

/* Frees all; returns how many messages were incomplete. */
unsigned assembly_free(struct assembly **list, struct assembly_limits *limits);

#endif
