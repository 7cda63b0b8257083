/* store_write: see store.h. Writing: what fits, and what makes room first. */
#include "bridge/outbox/store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PART_BYTES (4u << 20) /* of messages in one transaction */
#define PART_DELETIONS 4096u  /* in one transaction */
#define RESERVE_PAGES 64u     /* for deleting, whatever else there is no room for */
#define LOW_PAGES 96u         /* with fewer in the file, it grows ... */
#define STEP_PAGES 64u        /* ... by so many, or a sixteenth */
#define STEP_PAGES_MOST 4096u
#define MAP_RESERVE (32u << 20) /* the same in the map, with what is held for the last flush */

/* --- room --- */

/* A message takes at most a little more than twice its size: one that is over half a page has pages of its own. */
static size_t pages_for(const struct store *s, size_t bytes)
{
	return (bytes * 2 + bytes / 8) / s->page_size + 1;
}

void store_note_usage(struct store *s, MDB_txn *txn)
{
	MDB_stat stat;
	MDB_envinfo info;
	const MDB_dbi dbi[] = {0, 1, s->messages, s->refused, s->memory}; /* the first two are LMDB's own */
	s->used_pages = 2;
	for (size_t i = 0; i < sizeof(dbi) / sizeof(dbi[0]); i++) {
		mdb_stat(txn, dbi[i], &stat);
		s->used_pages += stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
	}
	s->remembered = stat.ms_entries > s->special ? stat.ms_entries - s->special : 0;
	mdb_env_info(s->env, &info);
	s->last_page = info.me_last_pgno;
}

static size_t unused_pages(const struct store *s)
{
	return s->file_pages > s->used_pages ? s->file_pages - s->used_pages : 0;
}

/* 0 or errno. */
static int grow(struct store *s, size_t pages)
{
	int fd, error;
	struct stat st;
	if (mdb_env_get_fd(s->env, &fd) != 0 || fstat(fd, &st) != 0)
		return EBADF;
	error = pages + s->file_pages > s->map_pages
			? EFBIG
			: posix_fallocate(fd, st.st_size, (off_t)(pages * s->page_size));
	if (fstat(fd, &st) == 0)
		s->file_pages = (size_t)st.st_size / s->page_size;
	return error;
}

bool store_make_room(struct store *s, size_t pages)
{
	/* once short of room, there must be more of it, or a tenth must go, before it is no longer short: it does not flutter */
	size_t step = s->used_pages / 16, want = pages + LOW_PAGES;
	step = step < STEP_PAGES ? STEP_PAGES : step > STEP_PAGES_MOST ? STEP_PAGES_MOST : step;
	if (s->tight_pages > 0)
		want += 2 * step;
	if (unused_pages(s) < want) {
		size_t missing = want - unused_pages(s);
		int error = grow(s, missing + step) != 0 ? grow(s, missing) : 0;
		if (error != 0 && s->tight_pages == 0) {
			s->tight_error = error;
			s->tight_pages = s->used_pages;
			s->flush_wanted = true; /* what is held for the mark can be used again then */
		}
	}
	if (unused_pages(s) >= want || s->used_pages < s->tight_pages / 10 * 9)
		s->tight_pages = 0;
	return unused_pages(s) >= pages + RESERVE_PAGES;
}

const char *store_tight(struct store *s)
{
	return s->env != NULL && s->tight_pages > 0 ? store_say(s, s->tight_error) : NULL;
}

bool store_room(const struct store *s, size_t bytes)
{
	return s->env != NULL && !s->lost && s->tight_pages == 0 &&
	       s->used_pages + pages_for(s, bytes) + MAP_RESERVE / s->page_size <= s->map_pages;
}

/* --- a transaction --- */

struct part {
	struct outbox_ring *in; /* NULL: only deletions */
	size_t put_most, delete_most;
	/* what became of it */
	uint64_t stored, deleted_to;
	size_t put, put_bytes, deleted, deleted_bytes;
};

