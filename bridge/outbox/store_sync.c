// SPDX-License-Identifier: MIT
/* store_sync: makes safe what was stored, with sync = interval. See store.h.
 * Uses: nothing else.
 *
 * A flush holds on to one state, so that LMDB does not use its pages again. It makes that state safe beside the loop, and
 * then writes the mark, which names that state. Only then are the pages of the state before let go. */
#include "bridge/outbox/store_private.h"

#include <errno.h>
#include <unistd.h>

#define DUE_PAGES_MOST 16384u /* after so many new pages a flush is due early: pages that are held cost disk */

static int hold_state(struct store *s, void *arg)
{
	MDB_txn **txn = arg;
	int rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, txn);
	if (rc != 0)
		*txn = NULL;
	return rc;
}

static void let_go_of(MDB_txn **txn)
{
	if (*txn != NULL)
		mdb_txn_abort(*txn);
	*txn = NULL;
}

void store_let_go(struct store *s)
{
	let_go_of(&s->safe);
	let_go_of(&s->flushing);
}

/* Makes s->mark the mark of the newest state, to be written at *offset. 0 or errno. */
static int next_mark(struct store *s, bool clean, int64_t *offset)
{
	struct store_meta meta;
	char why[200];
	int fd, rc = mdb_env_get_fd(s->env, &fd);
	if (rc != 0)
		return rc;
	if (store_meta_read(fd, &meta, why, sizeof(why)) != STORE_FINE)
		return MDB_CORRUPTED;
	store_mark_next(&s->mark, &meta, clean, offset);
	return 0;
}

static int write_mark(struct store *s, bool clean)
{
	int64_t offset;
	int rc = next_mark(s, clean, &offset);
	if (rc != 0)
		return rc;
	errno = EIO;
	if (pwrite(s->mark_fd, &s->mark, sizeof(s->mark), offset) != (ssize_t)sizeof(s->mark) ||
		fdatasync(s->mark_fd) != 0)
		return errno;
	return 0;
}

int store_first_mark(struct store *s)
{
	s->flushed_page = s->last_page;
	s->flush_wanted = false;
	if (s->options.sync != OUTBOX_SYNC_INTERVAL) {
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
		rc = store_guarded(s, hold_state, &s->safe);
	return rc == 0 ? write_mark(s, false) : rc;
}

void store_last_mark(struct store *s)
{
	if (s->mark_fd >= 0)
		write_mark(s, true);
}

bool store_flush(struct store *s)
{
	int fd;
	int64_t offset = 0;
	if (s->env == NULL || s->lost || mdb_env_get_fd(s->env, &fd) != 0 || s->flush.running)
		return false;
	if (s->mark_fd < 0 && store_first_mark(s) != 0)
		return false;
	if (s->mark_fd >= 0 &&
		(store_guarded(s, hold_state, &s->flushing) != 0 || next_mark(s, false, &offset) != 0)) {
		let_go_of(&s->flushing);
		return false;
	}
	s->flushed_page = s->last_page;
	s->flush_wanted = false;
	const struct flush_mark mark = {s->mark_fd, &s->mark, sizeof(s->mark), offset};
	return flush_begin(&s->flush, fd, &mark);
}

static size_t due_pages(const struct store *s)
{
	return s->map_pages / 16 < DUE_PAGES_MOST ? s->map_pages / 16 : DUE_PAGES_MOST;
}

bool store_flush_due(const struct store *s)
{
	return s->options.sync == OUTBOX_SYNC_INTERVAL &&
	       (s->flush_wanted || s->last_page > s->flushed_page + due_pages(s));
}

bool store_collect_flush(struct store *s, const char **why)
{
	int error;
	if (!flush_collect(&s->flush, &error))
		return false;
	*why = error != 0 ? strerror(error) : NULL;
	if (error == 0 && s->flushing != NULL) {
		let_go_of(&s->safe);
		s->safe = s->flushing;
		s->flushing = NULL;
	}
	let_go_of(&s->flushing);
	return true;
}
