/* flush: see flush.h. */
#include "flush.h"

#include <errno.h>
#include <unistd.h>

static void *run(void *arg)
{
	struct flush *f = arg;
	f->error = fdatasync(f->fd) == 0 ? 0 : errno;
	atomic_store(&f->ended, true);
	return NULL;
}

bool flush_begin(struct flush *f, int fd)
{
	if (f->running)
		return false;
	f->fd = fd;
	f->running = true;
	atomic_store(&f->ended, false);
	f->threaded = pthread_create(&f->thread, NULL, run, f) == 0;
	if (!f->threaded)
		run(f);
	return true;
}

bool flush_ended(struct flush *f, int *error)
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
