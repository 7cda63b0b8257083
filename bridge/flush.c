/* flush: see flush.h. */
#include "flush.h"

#include <errno.h>
#include <fcntl.h>
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
	f->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (f->fd < 0)
		return false;
	atomic_store(&f->ended, false);
	f->running = pthread_create(&f->thread, NULL, run, f) == 0;
	if (!f->running)
		close(f->fd);
	return f->running;
}

bool flush_ended(struct flush *f, int *error)
{
	if (!f->running || !atomic_load(&f->ended))
		return false;
	flush_wait(f);
	*error = f->error;
	return true;
}

void flush_wait(struct flush *f)
{
	if (!f->running)
		return;
	pthread_join(f->thread, NULL);
	close(f->fd);
	f->running = false;
}
