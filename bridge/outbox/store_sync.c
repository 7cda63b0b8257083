// SPDX-License-Identifier: MIT
/* store_sync: states that the disk surely has, and the mark that names the newest of them. See store.h.
 * Uses: nothing else.
 *
 * LMDB writes without a barrier between pages and meta page (MDB_NOSYNC), so after a power cut neither meta page may be
 * trusted. What counts is the mark, in this order: a state is held, so that LMDB does not use its pages again; an fdatasync
 * makes all pages of it safe; the mark that names it is written with O_DSYNC; and only then the pages of the state before
 * are let go. Before the last step the disk has the state before, after it this one, and never a part of either. */
#include "bridge/outbox/store_private.h"

#include <errno.h>
#include <unistd.h>

static int hold_state(struct store *s, void *arg)
{
	MDB_txn **txn = arg;
	int rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, txn);
	if (rc != 0)
		*txn = NULL;
	return rc;
}

int store_hold(struct store *s, struct store_held *held)
{
	char why[200];
	int fd, rc = mdb_env_get_fd(s->env, &fd);
	*held = (struct store_held){
		.last = s->last, .count = s->count, .bytes = s->bytes, .special = s->special};
	if (rc == 0)
		rc = store_guarded(s, hold_state, &held->txn);
	if (rc == 0 && store_meta_read(fd, &held->meta, why, sizeof(why)) != STORE_FINE)
		rc = MDB_CORRUPTED;
	if (rc != 0)
		store_let_go_of(held);
	return rc;
}

void store_let_go_of(struct store_held *held)
{
	if (held->txn != NULL)
		mdb_txn_abort(held->txn);
	held->txn = NULL;
}

void store_let_go(struct store *s)
{
	store_let_go_of(&s->safe);
	store_let_go_of(&s->flushing);
}

void store_next_mark(struct store *s, const struct store_held *held, bool clean, int64_t *offset)
{
	store_mark_next(&s->mark, &held->meta, clean, offset);
}

static int write_mark(struct store *s, const struct store_held *held, bool clean)
{
	int64_t offset;
	store_next_mark(s, held, clean, &offset);
	errno = EIO;
	if (pwrite(s->mark_fd, &s->mark, sizeof(s->mark), offset) == (ssize_t)sizeof(s->mark))
		return 0;
	s->mark.sequence--;
	return errno;
}

int store_first_mark(struct store *s)
{
	s->flushed_page = s->last_page;
	s->flush_wanted = false;
	store_let_go_of(&s->safe);
	s->safe.last = s->last;
	if (s->options.sync == OUTBOX_SYNC_NEVER) {
		if (store_mark_remove(s->path))
			store_dir_sync(s->path);
		return 0;
	}
	struct store_mark before;
	s->mark.sequence = store_mark_read(s->path, &before) ? before.sequence : 0;
	s->mark_fd = store_mark_open(s->path);
	if (s->mark_fd < 0)
		return store_is_full(errno) ? 0 : errno; /* each flush tries again to make the mark */
	store_dir_sync(s->path);
	int rc = mdb_env_sync(s->env, 1);
	if (rc == 0)
		rc = store_hold(s, &s->safe);
	return rc == 0 ? write_mark(s, &s->safe, false) : rc;
}

void store_last_mark(struct store *s)
{
	struct store_held last;
	if (s->mark_fd < 0 || mdb_env_sync(s->env, 1) != 0 || store_hold(s, &last) != 0)
		return;
	write_mark(s, &last, true);
	store_let_go_of(&last);
}
