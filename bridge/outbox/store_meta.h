// SPDX-License-Identifier: MIT
/* store_meta: the two meta pages of LMDB's file; and the mark, a copy of the state that the disk surely has.
 * Uses: bridge/base.
 * Not: use LMDB.
 *
 * An older state can be put back into the meta pages.
 *
 * The mark: LMDB writes without waiting for the disk, and the kernel writes pages whenever it likes. A power cut then leaves new
 * pages beside old ones, and the newest meta page may name pages that were never written. So each flush ends with a copy of a meta
 * page in a file of its own, the mark. No page of that state is used again before the next flush has ended. The mark names the kernel
 * that ran (its boot id). When another kernel runs at the next start, or that cannot be told, the machine may have gone down, and the
 * state of the mark is put back. The mark has two slots, which are written in turns, each with a checksum: one of them is always
 * whole. */
#ifndef T2M_STORE_META_H
#define T2M_STORE_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_FILE "data.mdb"
#define STORE_MARK_FILE "flushed"

/* One tree, as LMDB keeps it. */
struct store_tree {
	uint32_t pad; /* in the tree `free` of a meta page: the size of a page */
	uint16_t flags, depth;
	size_t branch_pages, leaf_pages, overflow_pages, entries, root;
};

/* One state, as LMDB keeps it in a meta page; LMDB's own layout. */
struct store_meta {
	uint32_t magic, version;
	size_t address, map_size;
	struct store_tree free, main;
	size_t last_page, txnid;
};

/* The head of a page; LMDB's own layout. */
struct store_page {
	size_t number;
	uint16_t pad, flags;
	union {
		struct {
			uint16_t lower, upper;
		} node;
		uint32_t pages;
	};
};

enum store_condition {
	STORE_FINE,
	STORE_NEW,     /* there is no file, or an empty one */
	STORE_DAMAGED, /* or the file is not an outbox */
	STORE_ERROR    /* the file cannot be read now */
};

/* The newest state. When it is not STORE_FINE, `why` says what is wrong. */
enum store_condition store_meta_read(int fd, struct store_meta *meta, char *why, size_t why_size);
/* Makes this the newest state, and waits until the disk has it. 0 or errno. */
int store_meta_write(int fd, const struct store_meta *meta);
/* The same, without waiting for the disk. */
int store_meta_put(int fd, const struct store_meta *meta);

#define STORE_BOOT_MAX 40

struct store_mark {
	char magic[8];
	uint64_t sequence; /* of the two slots, the one with the higher sequence counts */
	char boot[STORE_BOOT_MAX];
	uint64_t clean; /* 1: the store was closed in order, and nothing was written after this mark */
	struct store_meta meta;
	uint64_t sum;
};

/* The boot id of the running kernel; "": it cannot be read. */
void store_boot_id(char id[STORE_BOOT_MAX]);
/* The mark of a directory; false: there is none. */
bool store_mark_read(const char *path, struct store_mark *mark);
/* False: there was none. */
bool store_mark_remove(const char *path);
/* Opens the file of the mark with O_DSYNC, and gives it all the room that it needs. A descriptor, which the caller closes, or -1 and
 * errno. */
int store_mark_open(const char *path);
/* Makes *mark the mark that follows it, of state `meta`; *offset is where it is to be written. A mark that could not be written is followed
 * by one of the same sequence, for the other slot has the last whole one. */
void store_mark_next(struct store_mark *mark, const struct store_meta *meta, bool clean, int64_t *offset);

#endif
