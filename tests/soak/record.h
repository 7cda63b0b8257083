// SPDX-License-Identifier: MIT
/* record: what record.c and record_log.c share; see record.c. */
#ifndef T2M_RECORD_H
#define T2M_RECORD_H

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

enum kind {             /* powerloss.py has the same numbers */
	EVENT_END = 1,  /* of the event `id`: offset is what the call returned */
	EVENT_WRITE,    /* inode, offset, bytes; flag DSYNC */
	EVENT_SYNC,     /* inode; flags DIRECTORY, ALL */
	EVENT_TRUNCATE, /* inode, offset: the new size, also a larger one */
	EVENT_CREATE,   /* inode, name; flag DIRECTORY */
	EVENT_RENAME,   /* two names, each with its NUL */
	EVENT_UNLINK,   /* name */
	EVENT_SEND,     /* inode: the descriptor; bytes; flag DATAGRAM */
	EVENT_ACCEPT,   /* inode: the descriptor */
	EVENT_BEYOND,   /* a call that this recorder cannot follow: its name */
};

enum { FLAG_DSYNC = 1, FLAG_DIRECTORY = 2, FLAG_ALL = 4, FLAG_DATAGRAM = 8 };

struct event {
	uint32_t kind, flags;
	uint64_t id, time_ns, inode;
	int64_t offset;
	uint64_t len;
};

#define FD_MAX 65536

struct recorder {
	char root[400];
	size_t root_len;
	int log;
	_Atomic uint64_t id;
	uint64_t inode[FD_MAX]; /* of a file below the root that this descriptor is open on */
	bool dsync[FD_MAX], unit[FD_MAX];
};

extern struct recorder all;

/* The function of this name that would be called without this library. */
void *real(const char *name);
#define REAL(name) ((__typeof__(&name))real(#name))

/* One event; its id. */
uint64_t put(
	enum kind kind, unsigned flags, uint64_t inode, int64_t offset, const struct iovec *parts, int count);
void put_text(enum kind kind, unsigned flags, uint64_t inode, const char *text, size_t len);
/* The event of this id is over; what the call returned. */
void put_end(uint64_t id, int64_t result);

#endif
