// SPDX-License-Identifier: MIT
/* store_private: what the files of the store share. See store.h.
 * Uses: <lmdb.h>.
 *
 * The files stand in order below: each calls only what stands before it. */
#ifndef T2M_STORE_PRIVATE_H
#define T2M_STORE_PRIVATE_H

#include "bridge/outbox/done.h"
#include "bridge/outbox/flush.h"
#include "bridge/outbox/keep.h"
#include "bridge/outbox/store.h"
#include "bridge/outbox/store_check.h"
#include "bridge/outbox/store_dir.h"

#include <lmdb.h>

/* A state whose pages are not used again. */
struct store_held {
	MDB_txn *txn; /* keeps them from it; NULL: no state is held */
	struct store_meta meta;
	uint64_t last; /* s->last and so on in this state */
	size_t count, bytes, special;
};

/* With sync = always the ring has all messages that are not safe, up to number s->last also those that are in the file. */
struct store_unsafe {
	size_t count, bytes;   /* of the ring's messages that are in the file */
	struct keep_list keep; /* what was kept or forgotten */
	struct done_set gone;  /* numbers of messages that were deleted */
	/* of these, what the flush under way makes safe: up to this change; these numbers */
	struct keep_change *keep_flushing;
	struct done_set gone_flushing;
};

struct store {
	struct store_options options;
	char path[STORE_PATH_MAX], why[STORE_WHY_MAX];
	MDB_env *env; /* NULL: it is to be opened again */
	MDB_dbi messages, memory, refused, kept[KEEP_KINDS];
	MDB_txn *writing, *reading;
	MDB_cursor *cursor;
	bool lost; /* the files are gone, cut or damaged: store_recover comes before anything else */
	bool away; /* the files are whole, but no longer where they were */
	int lock;
	int64_t looked_ms; /* when the directory was looked at last; steady time */
	int64_t again_ms;  /* when opening may be tried again; steady time */

	uint64_t last;              /* number of the last message that was stored */
	int64_t noted_ms;           /* when the file noted it last; steady time */
	size_t count, bytes;        /* messages in the file, those that are done as well */
	size_t remembered, special; /* keys in the memory; special: those of the store itself */
	struct done_set done;       /* messages that the broker has, which are still in the file */
	size_t done_bytes;
	struct keep_list keep;         /* what is to be kept or forgotten, and is not stored yet */
	size_t kept_bytes[KEEP_KINDS]; /* of what is kept and stored */
	uint8_t *copy;                 /* of the message that was read last */
	size_t copy_size;

	size_t page_size, map_pages, file_pages, used_pages, last_page;
	size_t tight_pages; /* pages in use when the disk had no more room; 0: it has room */
	int tight_error;    /* what the disk said then */

	/* not with sync = never: see store_sync.c */
	struct flush flush;
	struct store_mark mark;
	int mark_fd;
	struct store_held safe;     /* the state that the mark names */
	struct store_held flushing; /* the state that is being flushed */
	size_t flushed_page;        /* last_page when the last flush began */
	bool flush_wanted;

	/* sync = always: what is in the file and not safe yet, to be written anew if the disk fails */
	struct store_unsafe unsafe;
};

/* --- store_guard.c --- */

/* Signals of memory that cannot be read end the work at hand. Once for each store that is opened. */
void store_watch_faults(void);
void store_on_assert(MDB_env *env, const char *text); /* for LMDB: the same for its assertions */
/* Does `work`, which may touch what LMDB has mapped. Returns what `work` returned, or MDB_CORRUPTED when a page could not be
 * read: then s->lost is set. */
int store_guarded(struct store *s, int (*work)(struct store *s, void *arg), void *arg);
/* Does `work` guarded, in a transaction of its own, which is s->writing meanwhile. 0: it is committed. Else what `work` or
 * LMDB said: then nothing has changed, s->used_pages and s->remembered included. */
int store_transact(struct store *s, int (*work)(struct store *s, void *arg), void *arg);
bool store_is_full(int rc);
/* What LMDB or the system said, in s->why. */
const char *store_say(struct store *s, int rc);

