/* store: see store.h. Opening the files, and reading. */
#include "bridge/outbox/store_private.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* --- guard --- */

static _Thread_local sigjmp_buf *volatile guard;
static struct sigaction before[2];

static const int faults[] = {SIGBUS, SIGSEGV};

/* A page could not be read: behind the end of a file that was cut, or the disk is broken. */
static void on_fault(int number, siginfo_t *info, void *context)
{
	(void)info;
	(void)context;
	if (guard != NULL)
		siglongjmp(*guard, 1);
	sigaction(number, &before[number == SIGSEGV], NULL); /* not ours: it comes again */
}

static void on_assert(MDB_env *env, const char *text)
{
	(void)env;
	(void)text;
	if (guard != NULL)
		siglongjmp(*guard, 1);
}

static void watch_faults(void)
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

/* --- open and close --- */

/* Pages are not filled to the brim, and a transaction needs free ones to work in. */
static uint64_t map_size(uint64_t size)
{
	return (size * 2 + (128u << 20)) & ~UINT64_C(0xffff);
}

bool store_fits(uint64_t size)
{
	uint64_t need = map_size(size);
	void *map = need < SIZE_MAX ? mmap(NULL, (size_t)need, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
				    : MAP_FAILED;
	return map != MAP_FAILED && munmap(map, (size_t)need) == 0;
}

struct store *store_open(const struct store_options *options, char *why, size_t why_size)
{
	struct store *s = calloc(1, sizeof(*s));
	bool displace = options->damaged == STORE_DAMAGED_ASIDE;
	if (s == NULL || strlen(options->path) >= STORE_PATH_MAX - 40) {
		snprintf(why, why_size, "outbox: no memory, or the path is too long");
		free(s);
		return NULL;
	}
	s->options = *options;
	strcpy(s->path, options->path);
	s->options.path = s->path;
	s->lock = s->mark_fd = -1;
	watch_faults();
	bool ok = store_dir_make(s->path, displace, why, why_size);
	if (ok) {
		s->lock = store_dir_lock(s->path, displace, why, why_size);
		ok = s->lock >= 0;
	}
	if (ok && !store_bring_up(s, true)) {
		snprintf(why, why_size, "%s", s->why);
		ok = false;
	}
	if (ok)
		return s;
	store_close_env(s);
	if (s->lock >= 0)
		close(s->lock);
	free(s);
	return NULL;
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
		store_note_usage(s, txn);
	if (rc == 0)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return rc;
}

/* LMDB's list of readers has a file of its own. Nobody but this process is to be in it, so it has no name. */
static void remove_readers(struct store *s)
{
	char name[STORE_PATH_MAX + 20];
	snprintf(name, sizeof(name), "%s/lock.mdb", s->path);
	if (unlink(name) != 0 && errno == EISDIR)
		rmdir(name);
}

int store_open_env(struct store *s, void *arg)
{
	(void)arg;
	unsigned sync = s->options.sync == STORE_SYNC_ALWAYS ? 0 : MDB_NOSYNC;
	MDB_envinfo info;
	MDB_stat stat;
	int rc = mdb_env_create(&s->env);
	if (rc != 0)
		return rc;
	mdb_env_set_mapsize(s->env, (size_t)map_size(s->options.size));
	mdb_env_set_maxdbs(s->env, 4);
	mdb_env_set_assert(s->env, on_assert);
	remove_readers(s);
	rc = mdb_env_open(s->env, s->path, sync | MDB_NORDAHEAD | MDB_NOTLS, 0600);
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
	flush_wait(&s->flush);
	if (s->env != NULL && store_guarded(s, close_env, NULL) != 0) {
		/* what LMDB had is as broken as its file: left behind */
		s->env = NULL;
		s->reading = s->writing = s->safe = s->flushing = NULL;
		s->cursor = NULL;
	}
	if (s->mark_fd >= 0)
		close(s->mark_fd);
	s->mark_fd = -1;
}

void store_close(struct store *s)
{
	store_rest(s);
	flush_wait(&s->flush);
	if (s->env != NULL && !s->lost && s->options.sync != STORE_SYNC_NEVER) {
		mdb_env_sync(s->env, 1);
		store_last_mark(s);
	}
	store_close_env(s);
	close(s->lock);
	done_clear(&s->done);
	free(s->copy);
	free(s);
}

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

/* --- read --- */

uint64_t store_key_number(const MDB_val *key)
{
	uint64_t n = 0;
	if (key->mv_size == sizeof(n))
		memcpy(&n, key->mv_data, sizeof(n));
	return n;
}

int store_begin_reading(struct store *s)
{
	if (s->env == NULL || s->lost)
		return MDB_PANIC;
	if (s->reading != NULL)
		return 0;
	int rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &s->reading);
	if (rc == 0)
		rc = mdb_cursor_open(s->reading, s->messages, &s->cursor);
	else
		s->reading = NULL;
	if (rc == 0)
		return 0;
	if (s->reading != NULL)
		mdb_txn_abort(s->reading);
	s->reading = NULL;
	s->cursor = NULL;
	return rc;
}

