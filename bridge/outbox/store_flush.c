// SPDX-License-Identifier: MIT
/* store_flush: what was written is made safe beside the loop. See store.h, and store_sync.c for the order.
 * Uses: nothing else.
 *
 * After a failed fdatasync the kernel may have dropped pages that were never written, and a later fdatasync says nothing of them. So with
 * sync = always the file is taken back to the last safe state, whose pages are still held, and what was stored since is written anew:
 * the ring has the messages until they are safe, struct store_unsafe the rest. With sync = interval it was acknowledged already, and is
 * in no memory any more: the next flush tries again. */
#include "bridge/outbox/store_private.h"

#define DUE_PAGES_MOST 16384u /* after so many new pages a flush is due early: pages that are held cost disk */

/* --- what is not safe --- */

size_t store_unsafe_count(const struct store *s)
{
	return s->unsafe.count;
}

size_t store_unsafe_bytes(const struct store *s)
{
	return s->unsafe.bytes;
}

bool store_is_unsafe(const struct store *s)
{
	return s->unsafe.count > 0 || s->unsafe.keep.first != NULL;
}

static void add_all(struct done_set *to, struct done_set *from)
{
	for (uint64_t n = done_next(from, 1); n > 0; n = done_next(from, n + 1))
		done_add(to, n);
	done_clear(from);
}

void store_write_anew(struct store *s)
{
	struct store_unsafe *u = &s->unsafe;
	keep_move(&s->keep, NULL, &u->keep);
	keep_move(&u->keep, NULL, &s->keep);
	add_all(&s->done, &u->gone);
	add_all(&s->done, &u->gone_flushing);
	u->keep_flushing = NULL;
	u->count = u->bytes = 0;
	if (s->options.sync == OUTBOX_SYNC_ALWAYS)
		s->last = s->safe.last;
}

static void made_safe(struct store *s, struct outbox_ring *in)
{
	struct store_unsafe *u = &s->unsafe;
	size_t count = ring_count(in), bytes = ring_bytes(in);
	ring_drop(in, s->safe.last);
	u->count -= count - ring_count(in);
	u->bytes -= bytes - ring_bytes(in);
	if (u->keep_flushing != NULL)
		keep_drop(&u->keep, u->keep_flushing->next);
	u->keep_flushing = NULL;
	done_clear(&u->gone_flushing);
}

/* --- a flush --- */

const char *store_flush(struct store *s)
{
	struct store_unsafe *u = &s->unsafe;
	int64_t offset = 0;
	int fd;
	if (flush_is_running(&s->flush))
		return NULL;
	if (s->env == NULL || s->lost || mdb_env_get_fd(s->env, &fd) != 0)
		return "the files are lost";
	if (s->mark_fd < 0 && store_first_mark(s) != 0)
		return "the file of the mark cannot be made";
	if (s->mark_fd < 0 && s->options.sync == OUTBOX_SYNC_ALWAYS)
		return "disk full (no room for the file of the mark)";
	if (s->mark_fd >= 0 && store_hold(s, &s->flushing) != 0)
		return "the files cannot be read";
	if (s->mark_fd >= 0)
		store_next_mark(s, &s->flushing, false, &offset);
	s->flushed_page = s->last_page;
	s->flush_wanted = false;
	u->keep_flushing = u->keep.last;
	u->gone_flushing = u->gone;
	u->gone = (struct done_set){0};
	const struct flush_mark mark = {s->mark_fd, &s->mark, sizeof(s->mark), offset};
	flush_begin(&s->flush, fd, &mark);
	return NULL;
}

bool store_is_flushing(const struct store *s)
{
	return flush_is_running(&s->flush);
}

bool store_wait(struct store *s, int64_t most_us)
{
	return flush_wait(&s->flush, most_us);
}

int64_t store_flush_us(const struct store *s)
{
	return flush_us(&s->flush);
}

static size_t due_pages(const struct store *s)
{
	return s->map_pages / 16 < DUE_PAGES_MOST ? s->map_pages / 16 : DUE_PAGES_MOST;
}

bool store_flush_due(const struct store *s)
{
	return s->flush_wanted || s->last_page > s->flushed_page + due_pages(s);
}

/* --- and its end --- */

static int back_to_safe(struct store *s, const struct store_held *safe)
{
	int fd, rc = mdb_env_get_fd(s->env, &fd);
	if (rc == 0)
		rc = store_meta_put(fd, &safe->meta); /* the mark stays valid: the disk need not have it */
	store_close_env(s);
	if (rc == 0)
		rc = store_open_env(s);
	if (rc == 0)
		rc = store_hold(s, &s->safe);
	if (rc == 0)
		s->mark_fd = store_mark_open(s->path); /* or the next flush tries it */
	return rc;
}

/* The file is again as it was when it was safe last. */
static void take_back(struct store *s)
{
	const struct store_held safe = s->safe;
	store_write_anew(s);
	s->count = safe.count;
	s->bytes = safe.bytes;
	s->special = safe.special;
	if (back_to_safe(s, &safe) != 0)
		store_close_env(s); /* store_recover goes on */
	store_measure_done(s);
	store_measure_kept(s);
}

bool store_collect_flush(struct store *s, struct outbox_ring *in, const char **why)
{
	int error;
	if (!flush_collect(&s->flush, &error))
		return false;
	bool held =
		s->flushing.txn != NULL; /* else the files were opened again meanwhile, or there is no mark */
	*why = error != 0 ? strerror(error) : NULL;
	if (held && error == 0) {
		store_let_go_of(&s->safe);
		s->safe = s->flushing;
		s->flushing.txn = NULL;
		made_safe(s, in);
	} else if (held) {
		s->mark.sequence--;
		store_let_go_of(&s->flushing);
		if (s->options.sync == OUTBOX_SYNC_ALWAYS)
			take_back(s);
	}
	return true;
}
