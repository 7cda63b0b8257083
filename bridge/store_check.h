/* store_check: reads the file of the store by itself and says in words what is damaged, before LMDB maps it.
 * May use: the C library, store_meta, message. May not: use LMDB, write.
 *
 * LMDB trusts its file: a damaged one makes it read and write where it must not. What this room finds fine, LMDB can
 * open. Only pread is used, and every offset is checked, so the file may even change meanwhile.
 *
 * The file: pages; the first two are meta pages, written in turns, each the root of one state. A state: the tree of free
 * pages, the tree of the names of databases, and a tree for each database. */
#ifndef T2M_STORE_CHECK_H
#define T2M_STORE_CHECK_H

#include "store_meta.h"

struct store_findings {
	char why[200];          /* when it is not fine */
	size_t messages, bytes; /* of the messages as packed */
	uint64_t first, last;   /* numbers of messages; 0: none */
	int64_t first_put_ms;
	uint64_t last_seqnum;                /* as remembered */
	int64_t last_bytes;                  /* the same */
	size_t remembered, special, refused; /* special: what the store keeps there for itself */
};

/* Walks this state: all of it, or (quick) only what leads to the counts. */
enum store_condition store_check(int fd, const struct store_meta *meta, bool quick, struct store_findings *out);

#endif
