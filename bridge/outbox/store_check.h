// SPDX-License-Identifier: MIT
/* store_check: reads the store's file without LMDB and says in words what is damaged, before LMDB maps the file.
 * Uses: nothing else.
 * Not: use LMDB, write.
 *
 * LMDB trusts its file: a damaged one makes LMDB read and write where it must not. A file that this room finds fine, LMDB
 * can open. Only pread is used, and every offset is checked, so the file may even change meanwhile.
 *
 * The file consists of pages. The first two are meta pages, which LMDB writes in turns; each is the root of one state. A
 * state is a tree of free pages, a tree of the names of databases, and a tree for each database. */
#ifndef T2M_STORE_CHECK_H
#define T2M_STORE_CHECK_H

#include "bridge/outbox/refused.h"
#include "bridge/outbox/store_meta.h"

#define STORE_SHOWN 5

struct store_findings {
	char why[200];          /* what is damaged; only when the result is not STORE_FINE */
	size_t messages, bytes; /* bytes: message_packed_size of all */
	uint64_t first, last;   /* numbers of messages; 0: none */
	int64_t first_put_ms;
	uint64_t last_seqnum; /* a number that was given, as the file notes it: `last` may be higher */
	int64_t last_bytes;   /* bytes of all messages, as the file noted them then */
	size_t remembered, special, refused; /* keys (special: those of the store itself); messages set aside */
	uint64_t dropped; /* messages that were set aside and then deleted for want of room */
	struct refused_shown shown[STORE_SHOWN]; /* number `n` of those set aside is in place n % STORE_SHOWN */
};

/* Reads all pages of this state. `quick`: only those that lead to the counts. `fd` stays open. */
enum store_condition store_check(int fd, const struct store_meta *meta, bool quick, struct store_findings *out);

/* Gives `each` what is kept of units, and then the keys of the memory (`value` is then empty, and `put_ms` when it was put); only the
 * first bytes of a long value. What does not belong to units is not read. */
typedef void store_each_unit(void *ctx, struct span ident, struct span value, int64_t put_ms);
enum store_condition store_read_units(
	int fd, const struct store_meta *meta, store_each_unit *each, void *ctx, struct store_findings *out);

#endif