static int begin_reading(struct store *s, void *arg)
{
	(void)arg;
	return store_begin_reading(s);
}

bool store_readable(struct store *s)
{
	return store_guarded(s, begin_reading, NULL) == 0;
}

void store_rest(struct store *s)
{
	if (s->reading == NULL)
		return;
	mdb_cursor_close(s->cursor);
	mdb_txn_abort(s->reading);
	s->reading = NULL;
	s->cursor = NULL;
}

struct search {
	uint64_t number;
	bool exactly;
	MDB_val value; /* found */
};

/* A copy: what is given out is not in the file, which may be cut at any time. */
static int copy_value(struct store *s, const MDB_val *value)
{
	if (value->mv_size > s->copy_size) {
		uint8_t *grown = realloc(s->copy, value->mv_size + 4096);
		if (grown == NULL)
			return ENOMEM;
		s->copy = grown;
		s->copy_size = value->mv_size + 4096;
	}
	memcpy(s->copy, value->mv_data, value->mv_size);
	return 0;
}

static int seek(struct store *s, struct search *f)
{
	MDB_val key = {sizeof(f->number), &f->number}, at, value;
	if (f->exactly)
		return mdb_get(s->reading, s->messages, &key, &f->value);
	/* mostly the cursor stands on the one before */
	bool here = f->number > 1 && mdb_cursor_get(s->cursor, &at, &value, MDB_GET_CURRENT) == 0 &&
		    store_key_number(&at) == f->number - 1;
	int rc = mdb_cursor_get(s->cursor, &key, &f->value, here ? MDB_NEXT : MDB_SET_RANGE);
	if (rc == 0)
		f->number = store_key_number(&key);
	return rc;
}

static int read_message(struct store *s, void *arg)
{
	struct search *f = arg;
	int rc = store_begin_reading(s);
	while (rc == 0) {
		rc = seek(s, f);
		uint64_t done = rc == 0 ? done_end(&s->done, f->number) : 0;
		if (done == 0)
			break;
		if (f->exactly)
			return MDB_NOTFOUND;
		f->number = done + 1;
	}
	return rc == 0 ? copy_value(s, &f->value) : rc;
}

static bool read_out(struct store *s, struct search *f, struct outbox_message *out)
{
	if (store_guarded(s, read_message, f) != 0)
		return false;
	if (message_unpack(span_of(s->copy, f->value.mv_size), f->number, out))
		return true;
	s->lost = true; /* it was a message when it was examined */
	return false;
}

bool store_next(struct store *s, uint64_t after, struct outbox_message *out)
{
	struct search f = {.number = after + 1};
	return read_out(s, &f, out);
}

bool store_get(struct store *s, uint64_t seqnum, struct outbox_message *out)
{
	struct search f = {.number = seqnum, .exactly = true};
	return read_out(s, &f, out);
}

/* --- done --- */

static int size_of(struct store *s, void *arg)
{
	struct search *f = arg;
	int rc = store_begin_reading(s);
	MDB_val key = {sizeof(f->number), &f->number};
	return rc == 0 ? mdb_get(s->reading, s->messages, &key, &f->value) : rc;
}

void store_done(struct store *s, uint64_t seqnum)
{
	struct search f = {.number = seqnum};
	if (seqnum == 0 || seqnum > s->last)
		return;
	int rc = store_guarded(s, size_of, &f);
	if (rc == MDB_NOTFOUND)
		return;
	if (done_add(&s->done, seqnum) && rc == 0) /* else it is measured when the file can be read again */
		s->done_bytes += f.value.mv_size;
}

static int measure(struct store *s, void *arg)
{
	struct done_set *known = arg;
	int rc = 0;
	for (uint64_t n = done_next(&s->done, 1); n > 0; n = done_next(&s->done, n + 1)) {
		struct search f = {.number = n};
		rc = size_of(s, &f);
		if (rc == 0 && done_add(known, n))
			s->done_bytes += f.value.mv_size;
		else if (rc != 0 && rc != MDB_NOTFOUND)
			return rc;
	}
	return 0;
}

void store_measure_done(struct store *s)
{
	struct done_set known = {0};
	s->done_bytes = 0;
	store_guarded(s, measure, &known);
	store_rest(s);
	done_clear(&s->done);
	s->done = known;
}

size_t store_done_count(const struct store *s)
{
	return (size_t)s->done.count;
}

/* --- questions --- */

uint64_t store_last_seqnum(const struct store *s)
{
	return s->last;
}

size_t store_count(const struct store *s)
{
	return s->count - (size_t)s->done.count;
}

size_t store_bytes(const struct store *s)
{
	return s->bytes - s->done_bytes;
}
