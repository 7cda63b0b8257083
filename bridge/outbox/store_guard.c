// SPDX-License-Identifier: MIT
/* store_guard: work on what LMDB has mapped. A file that is cut, a broken disk and a failed assertion of LMDB end the work, never
 * the process. See store.h.
 * Uses: nothing else. */
#include "bridge/outbox/store_private.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>

static _Thread_local sigjmp_buf *volatile guard;
static struct sigaction before[2];

static const int faults[] = {SIGBUS, SIGSEGV};

/* A page could not be read: the file was cut before it, or the disk is broken. */
static void on_fault(int number, siginfo_t *info, void *context)
{
	(void)info;
	(void)context;
	if (guard != NULL)
		siglongjmp(*guard, 1);
	/* not in our work: the signal is raised once more, as it would be without us */
	sigaction(number, &before[number == SIGSEGV], NULL);
}

void store_on_assert(MDB_env *env, const char *text)
{
	(void)env;
	(void)text;
	if (guard != NULL)
		siglongjmp(*guard, 1);
}

void store_watch_faults(void)
{
	struct sigaction act = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER}, now;
	for (size_t i = 0; i < 2; i++)
		if (sigaction(faults[i], NULL, &now) == 0 && now.sa_sigaction != on_fault)
			sigaction(faults[i], &act, &before[i]);
}

int store_guarded(struct store *s, int (*work)(struct store *s, void *arg), void *arg)
{
	sigjmp_buf here, *const outer = guard;
	if (sigsetjmp(here, 0) != 0) {
		guard = outer;
		s->lost = true;
		return MDB_CORRUPTED;
	}
	guard = &here;
	int rc = work(s, arg);
	guard = outer;
	return rc;
}

struct transaction {
	int (*work)(struct store *s, void *arg);
	void *arg;
};

static int transact(struct store *s, void *arg)
{
	const struct transaction *t = arg;
	int rc = mdb_txn_begin(s->env, NULL, 0, &s->writing);
	if (rc == 0) {
		rc = t->work(s, t->arg);
		if (rc == 0)
			rc = mdb_txn_commit(s->writing);
		else
			mdb_txn_abort(s->writing);
	}
	s->writing = NULL;
	return rc;
}

int store_transact(struct store *s, int (*work)(struct store *s, void *arg), void *arg)
{
	struct transaction t = {work, arg};
	size_t used = s->used_pages, remembered = s->remembered;
	int rc = store_guarded(s, transact, &t);
	if (rc != 0) {
		s->used_pages = used;
		s->remembered = remembered;
	}
	return rc;
}

/* --- what LMDB said --- */

bool store_is_full(int rc)
{
	return rc == ENOSPC || rc == EDQUOT || rc == EFBIG || rc == MDB_MAP_FULL || rc == MDB_TXN_FULL;
}

const char *store_say(struct store *s, int rc)
{
	bool full = store_is_full(rc);
	snprintf(s->why, sizeof(s->why), full ? "disk full (%s)" : "%s", mdb_strerror(rc));
	return s->why;
}
