// SPDX-License-Identifier: MIT
/* store: see store.h. Opening, closing, and a turn: the files are looked at, opened again where that is needed, and written. */
#include "bridge/outbox/store_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void free_all(struct store *s)
{
	flush_close(&s->flush);
	done_clear(&s->done);
	keep_drop(&s->keep, NULL);
	free(s->copy);
	free(s);
}

struct store *store_open(const struct store_options *options, char *why, size_t why_size)
{
	struct store *s = calloc(1, sizeof(*s));
	bool displace = options->damaged == OUTBOX_DAMAGED_ASIDE;
	if (s == NULL || strlen(options->path) >= STORE_PATH_MAX - 40) {
		snprintf(why, why_size, "outbox: no memory, or the path is too long");
		free(s);
		return NULL;
	}
	s->options = *options;
	strcpy(s->path, options->path);
	s->options.path = s->path;
	s->lock = s->mark_fd = -1;
	store_watch_faults();
	flush_open(&s->flush);
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
	free_all(s);
	return NULL;
}

void store_use_wake(struct store *s, void (*wake)(void *ctx), void *ctx)
{
	flush_use_wake(&s->flush, wake, ctx);
}

void store_close(struct store *s)
{
	store_rest(s);
	flush_wait(&s->flush, FLUSH_HOWEVER_LONG);
	if (s->env != NULL && !s->lost)
		store_last_mark(s);
	store_close_env(s);
	close(s->lock);
	store_write_anew(s);
	free_all(s);
}

void store_probe(struct store *s)
{
	if (s->env != NULL && !s->lost)
		store_write_last(s);
}

const char *store_write(struct store *s, struct outbox_ring *in)
{
	store_rest(s);
	store_watch(s);
	if (s->env == NULL || s->lost) {
		uint64_t had = s->last;
		if (!store_recover(s))
			return s->why;
		ring_drop(in, s->last < had ? s->last : had); /* what is open is safe */
	}
	int rc = store_write_all(s, in);
	return rc == 0 ? NULL : store_say(s, rc);
}