static int remember(struct store *s, MDB_txn *txn, const struct outbox_message *m)
{
	int64_t value[2] = {m->memory_value, m->put_ms};
	MDB_val k = {m->memory_key.len, (void *)(uintptr_t)m->memory_key.ptr}, v = {sizeof(value), value};
	MDB_val there;
	int rc;
	if (m->memory_value == MESSAGE_FORGET) {
		rc = mdb_del(txn, s->memory, &k, NULL);
		return rc == MDB_NOTFOUND ? 0 : rc;
	}
	/* whoever should forget has not: what is new is not remembered */
	if (s->remembered + 1 > s->options.memory_most && mdb_get(txn, s->memory, &k, &there) == MDB_NOTFOUND)
		return 0;
	return mdb_put(txn, s->memory, &k, &v, 0);
}

static int put_messages(struct store *s, MDB_txn *txn, struct part *p)
{
	struct outbox_message m;
	int rc = 0;
	while (rc == 0 && p->put < p->put_most && p->put_bytes < PART_BYTES &&
		ring_next(p->in, p->stored, &m)) {
		MDB_val key = {sizeof(m.seqnum), &m.seqnum}, value = {message_packed_size(&m), NULL};
		rc = mdb_put(txn, s->messages, &key, &value, MDB_APPEND | MDB_RESERVE);
		if (rc == 0)
			message_pack(&m, value.mv_data);
		if (rc == 0 && m.memory_key.len > 0)
			rc = remember(s, txn, &m);
		p->stored = m.seqnum;
		p->put++;
		p->put_bytes += value.mv_size;
	}
	return rc;
}

static int delete_messages(struct store *s, MDB_txn *txn, struct part *p)
{
	MDB_cursor *cursor;
	int rc = mdb_cursor_open(txn, s->messages, &cursor);
	if (rc != 0)
		return rc;
	uint64_t n = done_next(&s->done, 1);
	for (size_t i = 0; rc == 0 && n > 0 && i < p->delete_most; i++) {
		MDB_val key = {sizeof(n), &n}, value;
		rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_KEY);
		if (rc == 0) {
			p->deleted++;
			p->deleted_bytes += value.mv_size;
			rc = mdb_cursor_del(cursor, 0);
		} else if (rc == MDB_NOTFOUND) {
			rc = 0;
		}
		p->deleted_to = n;
		n = done_next(&s->done, n + 1);
	}
	mdb_cursor_close(cursor);
	return rc;
}

int store_note_last(struct store *s, MDB_txn *txn, uint64_t last, size_t bytes)
{
	int64_t value[2] = {(int64_t)last, (int64_t)bytes};
	MDB_val k = {strlen(STORE_LAST_KEY), (void *)(uintptr_t)STORE_LAST_KEY}, v = {sizeof(value), value};
	return mdb_put(txn, s->memory, &k, &v, 0);
}

static int note_last(struct store *s, MDB_txn *txn, const struct part *p)
{
	return store_note_last(s, txn, p->stored, s->bytes + p->put_bytes - p->deleted_bytes);
}

int store_write_last(struct store *s, void *arg)
{
	struct part p = {.stored = s->last};
	(void)arg;
	int rc = mdb_txn_begin(s->env, NULL, 0, &s->writing);
	if (rc == 0) {
		rc = note_last(s, s->writing, &p);
		if (rc == 0)
			rc = mdb_txn_commit(s->writing);
		else
			mdb_txn_abort(s->writing);
	}
	s->writing = NULL;
	return rc;
}

static int transact(struct store *s, void *arg)
{
	struct part *p = arg;
	int rc = mdb_txn_begin(s->env, NULL, 0, &s->writing);
	if (rc != 0) {
		s->writing = NULL;
		return rc;
	}
	if (p->delete_most > 0 && s->done.count > 0)
		rc = delete_messages(s, s->writing, p);
	if (rc == 0 && p->in != NULL)
		rc = put_messages(s, s->writing, p);
	if (rc == 0 && p->put > 0)
		rc = note_last(s, s->writing, p);
	if (rc == 0) {
		store_note_usage(s, s->writing);
		rc = mdb_txn_commit(s->writing);
	} else {
		mdb_txn_abort(s->writing);
	}
	s->writing = NULL;
	return rc;
}

