// SPDX-License-Identifier: MIT
/* store_env: LMDB's environment is opened and closed. See store.h.
 * Uses: nothing else. */
#include "bridge/outbox/store_private.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

/* Pages are not filled to the brim, and a transaction needs free pages to work in. False: no address space is so large. */
static bool map_size(uint64_t size, size_t *out)
{
	return !__builtin_mul_overflow(size, 2u, out) &&
	       !__builtin_add_overflow(*out, (size_t)128 << 20, out) && (*out &= ~(size_t)0xffff) > 0;
}

bool store_fits(uint64_t size)
{
	size_t need;
	if (!map_size(size, &need))
		return false;
	void *map = mmap(NULL, need, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return map != MAP_FAILED && munmap(map, need) == 0;
}

static int open_dbs(struct store *s, unsigned create)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(s->env, NULL, create ? 0 : MDB_RDONLY, &txn);
	if (rc != 0)
		return rc;
	rc = mdb_dbi_open(txn, "messages", create | MDB_INTEGERKEY, &s->messages);
	if (rc == 0)
		rc = mdb_dbi_open(txn, "memory", create, &s->memory);
	if (rc == 0)
		rc = mdb_dbi_open(txn, "refused", create | MDB_INTEGERKEY, &s->refused);
	if (rc == 0)
		rc = mdb_dbi_open(txn, "kept", create, &s->kept[KEEP_COMMANDS]);
	if (rc == 0)
		rc = mdb_dbi_open(txn, "units", create, &s->kept[KEEP_UNITS]);
	if (rc == 0)
		store_note_usage(s, txn);
	if (rc == 0)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return rc;
}

/* LMDB's list of readers is a file of its own. No other process may enter it, so the file has no name once it is open. */
static void remove_readers(struct store *s)
{
	char name[STORE_PATH_MAX + 20];
	snprintf(name, sizeof(name), "%s/lock.mdb", s->path);
	if (unlink(name) != 0 && errno == EISDIR)
		rmdir(name);
}

static int open_env(struct store *s, void *arg)
{
	(void)arg;
	MDB_envinfo info;
	MDB_stat stat;
	size_t map;
	int rc = map_size(s->options.size, &map) ? mdb_env_create(&s->env) : ENOMEM;
	if (rc != 0)
		return rc;
	mdb_env_set_mapsize(s->env, map);
	mdb_env_set_maxdbs(s->env, 8);
	mdb_env_set_assert(s->env, store_on_assert);
	remove_readers(s);
	rc = mdb_env_open(s->env, s->path, MDB_NOSYNC | MDB_NORDAHEAD | MDB_NOTLS, 0600);
	remove_readers(s);
	if (rc != 0)
		return rc;
	mdb_env_info(s->env, &info);
	mdb_env_stat(s->env, &stat);
	s->page_size = stat.ms_psize;
	s->map_pages = info.me_mapsize / s->page_size;
	rc = open_dbs(s, 0);
	return rc == MDB_NOTFOUND ? open_dbs(s, MDB_CREATE) : rc;
}

int store_open_env(struct store *s)
{
	return store_guarded(s, open_env, NULL);
}

static int close_env(struct store *s, void *arg)
{
	(void)arg;
	store_rest(s);
	store_let_go(s);
	if (s->writing != NULL)
		mdb_txn_abort(s->writing);
	s->writing = NULL;
	mdb_env_close(s->env);
	s->env = NULL;
	return 0;
}

void store_close_env(struct store *s)
{
	int error;
	flush_wait(&s->flush, FLUSH_HOWEVER_LONG);
	flush_collect(&s->flush, &error); /* what it made safe is no matter: opening makes all safe */
	if (s->env != NULL && store_guarded(s, close_env, NULL) != 0) {
		/* LMDB's memory is as broken as its file: it is not freed */
		s->env = NULL;
		s->reading = s->writing = s->safe.txn = s->flushing.txn = NULL;
		s->cursor = NULL;
	}
	if (s->mark_fd >= 0)
		close(s->mark_fd);
	s->mark_fd = -1;
}
