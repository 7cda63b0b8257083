/* store_private: what the files of the store share. See store.h. */
#ifndef T2M_STORE_PRIVATE_H
#define T2M_STORE_PRIVATE_H

#include "bridge/outbox/done.h"
#include "bridge/outbox/flush.h"
#include "bridge/outbox/store.h"
#include "bridge/outbox/store_check.h"
#include "bridge/outbox/store_dir.h"

#include <lmdb.h>

/* Under a key that no ident can be: the last number, and the bytes of all messages. */
#define STORE_LAST_KEY "#last"

struct store {
	struct store_options options;
	char path[STORE_PATH_MAX], why[STORE_WHY_MAX];
	MDB_env *env; /* NULL: it is to be opened again */
	MDB_dbi messages, memory, refused;
	MDB_txn *writing, *reading;
	MDB_cursor *cursor;
	bool lost; /* the files are gone, cut or damaged: they are to be looked at before anything else */
	bool away; /* they are whole, but no longer where they were */
	int lock;
	int64_t looked_ms,
		again_ms; /* when the directory was looked at last; when opening may be tried again */

	uint64_t last;
	size_t count, bytes, remembered, special; /* special: keys of the store itself */
	struct done_set done;
	size_t done_bytes;
	uint8_t *copy; /* of the message that was read last */
	size_t copy_size;

	size_t page_size, map_pages, file_pages, used_pages, last_page;
	size_t tight_pages; /* used when the disk had no more; 0: it has */
	int tight_error;    /* what it said */

	/* sync = interval */
	struct flush flush;
	struct store_mark mark;
	int mark_fd;
	MDB_txn *safe,
		*flushing; /* hold on to the state that the mark has, and to the one that is being made safe */
	size_t flushed_page; /* last_page when the last flush began */
	bool flush_wanted;
};

/* Does `work`, which may touch what LMDB has mapped: its result, or MDB_CORRUPTED when that could not be read. */
int store_guarded(struct store *s, int (*work)(struct store *s, void *arg), void *arg);
int store_open_env(struct store *s, void *arg); /* to be called guarded */
void store_close_env(struct store *s);
int store_begin_reading(struct store *s);
/* store_write.c: the numbers that are kept with the messages, in a transaction. */
int store_note_last(struct store *s, MDB_txn *txn, uint64_t last, size_t bytes);
uint64_t store_key_number(const MDB_val *key);
/* What LMDB or the system said, in s->why. */
const char *store_say(struct store *s, int rc);
bool store_is_full(int rc);

/* Examines what is in the directory, decides, and opens it; the lock is held. False: s->why. */
bool store_bring_up(struct store *s, bool start);
/* Examines one directory, without LMDB: what is there, and the state that is to be used; *back: not the newest one. */
enum store_condition store_examine(
	const char *path, struct store_meta *state, bool *back, struct store_findings *found);
/* Opens again what was lost, with what can be kept. False: s->why. */
bool store_recover(struct store *s);

/* Stores s->last; to be called guarded. */
int store_write_last(struct store *s, void *arg);

/* Forgets what is more than may be remembered: what an earlier version left, then the rest. 0 or what LMDB said. */
int store_trim_memory(struct store *s);

/* Room in the file for so many pages more, besides those that deleting needs. */
bool store_make_room(struct store *s, size_t pages);
void store_note_usage(struct store *s, MDB_txn *txn);
/* Sizes of what is done, from the file. */
void store_measure_done(struct store *s);

/* sync = interval: what is open is made safe, and held on to. 0 or what went wrong. */
int store_first_mark(struct store *s);
void store_last_mark(struct store *s);
void store_let_go(struct store *s);

#endif
