// SPDX-License-Identifier: MIT
/* store_room: how many pages the messages use, and room for more. See store.h.
 * Uses: nothing else.
 *
 * There must be room in the file, which grows before LMDB needs it, and in the map, which does not grow. */
#include "bridge/outbox/store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define RESERVE_PAGES 64u /* kept for deleting messages, whatever else there is no room for */
#define LOW_PAGES 96u     /* with fewer unused pages in the file, the file grows ... */
#define STEP_PAGES 64u    /* ... by this many pages, or by a sixteenth of what is used */
#define STEP_PAGES_MOST 4096u
#define MAP_RESERVE (32u << 20) /* bytes of the map: the reserve, and what is held for the last flush */

/* A message of more than half a page has pages of its own: so it takes little more than twice its size. */
size_t store_pages_for(const struct store *s, size_t bytes)
{
	return (bytes * 2 + bytes / 8) / s->page_size + 1;
}

void store_note_usage(struct store *s, MDB_txn *txn)
{
	MDB_stat stat;
	MDB_envinfo info;
	const MDB_dbi dbi[] = {0, 1, s->messages, s->refused, s->kept[KEEP_COMMANDS], s->kept[KEEP_UNITS],
		s->memory}; /* the first two are LMDB's own; `memory` is last */
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

int store_grow(struct store *s, size_t pages)
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
	/* once there is too little room, it stays so until there is clearly more, or a tenth of the pages is free: no flutter */
	size_t step = s->used_pages / 16, want = pages + LOW_PAGES;
	step = step < STEP_PAGES ? STEP_PAGES : step > STEP_PAGES_MOST ? STEP_PAGES_MOST : step;
	if (s->tight_pages > 0)
		want += 2 * step;
	if (unused_pages(s) < want) {
		size_t missing = want - unused_pages(s);
		int error = store_grow(s, missing + step) != 0 ? store_grow(s, missing) : 0;
		if (error != 0 && s->tight_pages == 0) {
			s->tight_error = error;
			s->tight_pages = s->used_pages;
			s->flush_wanted = true; /* it lets go of the pages that are held for the mark */
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
	       s->used_pages + store_pages_for(s, bytes) + MAP_RESERVE / s->page_size <= s->map_pages;
}