/* --- a turn --- */

static void took(struct store *s, const struct part *p)
{
	s->count += p->put - p->deleted;
	s->bytes += p->put_bytes - p->deleted_bytes;
	s->done_bytes -= p->deleted_bytes;
	if (p->deleted_to > 0)
		done_drop(&s->done, p->deleted_to);
	if (p->put == 0)
		return;
	s->last = p->stored;
	if (p->put == ring_count(p->in))
		ring_clear(p->in);
	else
		ring_drop(p->in, p->stored);
}

static int write_part(struct store *s, struct part *p)
{
	size_t bytes = p->in != NULL ? ring_bytes(p->in) : 0;
	size_t used = s->used_pages, remembered = s->remembered;
	if (p->in != NULL && p->put_most < ring_count(p->in))
		bytes = bytes / ring_count(p->in) * p->put_most; /* about */
	if (bytes > PART_BYTES)
		bytes = PART_BYTES;
	if (!store_make_room(s, p->in != NULL ? pages_for(s, bytes) : 0) && p->in != NULL)
		return ENOSPC;
	int rc = store_guarded(s, transact, p);
	if (rc == EIO && store_is_full(grow(s, 1)))
		rc = ENOSPC; /* LMDB says EIO when less was written than it wanted */
	if (rc == 0) {
		took(s, p);
	} else {
		s->used_pages = used;
		s->remembered = remembered;
		s->flush_wanted |= store_is_full(rc);
	}
	if (rc == MDB_PANIC || s->lost) /* LMDB wants to be opened anew */
		store_close_env(s);
	return rc;
}

/* How much is tried at a time: halved when it does not fit, down to one. Deletions go first and alone then: they make room. */
struct portion {
	size_t puts, deletions;
	bool apart;
};

/* False: less than this cannot be tried. */
static bool halve(struct portion *p, bool deleting, size_t puts, size_t deletions)
{
	if (deleting && !p->apart) {
		p->apart = true;
	} else if (deleting) {
		p->deletions = (p->deletions < deletions ? p->deletions : deletions) / 2;
	} else {
		size_t tried = p->puts < puts ? p->puts : puts;
		p->puts = tried / 2;
		return tried > 1;
	}
	return true;
}

static int write_all(struct store *s, struct outbox_ring *in)
{
	struct portion most = {SIZE_MAX / 2, PART_DELETIONS, false};
	while (ring_count(in) > 0 || (s->done.count > 0 && most.deletions > 0)) {
		bool deleting = s->done.count > 0 && most.deletions > 0;
		bool putting = ring_count(in) > 0 && !(most.apart && deleting);
		struct part p = {.in = putting ? in : NULL,
			.put_most = most.puts,
			.delete_most = deleting ? most.deletions : 0};
		int rc = write_part(s, &p);
		if (rc == 0 && most.puts < SIZE_MAX / 2)
			most.puts *= 2;
		if (rc != 0 && (!store_is_full(rc) || s->env == NULL ||
				       !halve(&most, deleting, ring_count(in), (size_t)s->done.count)))
			return rc;
	}
	return 0;
}

/* Pages that the last transaction freed can be used from the one after the next on. */
static int unlock_pages(struct store *s, int rc)
{
	if ((store_is_full(rc) || s->done.count > 0) && s->env != NULL)
		store_guarded(s, store_write_last, NULL);
	return rc;
}

const char *store_write(struct store *s, struct outbox_ring *in)
{
	store_rest(s);
	store_watch(s);
	if ((s->env == NULL || s->lost) && !store_recover(s))
		return s->why;
	int rc = unlock_pages(s, write_all(s, in));
	return rc == 0 ? NULL : store_say(s, rc);
}