/* --- store_room.c --- */

/* The most pages that so many bytes of messages take. */
size_t store_pages_for(const struct store *s, size_t bytes);
/* Counts the pages and the remembered keys that this transaction leaves. */
void store_note_usage(struct store *s, MDB_txn *txn);
/* Makes the file longer. 0 or errno. */
int store_grow(struct store *s, size_t pages);
/* Makes room in the file for so many pages more, besides those that deleting needs. False: there is too little. */
bool store_make_room(struct store *s, size_t pages);

/* --- store_read.c --- */

uint64_t store_key_number(const MDB_val *key);
/* s->reading and s->cursor, until store_rest. To be called guarded. 0 or what LMDB said. */
int store_begin_reading(struct store *s);
/* Calls `visit` for each pair of a database, in the order of the keys; 0 or what LMDB said, which at the end is MDB_NOTFOUND. Inside of
 * store_guarded. */
int store_walk(struct store *s, MDB_dbi dbi, void (*visit)(void *arg, const MDB_val *key, const MDB_val *value),
	void *arg);
/* Looks the sizes of what is done up in the file. */
void store_measure_done(struct store *s);

/* --- store_memory.c --- */

/* Forgets what is more than may be remembered: what an earlier version left, then the rest. 0 or what LMDB said. */
int store_trim_memory(struct store *s);
/* Notes the last number that was given, and the bytes of all messages, in a transaction. 0 or what LMDB said. */
int store_note_last(struct store *s, MDB_txn *txn, uint64_t last, size_t bytes);
/* Notes s->last and s->bytes, in a transaction of its own. */
int store_write_last(struct store *s);

/* --- store_kept.c --- */

/* What a transaction leaves. */
struct store_kept_size {
	const struct keep_change *up_to; /* the first change that is not in it */
	size_t bytes[KEEP_KINDS];        /* of all that is kept */
};
/* Writes, in a transaction, what belongs to messages up to number `stored`. 0 or what LMDB said. */
int store_write_kept(struct store *s, uint64_t stored, struct store_kept_size *size);
/* That transaction is committed. */
void store_kept_stored(struct store *s, const struct store_kept_size *size);
/* Looks the size of what is kept up in the file. */
void store_measure_kept(struct store *s);

/* --- store_sync.c --- */

/* What is open is made safe, and held on to. 0 or what went wrong. */
int store_first_mark(struct store *s);
/* The store closes in order: nothing is written after this mark. */
void store_last_mark(struct store *s);
/* No state is held on to any more. */
void store_let_go(struct store *s);
/* The newest state, to be let go with store_let_go_of. 0 or what LMDB said: then it is not held. */
int store_hold(struct store *s, struct store_held *held);
void store_let_go_of(struct store_held *held);
/* Makes s->mark the mark of the state that is held, to be written at *offset. */
void store_next_mark(struct store *s, const struct store_held *held, bool clean, int64_t *offset);

/* --- store_env.c --- */

/* Opens LMDB's environment, s->env. 0 or what LMDB said: then store_close_env is due. */
int store_open_env(struct store *s);
void store_close_env(struct store *s);

/* --- store_flush.c --- */

/* What is in the file and not safe, with sync = always, is to be written anew, because the file is about to be another. What was kept and
 * deleted is noted again; s->last becomes the number up to which all is safe. The ring still has the messages. */
void store_write_anew(struct store *s);

/* --- store_write.c --- */

/* Stores the ring's messages, and deletes what is done. 0: all of it; else what LMDB said. */
int store_write_all(struct store *s, struct outbox_ring *in);

/* --- store_open.c --- */

/* Examines one directory, without LMDB: what is there, and the state that is to be used; *back: it is not the newest one. */
enum store_condition store_examine(
	const char *path, struct store_meta *state, bool *back, struct store_findings *found);
/* Examines what is in the directory, decides, and opens it; the lock is held. `start`: the bridge starts. False: s->why. */
bool store_bring_up(struct store *s, bool start);
/* Opens again what was lost, with what can be kept. False: s->why. */
bool store_recover(struct store *s);

#endif
