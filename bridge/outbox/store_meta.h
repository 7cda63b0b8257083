/* store_meta: the two meta pages of LMDB's file: reading them, putting a state back; and the mark: the copy of the state that
 * the disk surely has.
 * May use: the C library. May not: use LMDB.
 *
 * The mark: when the kernel writes pages as it likes (sync = interval), a power cut leaves new pages beside old ones, and what
 * the meta pages say is not all there. So each flush ends with the copy of a meta page in a file of its own, and no page of
 * that state is used again before the next flush has ended. The mark names the kernel that ran: under another one, that
 * state is put back. Two slots in turns, each with a sum, so that one is always whole. */
#ifndef T2M_STORE_META_H
#define T2M_STORE_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_FILE "data.mdb"
#define STORE_MARK_FILE "flushed"

/* One tree, as LMDB keeps it. */
struct store_tree {
	uint32_t pad; /* in the first tree of a meta page: the size of a page */
	uint16_t flags, depth;
	size_t branch_pages, leaf_pages, overflow_pages, entries, root;
};

/* One state, as LMDB keeps it in a meta page. */
struct store_meta {
	uint32_t magic, version;
	size_t address, map_size;
	struct store_tree free, main;
	size_t last_page, txnid;
};

/* Its page; in the file behind it the same bytes. */
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
	STORE_NEW,     /* nothing is there */
	STORE_DAMAGED, /* or not an outbox */
	STORE_ERROR    /* it cannot be read */
};

/* The newest state. When it is not STORE_FINE, `why` says what is wrong. */
enum store_condition store_meta_read(int fd, struct store_meta *meta, char *why, size_t why_size);
/* Makes this the newest state, and sees that the disk has it: 0 or errno. */
int store_meta_write(int fd, const struct store_meta *meta);

#define STORE_BOOT_MAX 40

struct store_mark {
	char magic[8];
	uint64_t sequence; /* the higher one of the two slots counts */
	char boot[STORE_BOOT_MAX];
	uint64_t clean; /* closed in order: nothing was written after it */
	struct store_meta meta;
	uint64_t sum;
};

/* The id of the running kernel. */
void store_boot_id(char id[STORE_BOOT_MAX]);
/* The mark of a directory; false: there is none. */
bool store_mark_read(const char *path, struct store_mark *mark);
bool store_mark_remove(const char *path);
/* Opens its file, with all the room that it needs: a descriptor, or -1 and errno. */
int store_mark_open(const char *path);
/* Makes the mark that follows `mark`; *offset is where it belongs. */
void store_mark_next(struct store_mark *mark, const struct store_meta *meta, bool clean, int64_t *offset);

#endif
