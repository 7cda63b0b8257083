// SPDX-License-Identifier: MIT
/* outbox_options: how an outbox is kept; what the outbox and its store are both told.
 * Uses: nothing else. */
#ifndef T2M_OUTBOX_OPTIONS_H
#define T2M_OUTBOX_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

/* When the disk surely has what was stored: before it counts as stored, after each interval, or whenever the kernel likes. */
enum outbox_sync { OUTBOX_SYNC_ALWAYS = 0, OUTBOX_SYNC_INTERVAL, OUTBOX_SYNC_NEVER };
/* What becomes of a damaged outbox: it is moved aside and an empty one begins, or the start is refused. */
enum outbox_damaged { OUTBOX_DAMAGED_ASIDE = 0, OUTBOX_DAMAGED_REFUSE };

struct outbox_options {
	const char *
		path; /* a directory; "": in memory only. The outbox keeps the pointer: it is valid until outbox_close */
	size_t size; /* at most so many bytes wait, as outbox_bytes counts them */
	enum outbox_sync sync;
	int64_t sync_interval_ms; /* with OUTBOX_SYNC_INTERVAL */
	enum outbox_damaged damaged;
};

#endif
