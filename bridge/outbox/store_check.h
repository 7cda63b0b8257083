/* store_check: reads the file of the store by itself and says in words what is damaged, before LMDB maps it.
 * May use: the C library, store_meta, refused. May not: use LMDB, write.
 *
 * LMDB trusts its file: a damaged one makes it read and write where it must not. What this room finds fine, LMDB can
 * open. Only pread is used, and every offset is checked, so the file may even change meanwhile.
 *
 * The file: pages; the first two are meta pages, written in turns, each the root of one state. A state: the tree of free
 * pages, the tree of the names of databases, and a tree for each database. */
#ifndef T2M_STORE_CHECK_H
#define T2M_STORE_CHECK_H

#include "bridge/outbox/refused.h"
#include "bridge/outbox/store_meta.h"

#define STORE_SHOWN 5

struct store_findings {
	char why[200];          /* when it is not fine */
	size_t messages, bytes; /* of the messages as packed */
	uint64_t first, last;   /* numbers of messages; 0: none */
	int64_t first_put_ms;
	uint64_t last_seqnum;                    /* as remembered */
	int64_t last_bytes;                      /* the same */
	size_t remembered, special, refused;     /* special: what the store keeps there for itself */
	uint64_t dropped;                        /* of what was set aside, for want of room */
	struct refused_shown shown[STORE_SHOWN]; /* number `n` of those set aside is in place n % STORE_SHOWN */
};

/* Walks this state: all of it, or (quick) only what leads to the counts. */
enum store_condition store_check(int fd, const struct store_meta *meta, bool quick, struct store_findings *out);

#endif
