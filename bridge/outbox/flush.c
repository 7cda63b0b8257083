// SPDX-License-Identifier: MIT
/* flush: see flush.h. */
#include "bridge/outbox/flush.h"

#include <errno.h>
#include <unistd.h>

static void *flush_run(void *arg)
{
	struct flush *f = arg;
	const struct flush_mark *m = &f->mark;
	f->error = fdatasync(f->fd) == 0 ? 0 : errno;
	if (f->error == 0 && m->fd >= 0) {
		errno = EIO;
		if (pwrite(m->fd, m->bytes, m->size, (off_t)m->offset) != (ssize_t)m->size ||
			fdatasync(m->fd) != 0)
			f->error = errno;
	}
	atomic_store(&f->ended, true);
	return NULL;
}

bool flush_begin(struct flush *f, int fd, const struct flush_mark *mark)
{
	if (f->running)
		return false;
	f->fd = fd;
	f->mark = *mark;
	f->running = true;
	atomic_store(&f->ended, false);
	f->threaded = pthread_create(&f->thread, NULL, flush_run, f) == 0;
	if (!f->threaded)
		flush_run(f);
	return true;
}

bool flush_collect(struct flush *f, int *error)
{
	if (!f->running || !atomic_load(&f->ended))
		return false;
	flush_wait(f);
	f->running = false;
	*error = f->error;
	return true;
}

void flush_wait(struct flush *f)
{
	if (f->threaded)
		pthread_join(f->thread, NULL);
	f->threaded = false;
}
